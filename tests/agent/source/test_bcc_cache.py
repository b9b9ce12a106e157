"""Compiled programs that were kept: taken where nothing changed, and only where nobody else could have written them."""

from pathlib import Path

import pytest

from agent.errors import SourceError
from agent.source.bcc_cache import ProgramCache, digest

PROGRAMS = {"one": b"\1\2", "two": b""}


def never() -> dict[str, bytes]:
    raise AssertionError("compiled although it was kept")


@pytest.fixture
def cache(tmp_path: Path) -> ProgramCache:
    return ProgramCache(tmp_path / "cache")


def test_what_was_compiled_is_kept(cache, tmp_path):
    """The second start compiles nothing; nobody but the owner can write what is kept."""
    assert cache.programs("k", lambda: dict(PROGRAMS)) == PROGRAMS
    assert cache.programs("k", never) == PROGRAMS
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "cache").iterdir()}
    assert modes == {"bcc-k.json": 0o600}


def test_a_failed_compilation_keeps_nothing(cache, tmp_path):
    """The error comes through."""

    def fail() -> dict[str, bytes]:
        raise SourceError("no")

    with pytest.raises(SourceError, match="no"):
        cache.programs("k", fail)
    assert cache.programs("k", lambda: dict(PROGRAMS)) == PROGRAMS


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"programs": {"one": "zz"}}', b'{"sum": "", "programs": {}}'])
def test_what_is_torn_is_compiled_anew(cache, tmp_path, content):
    """Cut short, of another shape, or with another sum."""
    cache.programs("k", lambda: dict(PROGRAMS))
    (tmp_path / "cache/bcc-k.json").write_bytes(content)
    assert cache.programs("k", lambda: {"new": b"\3"}) == {"new": b"\3"}
    assert cache.programs("k", never) == {"new": b"\3"}


@pytest.mark.parametrize("what", ["cache", "cache/bcc-k.json"])
def test_what_others_could_have_written_is_not_believed(cache, tmp_path, what):
    """A directory or file writable by others would let them put programs into the kernel."""
    cache.programs("k", lambda: dict(PROGRAMS))
    (tmp_path / what).chmod(0o777)
    assert cache.programs("k", lambda: {"new": b"\3"}) == {"new": b"\3"}


def test_two_are_kept(cache, tmp_path):
    """This kernel's and one before; those of older kernels go."""
    for key in "abc":
        cache.programs(key, lambda: dict(PROGRAMS))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert cache.programs("c", never) == PROGRAMS


def test_everything_that_matters_is_in_the_digest(tmp_path):
    """Sources, programs, numbers of maps, the kernel's configuration."""
    headers = tmp_path / "include/generated/autoconf.h"
    headers.parent.mkdir(parents=True)
    headers.write_text("a")
    base = digest("text", ["p"], {"m": 1}, tmp_path)
    assert base == digest("text", ["p"], {"m": 1}, tmp_path)
    others = {digest("else", ["p"], {"m": 1}, tmp_path), digest("text", ["q"], {"m": 1}, tmp_path)}
    others.add(digest("text", ["p"], {"m": 2}, tmp_path))
    headers.write_text("b")
    assert base not in others | {digest("text", ["p"], {"m": 1}, tmp_path)}
