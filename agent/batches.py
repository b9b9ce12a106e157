"""Batches on their way from the reader thread to the core: bounded by their bytes, not by their number."""

import threading
from collections import deque

from agent.events import RawBatch


class BatchQueue:
    """First in, first out, between one thread that puts and one that gets.

    When the core gets no processor time the kernel's ring is the reserve: its memory is there anyway, and what it
    cannot hold is counted by class. So little waits here.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._waiting: deque[RawBatch] = deque()
        self._bytes = 0
        self._changed = threading.Condition(threading.Lock())

    def put(self, batch: RawBatch) -> None:
        """Wait for room; a batch larger than all of it needs an empty queue."""
        size = len(batch.data)
        with self._changed:
            while self._bytes and self._bytes + size > self._limit:
                self._changed.wait()
            self._waiting.append(batch)
            self._bytes += size
            self._changed.notify_all()

    def get(self, timeout_s: float) -> RawBatch | None:
        """The oldest batch; None when none came in time."""
        with self._changed:
            if not self._waiting and (timeout_s <= 0 or not self._changed.wait_for(self._has_some, timeout_s)):
                return None
            batch = self._waiting.popleft()
            self._bytes -= len(batch.data)
            self._changed.notify_all()
            return batch

    def _has_some(self) -> bool:
        return bool(self._waiting)
