"""The known members of one class, kept compactly: an agent may hold a million of them.

A Python object for each would cost half a kilobyte. Here a member is eight numbers in one array, the end of its
name in one byte string, and a place in an open-addressed index: about sixty bytes. What many names begin with
("/usr/sbin/nginx → /var/lib/nginx/") is kept once.
"""

from array import array
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_ARROW = " → ".encode()
_HEAD, _END, _COUNT, _UNITS, _FIRST_UNIT, _FIRST_S, _LAST_S, _INSTANCES, _WIDTH = range(9)
_GONE = 0xFFFFFFFF  # as a head: the row is no member any more
_LARGEST = 0xFFFFFFFF
_SECOND_NS = 1_000_000_000
_SMALLEST_INDEX = 8
INSTANCE_BITS = 32
MOST_SLOTS = 255


class Member(NamedTuple):
    """A snapshot of one known behaviour. Times have whole seconds.

    `units` is its incidence and 0 while its first unit is open; `first_unit` the ordinal of the first unit that had it.
    `slots` is in how many slots it was seen, up to 255. `instances` is a bit set of those that showed it: bit i stands
    for every 32nd instance from the i-th on.
    """

    name: str
    count: int = 0  # type: ignore[assignment]  # hides the method of tuples
    units: int = 0
    first_unit: int = 0
    first_ns: int = 0
    last_ns: int = 0
    instances: int = 0
    row: int = -1
    slots: int = 0

    @property
    def spread(self) -> int:
        """How many instances showed it, at least."""
        return self.instances.bit_count()


