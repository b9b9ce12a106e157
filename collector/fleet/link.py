"""One connected agent, as the fleet sees it: which workloads it runs, and what it is to be sent next."""

import asyncio

from collector.store.profiles import ProfileKey


class Link:
    """For one event loop. What is due is a set: the newest merge is sent, however often it changed meanwhile."""

    def __init__(self, agent_id: str, limit: int) -> None:
        self.agent_id = agent_id
        self.runs: set[ProfileKey] = set()
        self.sent: dict[ProfileKey, str] = {}  # print of the newest merge that was sent
        self.decided: set[ProfileKey] = set()  # of these it has decisions
        self._limit = limit
        self._due: dict[ProfileKey, None] = {}
        self._woken = asyncio.Event()

    def announce(self, key: ProfileKey) -> bool:
        """The agent runs this; whether that is news. No more are taken than it may have."""
        if key in self.runs or len(self.runs) >= self._limit:
            return False
        self.runs.add(key)
        self.offer(key)
        return True

    def offer(self, key: ProfileKey) -> None:
        """There is something new to send, if it runs this."""
        if key in self.runs:
            self._due[key] = None
            self._woken.set()

    async def next(self) -> ProfileKey:
        """What to send next; waits for it."""
        while not self._due:
            self._woken.clear()
            await self._woken.wait()
        key = next(iter(self._due))
        del self._due[key]
        return key
