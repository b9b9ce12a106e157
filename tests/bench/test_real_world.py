"""The pieces real software is run with: packages, names."""

import struct
from pathlib import Path

import pytest

from bench.real import packages
from bench.real.net import Names


def test_dependencies_take_the_first_alternative_that_is_installed() -> None:
    known = {"libc6": "", "dash": "", "mawk": ""}
    depends = "libc6 (>= 2.36), gawk | mawk, , nowhere, dash:any (>= 1)"
    assert list(packages._needs(depends, known)) == ["libc6", "mawk", "dash"]


@pytest.mark.parametrize(("path", "placed"), [("/bin/sh", "usr/bin/sh"), ("/usr/bin/x", "usr/bin/x"), ("/bin", "bin")])
def test_what_a_package_calls_bin_lies_below_usr(path: str, placed: str) -> None:
    assert packages._place(path, Path("/r")) == Path("/r") / placed


def _query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x12\x34" + struct.pack("!HHHHH", 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"), [("web.real", 1, 0, 1), ("web.real", 28, 0, 0), ("other.example", 1, 3, 0)]
)
def test_names_of_services_and_of_nothing_else(name: str, kind: int, code: int, answers: int) -> None:
    names = Names("127.0.0.1", lambda asked: "10.0.0.7" if asked == "web.real" else None, port=0)
    answer = names._answer(_query(name, kind))
    names.stop()
    identity, flags, _, count, *_ = struct.unpack_from("!HHHHHH", answer)
    assert (identity, flags & 0xF, count) == (0x1234, code, answers)
    assert answer.endswith(bytes([10, 0, 0, 7])) is bool(answers)
