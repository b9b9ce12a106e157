"""Budgets: how many records of a class one cgroup may have reported, and who is over it."""

from collections.abc import Iterator, Mapping
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

from agent.errors import ConfigError
from agent.events import EventType
from agent.source.libbpf import LibBpf
from agent.source.port import ThrottleState

_LIMIT = Struct("=QQ")  # struct limit in bpf/include/maps.h
_KEY = Struct("=QII")  # struct budget_key
_THROTTLED = Struct("=QQ")  # struct throttled
_WHOLE_AT = Struct("=Q")
_ENTRIES = 4096  # THROTTLED_ENTRIES
_ENOENT = 2
_NS = 1_000_000_000


class Limit(NamedTuple):
    """Records a second on average, and how many at once."""

    per_s: int
    burst: int


# Far above what workloads do that are new all the time, and what the agent takes in: 5,000 opens are 5 % of a core.
# Programs and privileged calls have no limit: they are never held back.
LIMITS: Mapping[EventType, Limit] = MappingProxyType(
    {
        EventType.OPEN: Limit(5000, 20_000),
        EventType.CONNECT: Limit(5000, 20_000),
        EventType.ACCEPT: Limit(5000, 20_000),
        EventType.CHMOD: Limit(2000, 10_000),
        EventType.PATH: Limit(5000, 20_000),
        EventType.SOCKET: Limit(5000, 20_000),
        EventType.DNS: Limit(5000, 20_000),
    }
)
UNLIMITED: Mapping[EventType, Limit] = MappingProxyType({})


def parse_limit(text: str) -> tuple[EventType, Limit]:
    """`open=5000/20000`: class, records a second, how many at once; `open=0` is no limit. Raises: ConfigError."""
    name, _, numbers = text.partition("=")
    per_s, _, burst = numbers.partition("/")
    kinds = {kind.name.lower(): kind for kind in LIMITS}
    try:
        limit = Limit(int(per_s), int(burst or per_s))
    except ValueError:
        limit = Limit(-1, -1)
    if name not in kinds or not 0 <= limit.per_s <= _NS or not limit.per_s <= limit.burst <= _NS:
        raise ConfigError(
            f"--limit {text}: write CLASS=RATE/BURST, such as open=5000/20000; classes: {', '.join(kinds)}"
        )
    return kinds[name], limit


class Throttles:
    """The kernel's budgets and who is over them."""

    def __init__(self, lib: LibBpf, limits_fd: int, budgets_fd: int, throttled_fd: int) -> None:
        self._lib, self._limits_fd, self._budgets_fd, self._fd = lib, limits_fd, budgets_fd, throttled_fd
        self._burst_ns: dict[EventType, int] = {}
        self._keys = lib.ffi.new("char[]", _ENTRIES * _KEY.size)
        self._values = lib.ffi.new("char[]", _ENTRIES * _THROTTLED.size)

    def set_limits(self, limits: Mapping[EventType, Limit]) -> None:
        """Classes without a limit are never held back. Raises: SourceError."""
        for kind in EventType:
            limit = limits.get(kind)
            cost = _NS // limit.per_s if limit and limit.per_s else 0
            self._burst_ns[kind] = cost * limit.burst if limit else 0
            key = self._lib.ffi.new("uint32_t *", kind)
            value = _LIMIT.pack(cost, self._burst_ns[kind])
            self._lib.call(self._lib.bpf.bpf_map_update_elem(self._limits_fd, key, value, 0), "cannot set a limit")

    def active(self) -> list[ThrottleState]:
        """Who is over its budget."""
        return [state for _, state in self._entries()]

    def release(self, now_ns: int) -> list[ThrottleState]:
        """Those that were over their budget and are not any more (CLOCK_BOOTTIME), taken out.

        The kernel takes out, and reports, those whose next record came; here are the ones that fell silent.
        """
        return [
            state
            for raw, state in self._entries()
            if self._has_recovered(raw, state.type, now_ns) and not self._lib.bpf.bpf_map_delete_elem(self._fd, raw)
        ]

    def _has_recovered(self, raw: bytes, kind: EventType, now_ns: int) -> bool:
        value = self._lib.ffi.new("char[]", _WHOLE_AT.size)
        if self._lib.bpf.bpf_map_lookup_elem(self._budgets_fd, raw, value):
            return True
        (whole_at,) = _WHOLE_AT.unpack(bytes(self._lib.ffi.buffer(value)))
        return bool(whole_at < now_ns + self._burst_ns.get(kind, 0) // 2)

    def _entries(self) -> Iterator[tuple[bytes, ThrottleState]]:
        ffi = self._lib.ffi
        count, place = ffi.new("uint32_t *", _ENTRIES), ffi.new("uint64_t *")
        keys, values = self._keys, self._values
        result = self._lib.bpf.bpf_map_lookup_batch(self._fd, ffi.NULL, place, keys, values, count, ffi.NULL)
        if result not in (0, -_ENOENT):
            self._lib.call(result, "cannot read who is throttled")
        raw_keys = bytes(ffi.buffer(keys, count[0] * _KEY.size))
        raw_values = bytes(ffi.buffer(values, count[0] * _THROTTLED.size))
        for i, (since_ns, held_back) in enumerate(_THROTTLED.iter_unpack(raw_values)):
            raw = raw_keys[i * _KEY.size : (i + 1) * _KEY.size]
            cgroup_id, kind, _ = _KEY.unpack(raw)
            yield raw, ThrottleState(cgroup_id, EventType(kind), since_ns, held_back)
