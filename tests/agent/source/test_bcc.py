"""What the bcc sensor decides without BCC: which headers, which tracepoints, which bytes."""

import re
import struct
from pathlib import Path

import pytest

from agent.errors import SourceError
from agent.source.bcc_load import with_maps
from agent.source.bcc_source import BccSource, Tracefs
from agent.source.headers import check_headers

BPF = Path(__file__).resolve().parents[3] / "bpf"


def _headers(modules: Path, directory: str, release: str) -> None:
    generated = modules / directory / "build/include/generated"
    generated.mkdir(parents=True)
    (generated / "utsrelease.h").write_text(f'#define UTS_RELEASE "{release}"\n')


def test_headers_of_exactly_this_kernel_are_taken(tmp_path: Path):
    """The release in the headers is the running kernel's."""
    _headers(tmp_path, "6.1.0-1", "6.1.0-1")
    assert check_headers("6.1.0-1", tmp_path) == tmp_path / "6.1.0-1/build"


def test_headers_of_another_kernel_are_refused_by_name(tmp_path: Path):
    """Nearly the same is refused: both releases and the package to install are named."""
    _headers(tmp_path, "6.1.0-1", "6.1.0-2")
    with pytest.raises(SourceError, match=r"are of 6\.1\.0-2, this kernel is 6\.1\.0-1: .*linux-headers-6\.1\.0-1"):
        check_headers("6.1.0-1", tmp_path)


def test_no_headers_say_what_to_install(tmp_path: Path):
    """Absent headers: the package for Debian and for Red Hat."""
    with pytest.raises(SourceError, match=r"linux-headers-6\.1\.0-1; Red Hat: kernel-devel-6\.1\.0-1"):
        check_headers("6.1.0-1", tmp_path)


@pytest.mark.bpf
def test_the_sensor_refuses_before_it_compiles(tmp_path: Path):
    """Wrong headers end the start with their message, and nothing is left behind."""
    _headers(tmp_path, "here", "elsewhere")
    source = BccSource(find_headers=lambda: check_headers("here", tmp_path))
    with pytest.raises(SourceError, match="this kernel is here"):
        source.start()
    assert source.read(0) is None
    assert source.counters() == {}


def test_map_numbers_become_descriptors_and_nothing_else_changes():
    """Only 64-bit loads marked as a map's are changed; an unknown number is refused."""
    load = struct.pack("=BBhi", 0x18, 0x10 | 1, 0, 2) + bytes(8)
    plain = struct.pack("=BBhi", 0x18, 1, 0, 2) + bytes(8)
    assert with_maps(load + plain, {2: 77}) == struct.pack("=BBhi", 0x18, 0x11, 0, 77) + bytes(8) + plain
    with pytest.raises(SourceError, match="number 2"):
        with_maps(load, {1: 77})


def test_without_btf_the_release_tells_the_exit_tracepoint(tmp_path: Path):
    """sched_process_exit has its second argument since 6.16; what tracefs does not have does not exist."""
    event = tmp_path / "events/sched/sched_process_exit/id"
    event.parent.mkdir(parents=True)
    event.touch()
    assert Tracefs(tmp_path, "6.15.9").parameters("sched_process_exit") == 1
    assert Tracefs(tmp_path, "6.16.0-rc1").parameters("sched_process_exit") == 2
    assert Tracefs(tmp_path, "6.16.0").parameters("cgroup_mkdir") == -1


def test_every_difference_between_kernels_has_its_bcc_form():
    """Each name of include/compat.h that other sources use is in bcc/compat.h, which takes its place."""
    bcc = (BPF / "bcc/compat.h").read_text()
    others = "".join(path.read_text() for path in BPF.glob("*/*.[ch]") if path.name != "compat.h")
    names = re.findall(r"\bcompat__\w+|\bUNDISTURBED\b", (BPF / "include/compat.h").read_text())
    used = {name for name in names if re.search(rf"\b{name}\b", others)}
    assert used
    assert used <= set(re.findall(r"\bcompat__\w+|\bUNDISTURBED\b", bcc))
