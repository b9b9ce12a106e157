"""What a kernel refuses is left out, with its reason, and the rest is loaded."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import SourceError
from agent.source.hooks import Hooks, find_security
from agent.source.libbpf import LIBRARY, KernelTypes, LibBpf
from agent.source.loading import load
from agent.source.programs import PROGRAMS, find_tracefs, missing_for

pytestmark = pytest.mark.bpf

NAMES = ("good", "careless", "nowhere", "mapless")
SIZES = {"sized": 16}


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object with one program that loads and three that do not."""
    target = tmp_path_factory.mktemp("refused") / "refused.bpf.o"
    source, machine = Path(__file__).with_name("refused.c"), subprocess.check_output(["uname", "-m"], text=True).strip()
    headers = f"-I/usr/include/{machine}-linux-gnu"
    subprocess.run(["clang", "-g", "-O2", "-target", "bpf", headers, "-c", source, "-o", target], check=True)
    return target


def test_the_rest_is_loaded_and_each_refusal_has_a_reason(partial):
    """One program of four loads; the verifier's last line, the missing hook and the missing map are named."""
    lib = LibBpf()
    loaded = load(lib, partial, SIZES, NAMES)
    good = lib.bpf.bpf_object__find_program_by_name(loaded.pointer, b"good")
    careless = lib.bpf.bpf_object__find_program_by_name(loaded.pointer, b"careless")
    assert (lib.bpf.bpf_program__fd(good) >= 0, lib.bpf.bpf_program__fd(careless) >= 0) == (True, False)
    lib.bpf.bpf_object__close(loaded.pointer)
    assert set(loaded.refused) == set(NAMES) - {"good"}
    assert "invalid mem access" in loaded.refused["careless"]
    assert all(loaded.refused.values())
    assert not any("\n" in reason for reason in loaded.refused.values())


def test_unnamed_programs_are_not_loaded(partial):
    """Programs not asked for cannot fail."""
    lib = LibBpf()
    loaded = load(lib, partial, SIZES, ["good"])
    lib.bpf.bpf_object__close(loaded.pointer)
    assert loaded.refused == {}


def test_nothing_left_is_an_error_with_the_kernels_words(partial):
    """An object of which no program loads is refused, and the error says why."""
    with pytest.raises(SourceError, match="invalid mem access"):
        load(LibBpf(), partial, SIZES, ["careless"])


def test_a_map_that_must_be_there_is_not_done_without(partial):
    """A map whose size is asked for belongs to the sensor's core: without it nothing is loaded."""
    with pytest.raises(SourceError, match="unknown"):
        load(LibBpf(), partial, {"unknown": 1}, ["good"])


@pytest.mark.parametrize("name", ["vedette.bpf.o", "vedette-helpers.bpf.o"])
def test_this_kernel_takes_every_program_of_both_objects(name):
    """The object for older kernels loads here too, so what breaks only there shows without booting one."""
    lib = LibBpf()
    with closing(KernelTypes(lib)) as types:
        if name == "vedette.bpf.o" and types.function("bpf_rdonly_cast") < 0:
            pytest.skip("this kernel has no bpf_rdonly_cast (Linux 6.2)")
        tracefs, hooks = find_tracefs(lib), Hooks(types, find_security(lib))
        wanted = {program.function for program in PROGRAMS if missing_for(program, hooks, tracefs) is None}
    loaded = load(lib, LIBRARY / name, {"ring": 1 << 20}, wanted)
    absent = [one for one in wanted if not lib.bpf.bpf_object__find_program_by_name(loaded.pointer, one.encode())]
    lib.bpf.bpf_object__close(loaded.pointer)
    assert dict(loaded.refused) == {}
    assert absent == []
