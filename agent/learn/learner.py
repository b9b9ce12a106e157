"""The learn stage: what each workload normally does, and what it just did for the first time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agent.events import Exec
from agent.learn.behaviour import EXEC, Behaviour, behaviour_of, is_behaviour, parent_marker
from agent.learn.config import LearnConfig
from agent.learn.links import Link, Links, novelty_key
from agent.learn.store import ProfileFileError, read_profiles, set_aside, write_profiles
from agent.learn.techniques import techniques_of
from agent.observation import Anomaly, Observation
from agent.source.port import BehaviourKey
from agent.workload import Identified, Workload
from detection.baseline.profile import CLASSES, ClassProfile, Member, Profile, State
from detection.baseline.score import Novelty, Score, score
from detection.finding import Severity

_HOST = "host"
_CACHED_ARGV_BYTES = 2048
_MAIN_PID = 1


@dataclass(frozen=True, slots=True)
class ClassState:
    """One class of one profile, for the ledger. `completeness` and `unseen_upper` are 0..1."""

    workload: str
    version: str
    behaviour: str
    state: str
    completeness: float
    unseen_upper: float
    units: int
    members: int
    quarantined: int


class _Tracked:
    """A profile and the exec edges recently recognised as members of it."""

    __slots__ = ("cache", "exec", "key", "profile")

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.key = (profile.workload, profile.version)
        self.exec = profile.classes[EXEC]
        self.cache: dict[tuple[object, ...], Member] = {}


class Learner:
    """Profiles of all workloads of a node. Single-threaded; knows no clock but the times it is given.

    Per event call `observe`, and `condemn` right after it if a rule of medium or higher held. Per slot
    call `recount` with what the kernel's filter holds, then `advance`.
    """

    def __init__(self, config: LearnConfig | None = None) -> None:
        self._config = config or LearnConfig()
        self._slot_ns = int(self._config.slot_s * 1e9)
        self._tracked: dict[tuple[str, str], _Tracked] = {}
        self._links = Links(self._config.max_links)
        self._condemned: dict[str, None] = {}
        self._closed_ns = 0
        self._refused = 0
        self._retired = 0
        self._broken_files = 0

    def observe(self, identified: Identified) -> Observation:
        """Learn from an event and say what was novel about it. A known exec costs a few microseconds.

        A container that is not described yet has no profile: its workload is not known.
        """
        container = identified.container
        tracked = self._track(identified.workload) if container is None or container.complete else None
        if tracked is None:
            return Observation(identified)
        instance = container.id if container is not None else identified.workload.key
        profile, event = tracked.profile, identified.event
        profile.witnessed += 1
        profile.last_ns = event.head.time_ns
        profile.alive.add(instance)
        if isinstance(event, Exec):
            return self._observe_exec(identified, event, tracked, instance)
        if not is_behaviour(event):
            return Observation(identified)
        behaviour = behaviour_of(identified)
        assert behaviour is not None
        return Observation(identified, self._meet(identified, behaviour, tracked, instance)[1])

    def _observe_exec(self, identified: Identified, event: Exec, tracked: _Tracked, instance: str) -> Observation:
        parent = identified.ancestors[0] if identified.ancestors else None
        key = (
            parent and parent.path,
            parent and parent.argv[:1],
            parent_marker(identified),
            bool(identified.process.entry_id),
            event.path,
            event.argv,
        )
        member = tracked.cache.get(key)
        if member is not None and member.known:
            tracked.exec.see(member, instance, event.head.time_ns)
            return Observation(identified)
        behaviour = behaviour_of(identified)
        assert behaviour is not None
        member, anomalies = self._meet(identified, behaviour, tracked, instance)
        if member.known and event.argv_total <= _CACHED_ARGV_BYTES:
            if len(tracked.cache) >= self._config.cache:
                tracked.cache.clear()
            tracked.cache[key] = member
        return Observation(identified, anomalies)

    def _meet(
        self, identified: Identified, behaviour: Behaviour, tracked: _Tracked, instance: str
    ) -> tuple[Member, tuple[Anomaly, ...]]:
        """See a behaviour: count it where it is known, judge it where it is not."""
        known = tracked.profile.classes[behaviour.kind]
        now_ns = identified.event.head.time_ns
        member = known.find(behaviour.member)
        anomalies: tuple[Anomaly, ...] = ()
        if member is not None and member.known:
            known.see(member, instance, now_ns)
        elif member is None or instance not in member.instances:
            member, anomalies = self._judge(identified, behaviour, known, member, instance)
        elif known.state is State.LEARNING:
            # Held for the company it kept: another process may still teach it. It was reported before.
            member, _ = self._judge(identified, behaviour, known, member, instance)
        else:
            known.hold(behaviour.member, instance, now_ns)
        key = novelty_key(identified.event)
        if key is not None:
            self._links.put(key, Link(tracked.key, behaviour.kind, member, instance, 1))
        return member, anomalies

    def _judge(
        self, identified: Identified, behaviour: Behaviour, known: ClassProfile, held: Member | None, instance: str
    ) -> tuple[Member, tuple[Anomaly, ...]]:
        """Score a novelty; learn it, or hold it in quarantine when it is alarming or comes from a condemned process."""
        now_ns = identified.event.head.time_ns
        seen_by = 1 + (len(held.instances) if held else 0)
        novelty = Novelty(behaviour.kind, behaviour.member, behaviour.sentence, behaviour.touches, seen_by)
        verdict = score(novelty, known, self._config.score)
        alarming = verdict.severity is not None and verdict.severity >= Severity.MEDIUM
        member = None
        if not alarming and not self._is_condemned(identified):
            member = known.learn(behaviour.member, instance, now_ns)
        if member is None:
            member = known.hold(behaviour.member, instance, now_ns)
        return member, _anomalies(behaviour, verdict)

    def condemn(self, identified: Identified) -> None:
        """A rule condemned this event: unlearn its behaviour, and learn nothing more from its process and descendants.

        A container's main process keeps being learned from (only this behaviour is not): else one rule that errs
        would leave the workload without a profile.
        """
        process = identified.process
        if identified.container is not None and (process.entry_id or identified.event.head.task.ns_pid != _MAIN_PID):
            if len(self._condemned) >= self._config.max_condemned_processes:
                self._condemned.pop(next(iter(self._condemned)))
            self._condemned[process.exec_id] = None
        tracked = self._tracked.get((identified.workload.key, identified.workload.version))
        behaviour = behaviour_of(identified)
        if tracked is not None and behaviour is not None:
            tracked.profile.classes[behaviour.kind].condemn(behaviour.member)

    def _is_condemned(self, identified: Identified) -> bool:
        if not self._condemned:
            return False
        process = identified.process
        if process.exec_id in self._condemned or process.entry_id in self._condemned:
            return True
        return any(ancestor.exec_id in self._condemned for ancestor in identified.ancestors)

    def recount(self, behaviours: Iterable[tuple[BehaviourKey, int]], now_ns: int) -> None:
        """Read the kernel's filter: behaviours whose count grew happened again, in the open slot."""
        for link, growth in self._links.grown(behaviours):
            tracked = self._tracked.get(link.profile)
            # A profile that was retired and began anew, or a member that was unlearned, is not what the link meant.
            if tracked is None or tracked.profile.classes[link.kind].find(link.member.name) is not link.member:
                continue
            profile = tracked.profile
            profile.alive.add(link.instance)
            profile.last_ns = now_ns
            profile.witnessed += growth
            profile.classes[link.kind].see(link.member, link.instance, now_ns, growth)

    def advance(self, now_ns: int, containers: Iterable[tuple[str, Workload]] = ()) -> None:
        """Close the slot if it is over. `containers` (id, workload) are alive now: idle ones were watched too.

        Call it about once per slot; a call up to a tenth early counts, so that a timer's jitter costs no slots.
        A gap of several slots is one slot: nobody knows what happened in between.
        """
        for instance, workload in containers:
            tracked = self._tracked.get((workload.key, workload.version))
            if tracked is not None:
                tracked.profile.alive.add(instance)
        if not self._closed_ns or now_ns < self._closed_ns:
            self._closed_ns = now_ns
        elif now_ns - self._closed_ns >= self._slot_ns * 9 // 10:
            self._closed_ns = now_ns
            for tracked in self._tracked.values():
                tracked.profile.close_slot()

    def note_loss(self, behaviour_class: str, now_ns: int, workload: Workload | None = None) -> None:
        """Events of this class (exec, write, egress) were lost: of one workload, or somewhere on the node.

        Without a workload every profile is lossy in it.
        """
        for tracked in self._tracked.values():
            if workload is not None and tracked.key != (workload.key, workload.version):
                continue
            if behaviour_class in tracked.profile.classes:
                tracked.profile.classes[behaviour_class].note_loss()

    def states(self) -> list[ClassState]:
        """Every class of every profile."""
        return [_state(t.profile, name) for t in self._tracked.values() for name in CLASSES]

    def dropped(self) -> dict[str, int]:
        """What was refused or let go for want of room, by cause."""
        classes = [c for t in self._tracked.values() for c in t.profile.classes.values()]
        counts = {
            "learn_profiles_refused": self._refused,
            "learn_profiles_retired": self._retired,
            "learn_members_refused": sum(c.overflow for c in classes),
            "learn_quarantine_evicted": sum(c.evicted for c in classes),
            "learn_links_evicted": self._links.evicted,
            "learn_broken_files": self._broken_files,
        }
        return {cause: count for cause, count in counts.items() if count}

    def save(self, path: Path, now_ns: int = 0) -> None:
        """Write all profiles atomically. Raises: ProfileFileError."""
        write_profiles(path, self._profiles(), now_ns or self._closed_ns)

    def load(self, path: Path) -> ProfileFileError | None:
        """Take over the profiles of a file. A broken one is set aside and counted, and its error given back."""
        try:
            profiles = read_profiles(path, self._config.profile)
        except ProfileFileError as error:
            self._broken_files += 1
            return ProfileFileError(f"{error} ({set_aside(path)}; learning starts afresh)")
        for profile in profiles:
            self._adopt(profile)
        return None

    def _profiles(self) -> Iterator[Profile]:
        return (tracked.profile for tracked in self._tracked.values())

    def _track(self, workload: Workload) -> _Tracked | None:
        tracked = self._tracked.get((workload.key, workload.version))
        if tracked is None and self._make_room():
            config = self._config.profile
            if workload.key == _HOST:
                config = replace(config, max_members=self._config.host_members)
            tracked = self._adopt(Profile(workload.key, workload.version, config))
        return tracked

    def _adopt(self, profile: Profile) -> _Tracked:
        tracked = _Tracked(profile)
        self._tracked[tracked.key] = tracked
        return tracked

    def _make_room(self) -> bool:
        """Room for one more profile, if need be that of the profile unused for longest. False when all are in use."""
        if len(self._tracked) < self._config.max_profiles:
            return True
        idle = [t for t in self._tracked.values() if not t.profile.alive]
        if not idle:
            self._refused += 1
            return False
        del self._tracked[min(idle, key=lambda t: t.profile.last_ns).key]
        self._retired += 1
        return True


def _anomalies(behaviour: Behaviour, verdict: Score) -> tuple[Anomaly, ...]:
    if verdict.severity is None:
        return ()
    anomaly = Anomaly(
        behaviour=behaviour.kind,
        member=behaviour.member,
        surprise=verdict.surprise,
        severity=verdict.severity,
        state=verdict.state.value,
        completeness=verdict.completeness,
        nearest=tuple(neighbour.name for neighbour in verdict.nearest),
        reasons=verdict.reasons,
        techniques=techniques_of(behaviour),
    )
    return (anomaly,)


def _state(profile: Profile, name: str) -> ClassState:
    known = profile.classes[name]
    return ClassState(
        profile.workload,
        profile.version,
        name,
        known.state.value,
        known.completeness,
        known.unseen_upper,
        known.units,
        known.observed,
        len(known.quarantine),
    )