class Members(Mapping[str, Member]):
    """Members by name. Reading gives snapshots; who writes goes by row. A row stays what it is until it is removed."""

    __slots__ = ("_head_ids", "_head_sizes", "_heads", "_index", "_rows", "_size", "_slots", "_text")

    def __init__(self) -> None:
        self._size = 0
        self._rows = array("I")
        self._slots = array("B")
        self._text = bytearray()
        self._index = array("I")  # row + 1; 0 is free
        self._heads: list[bytes] = []
        self._head_sizes = array("I")
        self._head_ids: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return (self.name(row) for row in self.rows())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) >= 0

    def __getitem__(self, name: str) -> Member:
        row = self.find(name)
        if row < 0:
            raise KeyError(name)
        return self.at(row)

    def rows(self) -> Iterator[int]:
        """The rows of all members, oldest first."""
        rows = self._rows
        return (at // _WIDTH for at in range(0, len(rows), _WIDTH) if rows[at] != _GONE)

    def some(self, most: int) -> list[str]:
        """The names of up to `most` members, evenly from the oldest to the newest."""
        rows, count = self._rows, len(self._rows) // _WIDTH
        step = -(-count // most) or 1
        return [self.name(row) for row in range(0, count, step) if rows[row * _WIDTH] != _GONE]

    def find(self, name: str) -> int:
        """The row of a member; -1 for none."""
        data = name.encode("utf-8", "surrogatepass")
        cut = _cut(data)
        head = self._head_ids.get(data[:cut])
        if head is None:
            return -1
        return self._probe(head, data[cut:])[0]

    def at(self, row: int) -> Member:
        """The member in a row."""
        base = row * _WIDTH
        _, _, count, units, first_unit, first_s, last_s, instances = self._rows[base : base + _WIDTH]
        return Member(
            self.name(row), count, units, first_unit, first_s * _SECOND_NS, last_s * _SECOND_NS, instances, row,
            self._slots[row],
        )  # fmt: skip

    def name(self, row: int) -> str:
        """The name of the member in a row."""
        return (self._heads[self._rows[row * _WIDTH]] + self._tail(row)).decode("utf-8", "surrogatepass")

    def current(self, row: int) -> int:
        """The row that holds now what this row was made for: itself, the one it went into, or -1 for none."""
        rows = self._rows
        while rows[row * _WIDTH] == _GONE:
            row = rows[row * _WIDTH + _COUNT] - 1  # where it went, plus one
            if row < 0:
                break
        return row

    def units(self, row: int) -> int:
        """The incidence of the member in a row."""
        return self._rows[row * _WIDTH + _UNITS]

    def add(self, member: Member) -> int:
        """Put in a member whose name is not there yet; its row."""
        if len(self._rows) // _WIDTH * 3 >= len(self._index) * 2:
            self._grow()
        data = member.name.encode("utf-8", "surrogatepass")
        cut = _cut(data)
        head = self._head(data[:cut])
        row, place = len(self._rows) // _WIDTH, self._probe(head, data[cut:])[1]
        self._text += data[cut:]
        numbers = (member.count, member.units, member.first_unit, member.first_ns // _SECOND_NS)
        self._rows.extend((head, len(self._text), *(min(n, _LARGEST) for n in numbers)))
        self._rows.extend((min(member.last_ns // _SECOND_NS, _LARGEST), member.instances & _LARGEST))
        self._slots.append(min(member.slots, MOST_SLOTS))
        self._index[place] = row + 1
        self._head_sizes[head] += 1
        self._size += 1
        return row

    def remove(self, row: int, into: int = -1) -> None:
        """Take a member out, or say into which row it went. Its row is not used again."""
        base = row * _WIDTH
        self._head_sizes[self._rows[base]] -= 1
        self._rows[base] = _GONE
        self._rows[base + _COUNT] = into + 1
        self._size -= 1

    def siblings(self, row: int) -> list[int]:
        """Rows whose names share their beginning with this one's (files of one directory), itself among them."""
        head = self._rows[row * _WIDTH]
        heads = self._rows[_HEAD::_WIDTH]
        return [other for other, number in enumerate(heads) if number == head]

    def sibling_count(self, row: int) -> int:
        """How many rows `siblings` would give."""
        return self._head_sizes[self._rows[row * _WIDTH]]

    def saw(self, row: int, times: int, now_ns: int) -> None:
        """Count `times` more."""
        base, rows = row * _WIDTH, self._rows
        rows[base + _COUNT] = min(rows[base + _COUNT] + times, _LARGEST)
        rows[base + _LAST_S] = max(rows[base + _LAST_S], min(now_ns // _SECOND_NS, _LARGEST))

    def count_unit(self, row: int, unit: int, bit: int) -> int:
        """One more unit, number `unit`, had it, of the instance with that bit; its incidence now."""
        base, rows = row * _WIDTH, self._rows
        units = rows[base + _UNITS] = min(rows[base + _UNITS] + 1, _LARGEST)
        rows[base + _INSTANCES] |= bit
        if units == 1:
            rows[base + _FIRST_UNIT] = unit
        return units

    def count_slot(self, row: int) -> int:
        """One more slot had it, in however many units; how many now, MOST_SLOTS or more as that."""
        slots = self._slots[row]
        if slots < MOST_SLOTS:
            slots = self._slots[row] = slots + 1
        return slots

    def _tail(self, row: int) -> bytes:
        start = self._rows[(row - 1) * _WIDTH + _END] if row else 0
        return bytes(self._text[start : self._rows[row * _WIDTH + _END]])

    def _head(self, head: bytes) -> int:
        number = self._head_ids.get(head)
        if number is None:
            number = self._head_ids[head] = len(self._heads)
            self._heads.append(head)
            self._head_sizes.append(0)
        return number

    def _probe(self, head: int, tail: bytes) -> tuple[int, int]:
        """The row that holds this name (-1: none), and the place of the index where the search ended."""
        index, rows = self._index, self._rows
        if not index:
            return -1, 0
        mask = len(index) - 1
        place = hash((head, tail)) & mask
        while entry := index[place]:
            if rows[(entry - 1) * _WIDTH] == head and self._tail(entry - 1) == tail:
                return entry - 1, place
            place = (place + 1) & mask
        return -1, place

    def _grow(self) -> None:
        size = max(_SMALLEST_INDEX, 2 * len(self._index))
        index = self._index = array("I", bytes(4 * size))
        mask, rows = size - 1, self._rows
        for row in self.rows():
            place = hash((rows[row * _WIDTH], self._tail(row))) & mask
            while index[place]:
                place = (place + 1) & mask
            index[place] = row + 1


def _cut(data: bytes) -> int:
    """Where the shared beginning of a name ends: behind the last slash of a path, else behind the arrow."""
    arrow = data.find(_ARROW)
    begin = arrow + len(_ARROW) if arrow >= 0 else 0
    return begin if data.find(b" ", begin) >= 0 else max(begin, data.rfind(b"/") + 1)
