"""Plays a recording through identify and learn, without a rule, and keeps what became of the profiles."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.observation import Anomaly, Observation
from agent.replay import Replay
from agent.workload import Identified, Workload
from detection.baseline.keys import Phase
from detection.rules import RuleSet


@dataclass(frozen=True, slots=True)
class Raised:
    """An anomaly and where and when it was raised."""

    time_ns: int
    workload: str
    container: str
    anomaly: Anomaly


@dataclass(frozen=True, slots=True)
class Point:
    """One class of one profile at the end of a slot."""

    time_ns: int
    units: int
    members: int
    completeness: float
    unseen_upper: float
    state: str


@dataclass(slots=True)
class Course:
    """What a replay came to. `alone`: by window, what would have been raised had nothing happened in the others."""

    curves: dict[tuple[str, str], list[Point]] = field(default_factory=dict)
    raised: list[Raised] = field(default_factory=list)
    alone: dict[int, list[Raised]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    first_ns: int = 0
    last_ns: int = 0
    problem: str = ""
    lost: dict[str, int] = field(default_factory=dict)


class WatchedLearner(Learner):
    """A learner that learns of the recorded containers only, and whose every judgement is kept."""

    def __init__(
        self, config: LearnConfig, course: Course, containers: Set[str], windows: Sequence[tuple[int, int]] = ()
    ) -> None:
        super().__init__(config)
        self._course = course
        self._containers = containers
        self._windows = windows
        self._copies: dict[int, WatchedLearner] = {}
        self._before: WatchedLearner | None = None

    def observe(self, identified: Identified) -> Observation:
        container, target = identified.container, identified.target
        if container is None and target is not None and target.container_id in self._containers:
            return super().observe(identified)  # someone asks a container to stop
        if container is None or container.id not in self._containers:
            return Observation(identified)
        name = short(identified.workload.key)
        self._course.events[name] += 1
        at = identified.event.head.time_ns
        if self._windows:
            self._observe_alone(identified, name, container.id, at)
        observation = super().observe(identified)
        self._course.raised += [Raised(at, name, container.id, anomaly) for anomaly in observation.anomalies]
        return observation

    def _observe_alone(self, identified: Identified, name: str, container: str, at: int) -> None:
        """Show the event to the learners that know nothing of other windows: copies of how all was before the first."""
        if at < self._windows[0][0]:
            return
        if self._before is None:
            self._before = self._copy()
        for number, (begin, end) in enumerate(self._windows):
            if not begin <= at <= end:
                continue
            copy = self._copies.get(number)
            if copy is None:
                copy = self._copies[number] = self._before._copy()
            anomalies = Learner.observe(copy, identified).anomalies
            self._course.alone.setdefault(number, []).extend(Raised(at, name, container, a) for a in anomalies)

    def _copy(self) -> "WatchedLearner":
        """As it is now, without its past."""
        kept = {id(thing): thing for thing in (self._course, self._containers, self._windows, self._copies)}
        return deepcopy(self, kept)

    def advance(self, now_ns: int, containers: Iterable[tuple[str, Workload]] = ()) -> None:
        super().advance(now_ns, ((id_, workload) for id_, workload in containers if id_ in self._containers))
        self._course.first_ns = self._course.first_ns or now_ns
        self._course.last_ns = now_ns
        self._plot(now_ns)

    def _plot(self, now_ns: int) -> None:
        for row in self.states():
            if not row.workload.startswith("k8s/"):
                continue
            label = row.behaviour if row.phase == Phase.STEADY else f"{row.behaviour}/{row.phase}"
            key = (short(row.workload), label)
            curve = self._course.curves.setdefault(key, [])
            if curve and (curve[-1].units, curve[-1].state, curve[-1].members) == (row.units, row.state, row.members):
                continue
            curve.append(Point(now_ns, row.units, row.members, row.completeness, row.unseen_upper, row.state))


def short(key: str) -> str:
    """k8s/real/deployment/web/web → web."""
    return key.rpartition("/")[2]


def play(
    path: Path,
    config: LearnConfig,
    containers: Set[str],
    profiles: Path | None = None,
    windows: Sequence[tuple[int, int]] = (),
) -> tuple[Course, Learner]:
    """Replay what these containers did. `windows` (begin and end, ns) are also judged each for itself.

    With `profiles`, what was learned is saved there.
    Raises: AgentError, OSError.
    """
    course = Course()
    learner = WatchedLearner(config, course, containers, windows)
    replay = Replay(path, RuleSet.from_ir([]), slot_s=config.slot_s, learner=learner)
    for _ in replay.findings():
        pass
    course.problem = replay.problem
    course.lost = _lost(replay.summary.counters)
    if profiles is not None:
        learner.save(profiles, course.last_ns)
    return course, learner


def _lost(counters: Any) -> dict[str, int]:
    sums = {
        name: sum(n for cause, n in causes.items() if cause.startswith("lost_")) for name, causes in counters.items()
    }
    return {name: n for name, n in sums.items() if n}
