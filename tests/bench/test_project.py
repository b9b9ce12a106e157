"""The project that is compiled is the same each time, and compiles."""

import subprocess

from bench.project import write_project


def test_it_is_always_the_same(tmp_path):
    write_project(tmp_path / "a")
    write_project(tmp_path / "b")
    files = [{p.name: p.read_text() for p in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    assert len(files[0]) == 24 + 12 + 1


def test_a_unit_compiles(tmp_path):
    write_project(tmp_path)
    subprocess.run(["gcc", "-O1", "-Wall", "-c", "unit00.c", "-o", "unit00.o"], cwd=tmp_path, check=True)
