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
    included = re.findall(r'#include "(probes/\S+)"', (ROOT / "bpf/vedette.bpf.c").read_text())
    assert included
    assert all(flat.count(f'#line 1 "bpf/{name}"') == 1 for name in included)


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
    last = max(at for at, line in enumerate(source, 1) if line.startswith("#include"))
    assert f'#line {last + 1} "bpf/vedette.bpf.c"' in flat
