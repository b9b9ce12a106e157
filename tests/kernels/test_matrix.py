"""The matrix's own logic: how a run is told, and what counts as a regression. No emulator."""

import gzip
import subprocess

import pytest

from tests.kernels.boot import _entry
from tests.kernels.fetch import UnavailableError, _Apt
from tests.kernels.report import Result, markdown, regressions, table


def made(suite: str = "sid", **overrides) -> Result:
    """A run with one program attached, one refused; `process_exit_live` is another kernel's."""
    raw = {
        "kernel": "9.9",
        "object": "vedette.bpf.o",
        "probes": [
            {"name": "process_exec", "attached": True, "consequence": ""},
            {"name": "file_open", "attached": False, "consequence": "refused: opens go unseen"},
        ],
        "checks": [{"name": "execs", "failure": ""}, {"name": "opens", "failure": "none seen"}],
        "verified": {"process_exec": 10_000},
    }
    return Result.read(suite, raw | overrides)


def test_a_program_attached_on_one_kernel_and_not_needed_on_another_stands_in():
    """The table has a row for every program any kernel has, and one word for each kernel."""
    older = made("bullseye", kernel="5.5", probes=[{"name": "process_exit_live", "attached": True, "consequence": ""}])
    rows = {line.split("  ")[0]: line.split() for line in table([made(), older]).splitlines()}
    assert rows["process_exec"] == ["process_exec", "attached", "stands", "in"]
    assert rows["process_exit_live"] == ["process_exit_live", "stands", "in", "attached"]
    assert "9.9: file_open: refused: opens go unseen" in table([made(), older])


def test_checks_that_failed_are_counted_and_named():
    """A failed check is in `failures` with what was seen."""
    assert dict(made().failures) == {"opens": "none seen"}
    assert "1 of 2 checks hold" in made().summary()


@pytest.mark.parametrize(("recorded", "grew"), [(10_000, 0), (8_000, 0), (7_999, 1), (1, 1), (0, 0)])
def test_a_quarter_more_instructions_is_a_regression(recorded, grew):
    """Up to 25 % more is accepted; a program without a record is new, not worse."""
    assert len(regressions({"sid": {"process_exec": recorded}}, [made()])) == grew


def test_small_programs_may_grow():
    """Below 500 instructions a share of growth means nothing."""
    assert regressions({"sid": {"process_exec": 10}}, [made(verified={"process_exec": 400})]) == []


def test_the_page_says_what_the_verifier_walked_and_why_not():
    """docs/kernels.md has numbers for attached programs, and the reason of each refusal once."""
    page = markdown([made(), made("trixie", kernel="8.8")])
    assert "| `process_exec` | 10,000 | 10,000 |" in page
    assert page.count("refused: opens go unseen") == 1
    assert "(9.9, 8.8)" in page


def test_the_archive_is_one_that_cpio_reads(tmp_path):
    """The initial file system is a valid newc archive (skipped where no cpio is there to say so)."""
    archive = _entry("bin", 0o040755, b"") + _entry("bin/x", 0o100755, b"12345") + _entry("TRAILER!!!", 0, b"")
    (tmp_path / "a").write_bytes(archive)
    try:
        listed = subprocess.run(["cpio", "-t"], input=archive, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("needs cpio")
    assert listed.split() == [b"bin", b"bin/x"]
    assert len(archive) % 4 == 0
    assert gzip.decompress(gzip.compress(archive)) == archive


def test_a_command_that_fails_is_unavailable_with_its_last_words(tmp_path, monkeypatch):
    """What apt said last is the reason a kernel is skipped."""
    monkeypatch.setattr(
        "tests.kernels.fetch._sources", lambda suite: f"deb [trusted=yes] file:{tmp_path} {suite} main\n"
    )
    with pytest.raises(UnavailableError, match="linux-image-amd64"):
        _Apt(tmp_path / "home", "sid").update()
