"""A sink's two files: how far it has come, and what its far end would not take."""

import os
import time
from pathlib import Path

import orjson

from collector.errors import ConfigError
from collector.plain import plain
from collector.publish.sinks.port import Item

CAP_BYTES = 16 * 1024 * 1024
_BODY = 64 * 1024


class Position:
    """The cursor up to which everything is delivered, in a small file that is replaced and synced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> int | None:
        """The saved cursor; None before the first. Raises: ConfigError when the file holds something else."""
        try:
            value = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        cursor = value.get("cursor") if isinstance(value, dict) else None
        if not isinstance(cursor, int) or isinstance(cursor, bool) or cursor < 0:
            raise self._unreadable(ValueError("no cursor in it"))
        return cursor

    def save(self, cursor: int) -> None:
        """Replace it. Blocks for the disk. Raises: OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_name(self._path.name + ".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, orjson.dumps({"cursor": cursor}))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(self._path)

    def _unreadable(self, error: Exception) -> ConfigError:
        return ConfigError(f"sink position {self._path}: {error}; delete it to begin where `start` says")


class DeadLetter:
    """Appends one JSON line (time_ns, sink, cursor, id, reason, body) per refused event, up to a cap.

    The file is for its owner only; whoever looked into it deletes it.
    """

    def __init__(self, path: Path, cap_bytes: int = CAP_BYTES) -> None:
        self.path = path
        self._cap = cap_bytes

    def add(self, sink: str, item: Item, reason: str) -> bool:
        """Keep it, synced; False when there is no room. Raises: OSError."""
        line = orjson.dumps(
            {
                "time_ns": time.time_ns(),
                "sink": sink,
                "cursor": item.cursor,
                "id": item.subject.id,
                "reason": plain(reason, 512),
                "body": item.body[:_BODY].decode(errors="replace"),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(line) > self._cap:
                return False
            os.write(descriptor, line)
            os.fsync(descriptor)
            return True
        finally:
            os.close(descriptor)
