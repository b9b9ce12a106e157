"""The flattened sources: the same text, each file once, told apart by #line."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def flat() -> str:
    """What BCC compiles."""
    return str(runpy.run_path(str(ROOT / "tools/flatten_bpf.py"))["flatten"](ROOT / "bpf/vedette.bpf.c"))


def test_every_probe_file_is_in_it_once(flat: str):
    """Each file of bpf/probes that the sensor includes begins exactly once."""
    source = (ROOT / "bpf/vedette.bpf.c").read_text()
    included = re.findall(r'#include "(probes/\S+)"', source)
    without = re.findall(r'#include "(probes/lsm_\S+)"', source)
    assert included
    assert without
    assert {name: flat.count(f'#line 1 "bpf/{name}"') for name in included} == {
        name: int(name not in without) for name in included
    }


def test_every_function_stands_before_its_use(flat: str):
    """A header first included by what is left out is taken where it is next needed: BCC would only warn."""
    defined = {match[1]: match.start() for match in re.finditer(r"^static .*?\b(\w+__\w+)\(", flat, re.MULTILINE)}
    assert len(defined) > 100
    late = [name for name, at in defined.items() if re.search(rf"(?<!\w){name}\(", flat[: max(0, at - 200)])]
    assert late == []


def test_nothing_is_left_for_libbpf(flat: str):
    """No section, no map definition, no address of a map, no quoted include."""
    assert 'SEC(".maps")' not in flat
    assert not re.search(r'^(?:char \w+\[\] )?SEC\("', flat, re.MULTILINE)
    assert not re.search(r'^#include "', flat, re.MULTILINE)
    assert "VEDETTE_MAP(ring)" in flat
    assert not re.search(r"[(,]\s*&(?:ring|novelty|counters|scratch|config)\b", flat)


def test_compile_errors_name_the_file_a_person_can_edit(flat: str):
    """After each include the text goes on under the includer's name and its next line."""
    source = (ROOT / "bpf/vedette.bpf.c").read_text().splitlines()
    taken = [at for at, line in enumerate(source, 1) if line.startswith("#include") and "probes/lsm_" not in line]
    last = max(taken)
    assert f'#line {last + 1} "bpf/vedette.bpf.c"' in flat
