"""What one run leaves for the next: when it last said anything, so that no gap between runs is hidden."""

import os
from pathlib import Path

import orjson


class RunHistory:
    """Keeps the time of the newest ledger entry in a small file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.previous_entry_ns = self._read()

    def _read(self) -> int:
        try:
            value = orjson.loads(self._path.read_bytes())
            return int(value["last_entry_ns"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0  # unreadable is unknown: the ledger then says "no previous run known"

    def record(self, time_ns: int) -> None:
        """Remember that the ledger had an entry at `time_ns` (Unix). Raises: OSError."""
        new = self._path.with_suffix(".new")
        with new.open("wb") as f:
            f.write(orjson.dumps({"last_entry_ns": time_ns}))
            f.flush()
            os.fsync(f.fileno())
        new.replace(self._path)
