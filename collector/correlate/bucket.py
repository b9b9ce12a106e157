"""Findings under one key value, in order of time, so that each meets only its nearest neighbours."""

from bisect import bisect_left, insort

from collector.correlate.rules import PEER_HOMES, Half, JoinRule

Stamp = tuple[int, str]  # event time, finding id
Neighbour = tuple[Half, Stamp, bool]  # its half, its stamp, whether it is the earlier one


class Bucket:
    """All findings that share one value of one key.

    Joining each finding to the nearest before and after it, in every part it may meet, connects the same findings as
    joining every pair would: what lies between two neighbours only shortens the gaps. `dead` once the value
    is shared by too many homes; it stays so until the bucket is empty.
    """

    __slots__ = ("_parts", "dead", "rule", "size", "value")

    def __init__(self, rule: JoinRule, value: str) -> None:
        self.rule = rule
        self.value = value
        self.dead = False
        self.size = 0
        self._parts: dict[Half, list[Stamp]] = {}

    def add(self, half: Half, stamp: Stamp) -> bool:
        """Put a finding in; True when this made the value lose its joining power."""
        self.size += 1
        part = self._parts.get(half)
        if part is not None:
            insort(part, stamp)
            return False
        self._parts[half] = [stamp]
        if self.dead or not self._crowded():
            return False
        self.dead = True
        return True

    def discard(self, half: Half, stamp: Stamp) -> bool:
        """Take a finding out; True when the bucket is empty now."""
        part = self._parts.get(half, [])
        at = bisect_left(part, stamp)
        if at < len(part) and part[at] == stamp:
            del part[at]
            self.size -= 1
            if not part:
                del self._parts[half]
        return not self._parts

    def neighbours(self, half: Half, stamp: Stamp) -> list[Neighbour]:
        """The nearest findings before and after, in every part."""
        found: list[Neighbour] = []
        if self.dead:
            return found
        for other, part in self._parts.items():
            at = bisect_left(part, stamp)
            if at:
                found.append((other, part[at - 1], True))
            if other == half:
                at += 1
            if at < len(part):
                found.append((other, part[at], False))
        return found

    def affected(self, half: Half, stamp: Stamp) -> list[Neighbour]:
        """`neighbours`, and those in other parts whose nearest finding in this part is now this one."""
        found = self.neighbours(half, stamp)
        if self.dead or len(self._parts) == 1:
            return found
        own = self._parts[half]
        at = bisect_left(own, stamp)
        before = own[at - 1] if at else None
        after = own[at + 1] if at + 1 < len(own) else None
        for other, part in self._parts.items():
            if other != half:
                start = 0 if before is None else bisect_left(part, before)
                stop = len(part) if after is None else bisect_left(part, after)
                found += [(other, near, near < stamp) for near in part[start:stop]]
        return found

    def ids(self) -> list[str]:
        """Every finding in it."""
        return [finding_id for part in self._parts.values() for _, finding_id in part]

    def homes(self) -> int:
        """How many homes of the counted sides share the value."""
        counted = self.rule.counted
        return len({home for side, home in self._parts if side in counted})

    def _crowded(self) -> bool:
        if not self.rule.homes or len(self._parts) <= self.rule.homes:
            return False
        return self.homes() > self.rule.homes or len(self._parts) > PEER_HOMES
