"""Profiles on disk: one JSON file, replaced atomically."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from agent.errors import AgentError
from detection.baseline.archive import FORMAT, ArchiveError, profile_from_dict, profile_to_dict
from detection.baseline.profile import Profile, ProfileConfig

MAX_FILE = 512 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class ProfileFileError(AgentError):
    """The file of profiles cannot be read or written, or is not one."""


def write_profiles(path: Path, profiles: Iterable[Profile], now_ns: int) -> None:
    """Write all profiles; the file is either the old or the new one, even after a power cut.

    Raises: ProfileFileError.
    """
    document = {"format": FORMAT, "saved_ns": now_ns, "profiles": [profile_to_dict(p) for p in profiles]}
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, _CREATE, 0o600), "wb") as file:
            file.write(orjson.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise ProfileFileError(
            f"profiles could not be saved to {path}: {error}; check that the directory is writable and has room"
        ) from error


def read_profiles(path: Path, config: ProfileConfig) -> list[Profile]:
    """All profiles of a file; none where there is no file yet. Raises: ProfileFileError."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise ProfileFileError(
                f"profiles in {path}: larger than {MAX_FILE >> 20} MiB; move the file away to start anew"
            )
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, orjson.JSONDecodeError) as error:
        raise ProfileFileError(
            f"profiles in {path} cannot be read: {error}; move the file away to start anew"
        ) from error
    return _profiles(document, path, config)


def _profiles(document: Any, path: Path, config: ProfileConfig) -> list[Profile]:
    if not isinstance(document, dict) or not isinstance(document.get("profiles"), list):
        raise ProfileFileError(f"profiles in {path}: not a file of profiles; move it away to start anew")
    if document.get("format") != FORMAT:
        raise ProfileFileError(
            f"profiles in {path}: format {str(document.get('format'))[:20]!r}, this version reads {FORMAT}; "
            "use the version that wrote it, or move it away to start anew"
        )
    try:
        return [profile_from_dict(entry, config) for entry in document["profiles"]]
    except ArchiveError as error:
        raise ProfileFileError(f"profiles in {path}: {error}; move the file away to start anew") from error


def set_aside(path: Path) -> str:
    """Rename a broken file so that the next save does not overwrite the evidence; says where it went."""
    aside = path.with_name(path.name + ".broken")
    try:
        path.replace(aside)
    except OSError as error:
        return f"could not be set aside: {error}"
    return f"set aside as {aside}"


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
