"""The generated layout is the contract header's."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agent.decode import layout
from agent.events import EventType

ROOT = Path(__file__).resolve().parents[3]


def test_formats_have_the_sizes_the_compiler_gave():
    """Every struct's format packs to its size, and its offsets count its values."""
    for name, form in vars(layout).items():
        if name.endswith("_FORMAT"):
            base = name.removesuffix("_FORMAT")
            assert struct.calcsize(form) == getattr(layout, f"{base}_SIZE"), base
            assert len(struct.unpack(form, bytes(struct.calcsize(form)))) == len(getattr(layout, f"{base}_OFFSETS"))


def test_event_types_are_the_contracts():
    """`EventType` and `enum ev_type` name the same numbers."""
    assert {f"EV_{kind.name}": kind.value for kind in EventType} == {
        name: value
        for name, value in vars(layout).items()
        if name.startswith("EV_") and isinstance(value, int) and not name.startswith("EV_F_")
        if not name.endswith(("_SIZE", "_MAX"))
    }


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
def test_the_committed_layout_is_up_to_date():
    """Generating again gives the file in the tree, byte for byte."""
    command = [sys.executable, "tools/gen_layout.py", "bpf/include/events.h"]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert made == (ROOT / "agent/decode/layout.py").read_text()


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
def test_hidden_padding_is_refused(tmp_path):
    """A struct the compiler would pad silently cannot become part of the contract."""
    header = tmp_path / "include" / "events.h"
    header.parent.mkdir()
    (tmp_path / "ABI_VERSION").write_text("1\n")
    header.write_text("struct ev_bad {\n\t__u8 small;\n\t__u64 large;\n};\n")
    command = [sys.executable, str(ROOT / "tools/gen_layout.py"), str(header)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode != 0
    assert "padding without a name" in result.stderr
