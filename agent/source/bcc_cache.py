"""Programs compiled by BCC, kept: compiling takes most of a start, and what comes out follows from what went in."""

import hashlib
import json
import logging
import os
import platform
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

CACHE = Path("/var/cache/vedette")
_COMPILER = Path("/usr/lib/python3/dist-packages/bcc/__init__.py")
_CONFIGURATION = Path("include/generated/autoconf.h")
_PREFIX, _KEPT = "bcc-", 2  # this kernel's, and the one before an update


def digest(text: str, programs: Iterable[str], maps: Mapping[str, int], headers: Path) -> str:
    """What a compilation depends on: sources, programs, numbers of maps, this kernel and its configuration, BCC."""
    parts = [text, *programs, repr(sorted(maps.items())), platform.release(), platform.version(), platform.machine()]
    for path in (headers / _CONFIGURATION, _COMPILER):
        try:
            parts.append(path.read_text())
        except OSError:
            parts.append("")  # then its absence is part of it
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class ProgramCache:
    """Name → bytecode by digest, in a directory only the agent's user may write to; others' are not believed."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def programs(self, key: str, compile_them: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
        """Those kept under the key, else what `compile_them` gives, kept from then on. Raises: what it raises."""
        kept = self._read(key)
        if kept is None:
            kept = compile_them()
            self._write(key, kept)
        return kept

    def _path(self, key: str) -> Path | None:
        return self._directory / f"{_PREFIX}{key}.json" if self._directory else None

    def _read(self, key: str) -> dict[str, bytes] | None:
        """None where there is none, it is torn, or somebody else could have written it."""
        path = self._path(key)
        try:
            if path is None or not (_is_ours(path.parent) and _is_ours(path)):
                return None
            raw = json.loads(path.read_bytes())
            body = {str(name): bytes.fromhex(code) for name, code in raw["programs"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return body if raw.get("sum") == _sum(body) else None

    def _write(self, key: str, programs: Mapping[str, bytes]) -> None:
        """What cannot be kept is compiled again next time."""
        path = self._path(key)
        if path is None:
            return
        text = json.dumps({"sum": _sum(programs), "programs": {n: code.hex() for n, code in programs.items()}})
        beside = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(path.parent):
                raise PermissionError(0, "others may write there")
            beside.write_text(text)
            beside.chmod(0o600)
            beside.replace(path)
            self._forget(path)
        except OSError as error:
            log.warning("%s: %s; the sensor is compiled anew at each start", path, error.strerror)

    def _forget(self, newest: Path) -> None:
        others = (path for path in newest.parent.glob(f"{_PREFIX}*.json") if path != newest)
        for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
            old.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether nobody but this user can have written it."""
    status = path.lstat()
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _sum(programs: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name, code in sorted(programs.items()):
        whole.update(f"{name} {len(code)}\n".encode() + code)
    return whole.hexdigest()
