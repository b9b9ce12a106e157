"""How often behaviours the kernel's filter knows happened again, from what it says their count is."""

from collections.abc import Iterable, Iterator

from agent.rates.tally import matters
from agent.source.port import BehaviourKey

_LIMIT = 1 << 17


class Growth:
    """Remembers the last count of each behaviour that rates are made of, under a hash: some 100 bytes each.

    Bounded: when it is full it forgets all, counted in `forgotten`; the next count of each is then taken for news.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._counts: dict[int, int] = {}
        self.forgotten = 0

    def of(self, behaviours: Iterable[tuple[BehaviourKey, int]]) -> Iterator[tuple[BehaviourKey, int]]:
        """Behaviours that happened again, and how many times since the last look.

        The first time is not among them: a record told it. A count that shrank began anew.
        """
        for key, count in behaviours:
            if not matters(key):
                continue
            ident = hash(key)
            before = self._counts.get(ident, 1)
            if before == count:
                continue
            self._remember(ident, count)
            growth = count - before if count > before else count - 1
            if growth > 0:
                yield key, growth

    def _remember(self, ident: int, count: int) -> None:
        if len(self._counts) >= self._limit and ident not in self._counts:
            self.forgotten += len(self._counts)
            self._counts.clear()
        self._counts[ident] = count
