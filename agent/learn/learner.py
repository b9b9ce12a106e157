"""The learn stage: what each workload normally does, and what it just did for the first time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agent.events import Call, Exec
from agent.learn.actor import Behaviour, parent_marker
from agent.learn.behaviour import behaviours_of, is_behaviour
from agent.learn.config import LearnConfig
from agent.learn.decided import allows, apply
from agent.learn.habits import note_habits
from agent.learn.image import Images
from agent.learn.judge import Case, Judge
from agent.learn.links import Link, Links, kin_of, novelty_key
from agent.learn.lives import Life, stop, stopped_by
from agent.learn.ports import Decisions
from agent.learn.store import ProfileFileError, read_latest, write_profiles
from agent.learn.tracked import Tracked
from agent.observation import Anomaly, Observation
from agent.source.port import BehaviourKey
from agent.workload import Container, Identified, Workload
from detection.baseline.keys import KEYS, ClassKey, Phase
from detection.baseline.merge import inherited
from detection.baseline.peers import address_key
from detection.baseline.profile import ClassProfile, Profile, ProfileConfig
from detection.baseline.snapshot import Snapshot, profile_of, snapshot

_CACHED_ARGV_BYTES = 2048
_MAIN_PID = 1
_HOMES = 65_536
_ORPHANS = 4096


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
    phase: str = "steady"


class Learner:
    """Profiles of all workloads of a node. Single-threaded; knows no clock but the times it is given.

    Per event call `observe`, and `condemn` right after it if a rule of medium or higher held. Per slot
    call `recount` with what the kernel's filter holds, then `advance`.
    """

    def __init__(self, config: LearnConfig | None = None) -> None:
        self._config = config or LearnConfig()
        self._slot_ns = int(self._config.slot_s * 1e9)
        self._tracked: dict[tuple[str, str], Tracked] = {}
        self._fleet: dict[tuple[str, str], tuple[Profile, str]] = {}
        self._cache: dict[tuple[object, ...], tuple[tuple[ClassProfile, int], ...]] = {}
        self._links = Links(self._config.max_links)
        self._judge = Judge(self._config)
        self._condemned: dict[str, None] = {}
        self._homes: dict[str, str] = {}
        self._orphans: dict[BehaviourKey, None] = {}
        self._closed_ns = 0
        self._refused = 0
        self._retired = 0
        self._broken_files = self._broken_records = 0
        self._budget = self._config.budgeted()

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
        life = tracked.lives.get(instance)
        if life is None or life.silent:
            life = self._begin(tracked, identified, instance)
        life.acted = True
        if event.__class__ is Exec:
            return self._observe_exec(identified, event, tracked, life)
        if not is_behaviour(event):
            return Observation(identified)
        if event.__class__ is Call and (stopped := stopped_by(identified)) is not None:
            self._stopped(*stopped)
        found = behaviours_of(identified, self._homes)
        return Observation(identified, self._meet(identified, found, tracked, life)[1] if found else ())

    def _observe_exec(self, identified: Identified, event: Exec, tracked: Tracked, life: Life) -> Observation:
        process, ancestors = identified.process, identified.ancestors
        parent = ancestors[0] if ancestors else process
        key = (
            tracked,
            life.phase,
            parent.path,
            parent.argv[0] if parent.argv else "",
            parent_marker(identified),
            process.entry_id != "",
            event.path,
            event.argv,
            event.cap_effective,
        )
        places, instance = self._cache.get(key), life.instance
        if places is not None:
            for known, row in places:
                try:  # what `touch` does, for a member that was already seen in this unit
                    known.open_units[instance][row] += 1
                except KeyError:
                    known.touch(row, instance)
            return Observation(identified)
        found, anomalies = self._meet(identified, behaviours_of(identified), tracked, life)
        if found and event.argv_total <= _CACHED_ARGV_BYTES:
            if len(self._cache) >= self._config.cache:
                self._cache.clear()
            self._cache[key] = found
        return Observation(identified, anomalies)

    def _meet(
        self, identified: Identified, behaviours: tuple[Behaviour, ...], tracked: Tracked, life: Life
    ) -> tuple[tuple[tuple[ClassProfile, int], ...], tuple[Anomaly, ...]]:
        """See behaviours: count what is known, judge what is not. Where they are now, if all are known."""
        phase = Phase.STEADY if identified.process.entry_id else life.phase
        anomalies: tuple[Anomaly, ...] = ()
        places = []
        for behaviour in behaviours:
            key = KEYS[behaviour.kind][phase]
            known = tracked.profile.classes[key]
            row = known.row(behaviour.member)
            if row >= 0:
                known.touch(row, life.instance)
            else:
                case = Case(identified, tracked, life.instance, self._is_condemned(identified))
                row, found = self._judge.novel(case, behaviour, key)
                anomalies += found
            if row >= 0:
                places.append((known, row))
                self._link(identified, Link(tracked, key, row, life.instance, bool(identified.process.entry_id)))
        return (tuple(places) if len(places) == len(behaviours) else ()), anomalies

    def _link(self, identified: Identified, link: Link) -> None:
        key = novelty_key(identified.event)
        if key is not None:
            self._links.put(key, link)
        elif (kin := kin_of(identified.event)) is not None:
            self._links.wait(kin, link)

    def _begin(self, tracked: Tracked, identified: Identified, instance: str) -> Life:
        """An instance is seen for the first time; its addresses are those of its workload from now on."""
        if identified.container is not None:
            self._judge.images.met(tracked.key, identified.container)
            self._settle_in(identified.container, identified.workload)
        return tracked.begin(identified, instance)

    def _settle_in(self, container: Container, workload: Workload) -> None:
        for address in container.addresses:
            if len(self._homes) >= _HOMES:
                self._homes.clear()
            self._homes[address_key(address)] = workload.key

    def _stopped(self, instance: str, pid: int) -> None:
        """Someone outside asked a container's process to stop."""
        for tracked in self._tracked.values():
            life = tracked.lives.get(instance)
            if life is not None:
                stop(life, pid)

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
        if tracked is None:
            return
        for behaviour in behaviours_of(identified, self._homes):
            for phase in Phase:
                key = KEYS[behaviour.kind][phase]
                tracked.record.forget(str(key), behaviour.member)
                if (phase is Phase.STEADY or key in tracked.profile.classes) and tracked.profile.classes[key].condemn(
                    behaviour.member
                ):
                    self._cache.clear()

    def _is_condemned(self, identified: Identified) -> bool:
        if not self._condemned:
            return False
        process = identified.process
        if process.exec_id in self._condemned or process.entry_id in self._condemned:
            return True
        return any(ancestor.exec_id in self._condemned for ancestor in identified.ancestors)

    def recount(self, behaviours: Iterable[tuple[BehaviourKey, int]], now_ns: int) -> None:
        """Read the kernel's filter: behaviours whose count grew happened again, in the open slot."""
        for behaviour, link, growth in self._links.grown(behaviours):
            tracked = link.tracked
            if self._tracked.get(tracked.key) is not tracked:
                continue  # the profile was retired, and began anew perhaps
            life = tracked.met(link.instance)
            known = tracked.profile.classes[link.key]
            row = known.members.current(link.row)
            phase = Phase.STEADY if link.entered else life.phase
            if row >= 0 and phase is not link.key.phase:
                known, row = self._move(link, known.members.name(row), phase, now_ns)
            tracked.profile.last_ns = now_ns
            tracked.profile.witnessed += growth
            if row >= 0:
                known.touch(row, link.instance, growth)
            elif len(self._orphans) < _ORPHANS:
                self._orphans[behaviour] = None

    def orphans(self) -> list[BehaviourKey]:
        """What the kernel takes for known and no profile knows any more: it was unlearned. To be reported again."""
        orphans, self._orphans = list(self._orphans), {}
        return orphans

    def _move(self, link: Link, name: str, phase: Phase, now_ns: int) -> tuple[ClassProfile, int]:
        """What began in one phase goes on in another: it is learned there, too, without a word."""
        key = KEYS[link.key.behaviour][phase]
        known = link.tracked.profile.classes[key]
        row = known.row(name)
        if row < 0 and allows(self._judge.decisions.of(*link.tracked.key), key, name):
            row = known.take(name, link.instance, now_ns)
        if row >= 0:
            link.key, link.row = key, row
        return known, row

    def advance(self, now_ns: int, containers: Iterable[tuple[str, Workload]] = ()) -> None:
        """Close the slot if it is over. `containers` (id, workload) are alive now: idle ones were watched too.

        Call it about once per slot; a call up to a tenth early counts, so that a timer's jitter costs no slots.
        A gap of several slots is one slot: nobody knows what happened in between. A clock that was set back costs
        one slot, one that was set forward none.
        """
        for instance, workload in containers:
            tracked = self._tracked.get((workload.key, workload.version))
            if tracked is not None:
                tracked.met(instance)
        if not self._closed_ns or now_ns < self._closed_ns:
            self._closed_ns = now_ns
        elif now_ns - self._closed_ns >= self._slot_ns * 9 // 10:
            self._closed_ns = now_ns
            self._links.slot_over()
            for tracked in self._tracked.values():
                tracked.close_slot(now_ns)
            self._judge.total = sum(len(c.members) for t in self._tracked.values() for c in t.profile.classes.values())

    def note_loss(self, behaviour_class: str, now_ns: int, workload: Workload | None = None) -> None:
        """Events of this class (one of CLASSES) were lost: of one workload, or somewhere on the node.

        Without a workload every profile is lossy in it.
        """
        for tracked in self._tracked.values():
            if workload is not None and tracked.key != (workload.key, workload.version):
                continue
            for key, known in tracked.profile.classes.items():
                if key.behaviour == behaviour_class:
                    known.note_loss()

    def fleet(self, profile: Profile, before: str = "") -> None:
        """What all agents together know of a workload, this one included, and which version's knowledge is part of it.
        Own profiles stay what own containers showed."""
        key = (profile.workload, profile.version)
        tracked = self._tracked.get(key)
        if tracked is not None:
            tracked.fleet = profile
            tracked.before = before or tracked.before
        elif len(self._fleet) < self._config.max_profiles:
            self._fleet[key] = (profile, before)

    def decide(self, decisions: Decisions) -> None:
        """What people decided, in place of what they decided before. It holds for what was learned, too."""
        self._judge.decisions = decisions
        for tracked in self._tracked.values():
            decided = decisions.of(*tracked.key)
            if decided is not None and apply(tracked.profile, decided):
                self._cache.clear()

    def ask(self, images: Images) -> None:
        """Ask these images what explains a new version's behaviour."""
        self._judge.images = images

    def profiles(self) -> Iterator[Profile]:
        """Own profiles: what this agent's containers showed."""
        return (tracked.profile for tracked in self._tracked.values())

    def states(self) -> list[ClassState]:
        """Every class of every profile that was watched: steady ones always, others once they occurred."""
        return [
            _state(profile, key, known)
            for profile in self.profiles()
            for key, known in profile.classes.items()
            if key.phase is Phase.STEADY or known.units or len(known.members)
        ]

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
            "learn_broken_records": self._broken_records,
        }
        return {cause: count for cause, count in counts.items() if count}

    def save(self, path: Path, now_ns: int = 0) -> None:
        """Write all profiles atomically. Raises: ProfileFileError."""
        for tracked in self._tracked.values():
            note_habits(tracked.profile, tracked.record, self._budget)
        write_profiles(path, self.profiles(), now_ns or self._closed_ns)

    def load(self, path: Path) -> ProfileFileError | None:
        """Take over the profiles of a file. A broken one is set aside and counted, and its error given back; then, and
        where there is none, the one before it is taken.
        """
        try:
            profiles, problem = read_latest(path, self._config.profile)
        except ProfileFileError as error:
            self._broken_files += 1
            return error
        self._broken_files += problem is not None
        for profile in profiles:
            profile.use(self._rules_of(profile.workload))
            self._adopt(profile)
        return problem

    def _track(self, workload: Workload) -> Tracked | None:
        tracked = self._tracked.get((workload.key, workload.version))
        if tracked is None and self._make_room():
            tracked = self._adopt(Profile(workload.key, workload.version, self._rules_of(workload.key)))
            self._inherit(tracked)
        return tracked

    def _inherit(self, tracked: Tracked) -> None:
        """A new version starts with what the one before it did, at less weight, unless the fleet told more.

        How often this workload is new, and how strangely, is a habit it keeps.
        """
        workload, version = tracked.key
        others = [t for (w, v), t in self._tracked.items() if w == workload and v != version]
        if not others or not version:
            return
        last = max(others, key=lambda t: t.profile.last_ns)
        tracked.record = last.record.copy()
        if tracked.fleet is not None:
            return
        told = snapshot(last.profile, self._closed_ns)
        classes = inherited({}, told.classes, self._config.inherit)
        tracked.before = last.profile.version
        tracked.fleet = profile_of(Snapshot(workload, version, told.closed_ns, classes), last.profile.config)

    def _rules_of(self, workload: str) -> ProfileConfig:
        config = self._config.profile
        if workload == "host" or workload.startswith("host/"):
            return replace(config, max_members=self._config.host_members)
        return config

    def _adopt(self, profile: Profile) -> Tracked:
        tracked = Tracked(profile, self._budget.window)
        self._broken_records += tracked.broken
        tracked.fleet, tracked.before = self._fleet.pop(tracked.key, (None, ""))
        self._tracked[tracked.key] = tracked
        return tracked

    def _make_room(self) -> bool:
        """Room for one more profile, if need be that of the profile unused for longest. False when all are in use."""
        if len(self._tracked) < self._config.max_profiles:
            return True
        idle = [t for t in self._tracked.values() if not any(life.acted for life in t.lives.values())]
        if not idle:
            self._refused += 1
            return False
        del self._tracked[min(idle, key=lambda t: t.profile.last_ns).key]
        self._cache.clear()
        self._retired += 1
        return True


def _state(profile: Profile, key: ClassKey, known: ClassProfile) -> ClassState:
    return ClassState(
        profile.workload,
        profile.version,
        key.behaviour,
        known.state.value,
        known.completeness,
        known.unseen_upper,
        known.units,
        known.observed,
        len(known.quarantine),
        key.phase.value,
    )
