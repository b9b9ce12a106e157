"""Profiles on disk: one file of lines, replaced atomically, the one before it kept.

First line: format and time. Then one profile a line (JSON), so that neither side holds more than one as text. Last
line: how many, and a checksum of all before it. A file that was cut, or changed, is thus told from a whole one, and the
previous one (`….previous`) is taken instead. Format 1 was one JSON document.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from agent.errors import AgentError
from detection.baseline.archive import FORMAT, ArchiveError, profile_from_dict, profile_to_dict
from detection.baseline.migration import from_format_1
from detection.baseline.profile import Profile, ProfileConfig

MAX_FILE = 512 << 20
_MAX_LINE = 64 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FORMAT = 1


class ProfileFileError(AgentError):
    """The file of profiles cannot be read or written, or is not one."""


def previous_of(path: Path) -> Path:
    """Where the file before this one is kept."""
    return path.with_name(path.name + ".previous")


def write_profiles(path: Path, profiles: Iterable[Profile], now_ns: int) -> None:
    """Write all profiles; the file is either the old or the new one, even after a power cut.

    Raises: ProfileFileError; the files that were there stay, and the room the new one took is given back.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, _CREATE, 0o600), "wb") as file:
            _write(file, profiles, now_ns)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            path.replace(previous_of(path))
        fresh.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        _drop(fresh)
        raise ProfileFileError(
            f"profiles could not be saved to {path}: {error}; check that the directory is writable and has room"
        ) from error


def _write(file: IO[bytes], profiles: Iterable[Profile], now_ns: int) -> None:
    digest, count = hashlib.blake2b(digest_size=16), 0

    def put(document: dict[str, Any]) -> None:
        line = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        digest.update(line)
        file.write(line)

    put({"format": FORMAT, "saved_ns": now_ns})
    for profile in profiles:
        put(profile_to_dict(profile))
        count += 1
    file.write(orjson.dumps({"profiles": count, "checksum": digest.hexdigest()}, option=orjson.OPT_APPEND_NEWLINE))


def read_profiles(path: Path, config: ProfileConfig) -> list[Profile]:
    """All profiles of a file; none where there is no file yet. Raises: ProfileFileError."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE:
                raise ProfileFileError(
                    f"profiles in {path}: larger than {MAX_FILE >> 20} MiB; move the file away to start anew"
                )
            return [profile_from_dict(document, config) for document in _documents(file, path)]
    except FileNotFoundError:
        return []
    except ArchiveError as error:
        raise ProfileFileError(f"profiles in {path}: {error}; move the file away to start anew") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise ProfileFileError(
            f"profiles in {path} cannot be read: {error}; move the file away to start anew"
        ) from error


def _documents(file: IO[bytes], path: Path) -> Iterator[Any]:
    """The profiles as plain data, once it is certain that the file is whole."""
    first = file.readline(_MAX_LINE)
    head = orjson.loads(first)
    if not isinstance(head, dict) or "format" not in head:
        raise ProfileFileError(f"profiles in {path}: not a file of profiles; move it away to start anew")
    if head["format"] == _OLD_FORMAT:
        yield from map(from_format_1, _old_profiles(orjson.loads(first + file.read()), path))
        return
    if head["format"] != FORMAT:
        raise ProfileFileError(
            f"profiles in {path}: format {str(head['format'])[:20]!r}, this version reads {_OLD_FORMAT} and {FORMAT}; "
            "use the version that wrote it, or move it away to start anew"
        )
    _check(file, first, path)
    file.seek(len(first))
    line = file.readline()
    while following := file.readline():
        yield orjson.loads(line)
        line = following


def _check(file: IO[bytes], first: bytes, path: Path) -> None:
    digest, line, count = hashlib.blake2b(first, digest_size=16), file.readline(), 0
    while following := file.readline():
        digest.update(line)
        count += 1
        line = following
    try:
        whole = orjson.loads(line) == {"profiles": count, "checksum": digest.hexdigest()}
    except orjson.JSONDecodeError:
        whole = False
    if not whole:
        raise ProfileFileError(f"profiles in {path}: the file was cut or changed (its checksum is another)")


def _old_profiles(document: Any, path: Path) -> list[Any]:
    profiles = document.get("profiles")
    if not isinstance(profiles, list):
        raise ProfileFileError(f"profiles in {path}: not a file of profiles; move it away to start anew")
    return profiles


def read_latest(path: Path, config: ProfileConfig) -> tuple[list[Profile], ProfileFileError | None]:
    """The profiles of the newest whole file, and what was wrong with a newer one, which is set aside.

    Raises: ProfileFileError where none is whole.
    """
    before = previous_of(path)
    if not path.exists():
        return read_profiles(before, config), None
    try:
        return read_profiles(path, config), None
    except ProfileFileError as error:
        aside = set_aside(path)
        problem = f"{error} ({aside}; "
    if not before.exists():
        raise ProfileFileError(f"{problem}learning starts afresh)")
    try:
        profiles = read_profiles(before, config)
    except ProfileFileError as error:
        raise ProfileFileError(f"{problem}the one before it is no better: {error}; {set_aside(before)})") from error
    return profiles, ProfileFileError(f"{problem}the one before it is used)")


class Pace:
    """When to save again: so that saving takes at most a hundredth of the time, however much there is to save."""

    def __init__(self, share: float = 0.01) -> None:
        self._share = share
        self._next_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """Whether enough time has passed since the last one."""
        return now_s >= self._next_s

    def took(self, seconds: float, now_s: float) -> None:
        """A save ended now, after so many seconds."""
        self._next_s = now_s + seconds / self._share


def set_aside(path: Path) -> str:
    """Rename a broken file so that the next save does not overwrite the evidence; says where it went."""
    aside = path.with_name(path.name + ".broken")
    try:
        path.replace(aside)
    except OSError as error:
        return f"could not be set aside: {error}"
    return f"set aside as {aside}"


def _drop(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # a directory of that name: it takes no room


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
