"""Wakes readers when something was committed. It holds no events: everyone reads those from the store."""

import asyncio
import contextlib


class Feed:
    """The newest position, and a way to wait for it to move. For one event loop."""

    def __init__(self) -> None:
        self.newest = 0
        self._moved = asyncio.Event()

    def notify(self, cursor: int) -> None:
        """Something up to this position is committed."""
        if cursor > self.newest:
            self.newest = cursor
            self._moved.set()
            self._moved = asyncio.Event()

    async def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until the newest position is beyond `after`; False when it is not in time."""
        moved = self._moved
        if self.newest > after:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(moved.wait(), timeout_s)
        return self.newest > after
