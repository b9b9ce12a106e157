"""Between the core's thread and the uplink's: profiles on their way up, what the fleet knows on its way down.

Profiles are state: only the newest of each is kept here, nothing is written to the spool, and what a broken connection
took is sent again. A profile goes up when it has news (members, held or condemned behaviours), when its units have
grown by an eighth, or when it was not told for `refresh_s`: so a quiet profile costs a few updates an hour, and what is
sent of one grows with the logarithm of its age.
"""

import secrets
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from agent.rule_mail import RuleMail
from detection.baseline.decision import Decisions
from detection.baseline.parts import Update
from detection.baseline.profile import Profile
from detection.baseline.snapshot import snapshot
from detection.rates.window import RateWindow

T = TypeVar("T")
Key = tuple[str, str]  # workload, version

_SECOND_NS = 1_000_000_000
_WHOLE_EVERY = 32  # updates: what was let go here then goes there too


@dataclass(frozen=True, slots=True)
class ExchangeConfig:
    """Pace and bounds. `waiting`: updates made and not yet sent; `inbox`: profiles and decisions not yet taken."""

    least_s: float = 10.0
    refresh_s: float = 3600.0
    answer_s: float = 60.0
    retry_s: float = 300.0
    waiting: int = 4
    inbox: int = 4096
    windows: int = 4096
    margin_s: float = 120.0  # a behaviour is counted when its slot closes, later than it is seen


class Forest(NamedTuple):
    """What a collector learned from the rates of one workload; see detection/rates/codec.py."""

    workload: str
    version: str
    revision: int
    body: bytes


class _Told:
    """What the collector has of one profile."""

    __slots__ = ("acked", "acked_ns", "content", "number", "pending_ns", "retry_ns", "sent_ns", "units", "updates")

    def __init__(self) -> None:
        self.number = self.acked = self.updates = self.units = 0
        self.sent_ns = self.pending_ns = self.acked_ns = self.retry_ns = 0
        self.content: tuple[int, ...] = ()


