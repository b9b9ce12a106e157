"""Where a follower stands in a log file, kept on disk so that a restart loses nothing."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

FINGERPRINT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Position:
    """Everything before `offset` is committed. The file is the one with this inode whose first
    `head_bytes` bytes have this hash (an inode alone is reused)."""

    inode: int
    offset: int
    head_bytes: int
    head_hash: str


class Checkpoint:
    """A position in a small JSON file, replaced atomically and synced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Position | None:
        """The saved position; None when there is none. Raises: ValueError when the file is not a checkpoint."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        value = orjson.loads(data)
        fields = value if isinstance(value, dict) else {}
        numbers = [fields.get(key) for key in ("inode", "offset", "head_bytes")]
        head_hash = fields.get("head_hash")
        inode, offset, head_bytes = (n if isinstance(n, int) and n >= 0 else -1 for n in numbers)
        if min(inode, offset, head_bytes) < 0 or not isinstance(head_hash, str):
            raise ValueError("not a checkpoint: a field is missing or of the wrong type")
        return Position(inode, offset, head_bytes, head_hash)

    def save(self, position: Position) -> None:
        """Replace the saved position. Blocks for the disk. Raises: OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(self._path.name + ".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, orjson.dumps(asdict(position)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(self._path)


def fingerprint(descriptor: int, length: int = FINGERPRINT_BYTES) -> tuple[int, str]:
    """How many first bytes (at most `length`) the file has, and their hash."""
    head = os.pread(descriptor, length, 0)
    return len(head), hashlib.sha256(head).hexdigest()
