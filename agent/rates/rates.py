"""The rates stage: counts per cgroup, one vector per container and window, held against the workload's forest."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from agent.events import Event, EventType
from agent.rates.config import RateConfig
from agent.rates.episodes import Episodes
from agent.rates.gauges import Gauges, Places, Reading
from agent.rates.growth import Growth
from agent.rates.measure import measured
from agent.rates.models import Models
from agent.rates.tally import Tally
from agent.source.port import BehaviourKey
from agent.workload import Container, Workload
from detection.finding import Finding
from detection.rates.features import LASTING
from detection.rates.judge import judge
from detection.rates.window import RateWindow

log = logging.getLogger(__name__)

_EARLY = 0.9  # a window may end so much before its time: a timer's jitter must not make it twice as long
_STALLED = 2.0  # so much longer than meant, a window resembles no other: the machine slept


class Inhabitant(NamedTuple):
    """A living container, and the cgroups it is in."""

    container: Container
    workload: Workload
    cgroup_ids: tuple[int, ...]


@dataclass(slots=True)
class _Watched:
    """What is remembered of a container between two windows."""

    places: Places
    reading: Reading
    history: deque[RateWindow] = field(default_factory=deque)


class Rates:
    """Single-threaded, as the core that owns it. `clock` gives seconds that nobody sets.

    `count` every record, `recount` what the kernel counted in silence, and at the end of each slot `close_slot`.
    `keep`: the directory models are kept in. Reports nothing of a workload no collector trained a forest for.
    """

    def __init__(
        self,
        node: str,
        gauges: Gauges,
        config: RateConfig | None = None,
        keep: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config or RateConfig()
        self._gauges, self._clock = gauges, clock
        self._tallies: dict[int, Tally] = {}
        self._growth = Growth()
        self._watched: dict[str, _Watched] = {}
        self._held_back: dict[tuple[int, EventType], int] = {}
        self._models = Models(keep, self._config.max_models)
        self._episodes = Episodes(node, self._config.quiet_windows)
        self._waiting: deque[RateWindow] = deque(maxlen=self._config.max_waiting)
        self._counts: Counter[str] = Counter()
        self._opened = clock()
        self._lossy = False
        self._models.load()

    def count(self, event: Event) -> None:
        """One record, whoever it is of. Well below a microsecond."""
        cgroup_id = event.head.task.cgroup_id
        tally = self._tallies.get(cgroup_id)
        if tally is None:
            tally = self._tally(cgroup_id)
        tally.count(event)

    def recount(self, behaviours: Iterable[tuple[BehaviourKey, int]]) -> None:
        """What the kernel's filter says of behaviours: how often each was seen in all."""
        for key, growth in self._growth.of(behaviours):
            self._tally(key.cgroup_id).grown(key, growth)

    def held_back(self, cgroup_id: int, kind: EventType, count: int, *, ended: bool) -> None:
        """A cgroup is over its budget for a class, and so many were held back by now: they happened all the same."""
        scope = (cgroup_id, kind)
        before = self._held_back.pop(scope, 0)
        self._tally(cgroup_id).held_back(kind, count - before if count >= before else count)
        if not ended:
            if len(self._held_back) >= self._config.max_cgroups:
                self._held_back.pop(next(iter(self._held_back)))
            self._held_back[scope] = count

    def note_loss(self) -> None:
        """Events were lost: this window is too low, for whomever."""
        self._lossy = True

    def close_slot(self, now_ns: int, inhabitants: Iterable[Inhabitant]) -> list[Finding]:
        """End the window if it is over: findings of what was out of the ordinary.

        A container that was not there when the window began has none yet; a pod's sandbox never has one.
        """
        now = self._clock()
        seconds = now - self._opened
        if seconds < self._config.window_s * _EARLY:
            return []
        self._opened = now
        found: list[Finding] = []
        alive: dict[str, _Watched] = {}
        for one in inhabitants:
            container = one.container
            if container.complete and container.init_pid and not container.sandbox:
                finding = self._close(one, now_ns, seconds, alive)
                found += [finding] if finding is not None else []
        self._watched = alive
        self._episodes.keep(alive.keys())
        self._tallies.clear()
        self._lossy = False
        return found

    def _close(self, one: Inhabitant, now_ns: int, seconds: float, alive: dict[str, _Watched]) -> Finding | None:
        container = one.container
        known = self._watched.get(container.id)
        places = known.places if known is not None else self._gauges.places(container.init_pid)
        reading = self._gauges.read(container.init_pid, places)
        if known is None:
            alive[container.id] = _Watched(places, reading, deque(maxlen=self._config.history))
            return None
        values, missing = measured(self._total(one.cgroup_ids), known.reading, reading, seconds)
        lasting = _lasting(values, missing, known.history)
        known.reading = reading
        alive[container.id] = known
        lossy = self._lossy or seconds > self._config.window_s * _STALLED
        window = RateWindow(
            one.workload.key,
            one.workload.version,
            container.id,
            now_ns,
            seconds,
            values,
            missing,
            lossy=lossy,
            lasting=lasting,
        )
        window, finding = self._judged(one, window)
        known.history.append(window)
        self._counts["dropped"] += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(window)
        return finding

    def _judged(self, one: Inhabitant, window: RateWindow) -> tuple[RateWindow, Finding | None]:
        model = self._models.get((window.workload, window.version))
        if model is None or not _alike(model.seconds, window.seconds):
            self._counts["unscored"] += 1
            return window, None
        self._counts["scored"] += 1
        verdict = judge(model, window, self._config.budget)
        window = replace(window, anomalous=verdict.severity is not None)
        self._counts["anomalous"] += window.anomalous
        return window, self._episodes.note(one.container, one.workload, window, model, verdict)

    def _total(self, cgroup_ids: tuple[int, ...]) -> Tally:
        total = Tally()
        for cgroup_id in cgroup_ids:
            if (tally := self._tallies.get(cgroup_id)) is not None:
                total.add(tally)
        return total

    def _tally(self, cgroup_id: int) -> Tally:
        tally = self._tallies.get(cgroup_id)
        if tally is not None:
            return tally
        if len(self._tallies) >= self._config.max_cgroups:
            self._counts["cgroups_evicted"] += 1
            self._tallies.pop(next(iter(self._tallies)))
        tally = self._tallies[cgroup_id] = Tally()
        return tally

    def history(self, container_id: str) -> tuple[RateWindow, ...]:
        """The last windows of a container, the oldest first."""
        watched = self._watched.get(container_id)
        return tuple(watched.history) if watched is not None else ()

    def take(self) -> list[RateWindow]:
        """Windows nobody took yet, on their way to the collector."""
        windows = list(self._waiting)
        self._waiting.clear()
        return windows

    def adopt(self, workload: str, version: str, body: bytes) -> str:
        """Score a workload with this model from now on; "" or why not."""
        problem = self._models.adopt((workload, version), body)
        if problem:
            log.warning("forest from the collector: %s", "".join(c if c.isprintable() else "?" for c in problem))
        return problem

    def held(self) -> Mapping[tuple[str, str], int]:
        """(workload, version) → revision of the models in use."""
        return self._models.revisions()

    def counters(self) -> dict[str, int]:
        """Windows by what became of them (scored, unscored, anomalous, dropped), models, and what went wrong."""
        models = {f"models_{cause}": n for cause, n in self._models.counts.items()}
        base = dict.fromkeys(("scored", "unscored", "anomalous", "dropped"), 0)
        return {**base, **self._counts, **models, "models": len(self._models)}


def _lasting(values: tuple[float, ...], missing: int, history: deque[RateWindow]) -> tuple[float, ...]:
    """The mean over the last windows; () where there are too few, or something else could not be had then."""
    before = list(history)[-(LASTING - 1) :]
    if len(before) < LASTING - 1 or any(window.missing != missing for window in before):
        return ()
    return tuple(sum(column) / LASTING for column in zip(values, *(w.values for w in before), strict=True))


def _alike(trained_s: float, seconds: float) -> bool:
    """Whether a window is about as long as those of the training: distinct things grow with the time one looks."""
    return 0.5 <= seconds / trained_s <= 2.0