class Exchange:
    """The core's thread calls `offer` and the `take_…` methods, the uplink's all others."""

    def __init__(self, config: ExchangeConfig | None = None) -> None:
        self._config = config or ExchangeConfig()
        self._lock = threading.Lock()
        self._looked_ns = 0
        self._run_id = secrets.token_hex(8)
        self._online = self._takes_rates = False
        self._told: dict[Key, _Told] = {}
        self._waiting: dict[Key, Update] = {}
        self._profiles: dict[Key, Update] = {}
        self._decisions: dict[Key, Decisions] = {}
        self._windows: deque[RateWindow] = deque(maxlen=self._config.windows)
        self._forests: dict[Key, Forest] = {}
        self._counts: Counter[str] = Counter()
        self.rules = RuleMail()

    # -- the core's thread

    def offer(self, profiles: Iterable[Profile], now_ns: int) -> None:
        """Look for profiles that have news: new ones at once, others every `least_s`; free without a collector."""
        if not self._online:
            return
        with self._lock:
            every = not 0 <= now_ns - self._looked_ns < self._config.least_s * _SECOND_NS
            for profile in profiles:
                if len(self._waiting) >= self._config.waiting:
                    return  # looked at again at the next call
                if (every or (profile.workload, profile.version) not in self._told) and not is_host(profile.workload):
                    self._consider(profile, now_ns)
            if every:
                self._looked_ns = now_ns
                self._forget()

    def take_profiles(self) -> list[Update]:
        """What the fleet knows, as far as it came since the last call."""
        if not self._profiles:
            return []
        with self._lock:
            taken, self._profiles = list(self._profiles.values()), {}
        return taken

    def take_decisions(self) -> list[Decisions]:
        """What people decided; empty decisions withdraw earlier ones."""
        if not self._decisions:
            return []
        with self._lock:
            taken, self._decisions = list(self._decisions.values()), {}
        return taken

    def offer_windows(self, windows: Iterable[RateWindow]) -> None:
        """Rates to be trained from; the oldest make room. They are dropped while nobody takes them."""
        if not self._takes_rates:
            return
        with self._lock:
            for window in windows:
                self._counts["rate_windows_evicted"] += len(self._windows) == self._config.windows
                self._windows.append(window)

    def take_forests(self) -> list[Forest]:
        """Forests that came since the last call."""
        if not self._forests:
            return []
        with self._lock:
            taken, self._forests = list(self._forests.values()), {}
        return taken

    def counters(self) -> Mapping[str, int]:
        """By what became of them: sent, acked, resent, unanswered; received, inbox_full."""
        return dict(self._counts)

    def _forget(self) -> None:
        """The profiles told longest ago are told anew, if they are still there."""
        while len(self._told) > self._config.inbox:
            del self._told[min(self._told, key=lambda key: self._told[key].sent_ns)]

    def _consider(self, profile: Profile, now_ns: int) -> None:
        told = self._told.get((profile.workload, profile.version))
        if told is None:
            told = self._told[profile.workload, profile.version] = _Told()
        if not self._is_due(told, now_ns):
            return
        units = sum(known.units for known in profile.classes.values())
        content = _content(profile)
        due = not 0 <= now_ns - told.sent_ns < self._config.refresh_s * _SECOND_NS
        if told.acked and not due and content == told.content and units < told.units * 9 // 8 + 8:
            return
        told.units, told.content = units, content
        self._put(profile, told, now_ns)

    def _is_due(self, told: _Told, now_ns: int) -> bool:
        if told.pending_ns:
            if 0 <= now_ns - told.pending_ns < self._config.answer_s * _SECOND_NS:
                return False
            told.pending_ns, told.retry_ns = 0, now_ns + int(self._config.retry_s * _SECOND_NS)
            self._counts["profiles_unanswered"] += 1
        if 0 < told.retry_ns - now_ns <= self._config.retry_s * _SECOND_NS:
            return False
        return not 0 <= now_ns - told.sent_ns < self._config.least_s * _SECOND_NS

    def _put(self, profile: Profile, told: _Told, now_ns: int) -> None:
        # After the clock was set back, times do not tell what changed since.
        base = told.acked if told.updates % _WHOLE_EVERY and now_ns >= told.acked_ns else 0
        since_ns = max(0, told.acked_ns - int(self._config.margin_s * _SECOND_NS)) if base else 0
        told.number += 1
        told.sent_ns = told.pending_ns = now_ns
        update = Update(snapshot(profile, now_ns, since_ns), told.number, base, self._run_id)
        self._waiting[update.key] = update

    # -- the uplink's thread

    def connected(self, features: Iterable[str]) -> None:
        """A collector is there; what it takes beside records."""
        wanted = frozenset(features)
        with self._lock:
            self._online, self._takes_rates = "profiles" in wanted, "rates" in wanted
            self._waiting.clear()
            self._looked_ns = 0
            for told in self._told.values():  # the collector learns anew what this agent runs
                told.pending_ns = told.retry_ns = told.sent_ns = 0
                told.content = ()

    def disconnected(self) -> None:
        """It is gone."""
        self._online = self._takes_rates = False

    def next(self) -> Update | None:
        """What to send now."""
        if not self._waiting:
            return None
        with self._lock:
            if not self._waiting:
                return None
            key = next(iter(self._waiting))
            self._counts["profiles_sent"] += 1
            return self._waiting.pop(key)

    def next_windows(self, limit: int) -> list[RateWindow]:
        """Rates to send now, oldest first."""
        if not self._windows:
            return []
        with self._lock:
            return [self._windows.popleft() for _ in range(min(limit, len(self._windows)))]

    def forest(self, forest: Forest) -> None:
        """A forest for a workload of this agent."""
        with self._lock:
            self._arrive(self._forests, (forest.workload, forest.version), forest)

    def acked(self, key: Key, number: int) -> None:
        """The collector has this; 0: it needs the whole profile."""
        with self._lock:
            told = self._told.get(key)
            if told is None or number > told.number:
                return
            if number == 0:
                told.acked = told.updates = 0
                told.pending_ns = told.sent_ns = 0
                self._counts["profiles_resent"] += 1
            elif number == told.number:
                told.acked, told.acked_ns = number, told.sent_ns
                told.pending_ns = 0
                told.updates += 1
                self._counts["profiles_acked"] += 1

    def profile(self, update: Update) -> None:
        """What the fleet knows of a workload."""
        with self._lock:
            self._arrive(self._profiles, update.key, update)

    def decided(self, decisions: Decisions) -> None:
        """What people decided about a workload."""
        with self._lock:
            self._arrive(self._decisions, (decisions.workload, decisions.version), decisions)

    def _arrive(self, inbox: dict[Key, T], key: Key, value: T) -> None:
        if key not in inbox and len(inbox) >= self._config.inbox:
            self._counts["fleet_inbox_full"] += 1
            return
        inbox[key] = value
        self._counts["fleet_received"] += 1


def is_host(workload: str) -> bool:
    """A host's own profile is about that host: it is not shared."""
    return workload == "host" or workload.startswith("host/")


def _content(profile: Profile) -> tuple[int, ...]:
    """Changes whenever a behaviour comes, goes, or is held or condemned."""
    return tuple(
        number
        for known in profile.classes.values()
        for number in (known.observed, len(known.quarantine), len(known.condemned), known.overflow)
    )
