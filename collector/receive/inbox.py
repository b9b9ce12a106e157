"""Between the network and the commit: records that came while the last batch was being written."""

import asyncio

from collector.stream import Record

_OVERHEAD = 128


class Inbox:
    """Bounded by bytes: `put` waits, and with it the network. What is taken at once becomes one transaction."""

    def __init__(self, limit_bytes: int = 4 << 20) -> None:
        self._limit = limit_bytes
        self._items: list[Record] = []
        self._bytes = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, record: Record) -> bool:
        """Add one, waiting for room; False when closed."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._bytes < self._limit)
            if self._closed:
                return False
            self._items.append(record)
            self._bytes += len(record.payload) + _OVERHEAD
            self._changed.notify_all()
            return True

    async def take(self) -> list[Record]:
        """Everything there is, waiting for something; [] once it is closed and empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or bool(self._items))
            items, self._items, self._bytes = self._items, [], 0
            self._changed.notify_all()
            return items

    async def close(self) -> None:
        """Take no more; what is there can still be taken."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
