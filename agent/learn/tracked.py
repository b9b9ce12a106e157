"""One profile while it is being learned: its instances, and what their fleet knows."""

from agent.learn.habits import RECORD
from agent.learn.lives import Life, begins
from agent.workload import Identified
from detection.baseline.conformal import WINDOW, Calibration, CalibrationError
from detection.baseline.keys import KEYS, Phase
from detection.baseline.profile import ClassProfile, Member, Profile, State
from detection.baseline.score import NEARLY

_OTHERS = {phase: tuple(other for other in Phase if other is not phase) for phase in Phase}


class Tracked:
    """A profile, its instances (`lives`), and the whole fleet's profile of the same workload where one was given.

    `before` is the version before this one, whose profile is part of the fleet's at less weight; "" without one.
    `record` of its novelties goes back `window` slots; `broken`: what the profile brought along of it was not one.
    """

    __slots__ = ("before", "broken", "exec", "fleet", "key", "lives", "profile", "record")

    def __init__(self, profile: Profile, window: int = WINDOW) -> None:
        self.profile = profile
        self.key = (profile.workload, profile.version)
        self.lives: dict[str, Life] = {}
        self.fleet: Profile | None = None
        self.before = ""
        self.broken = False
        self.record = self._record(window)

    def _record(self, window: int) -> Calibration:
        data = self.profile.notes.get(RECORD)
        try:
            return Calibration(window) if data is None else Calibration.from_dict(data, window)
        except CalibrationError:
            self.broken = True
            return Calibration(window)

    def begin(self, identified: Identified, instance: str) -> Life:
        """An instance is seen for the first time."""
        life = self.lives[instance] = begins(identified, instance)
        return life

    def met(self, instance: str) -> Life:
        """The instance, which is known to be alive; one met now was alive before."""
        life = self.lives.get(instance)
        if life is None:
            life = self.lives[instance] = Life(instance, silent=True)
        life.acted = True
        return life

    def fleet_knows(self, behaviour: str, phase: Phase, name: str) -> bool:
        """Whether the fleet as a whole shows this behaviour."""
        return self.fleet is not None and isinstance(self.fleet.of(behaviour, phase).find(name), Member)

    def fleet_condemns(self, behaviour: str, phase: Phase, name: str) -> bool:
        """Whether a rule condemned this behaviour anywhere in the fleet."""
        return self.fleet is not None and name in self.fleet.of(behaviour, phase).condemned

    def voices(self, behaviour: str, phase: Phase, name: str) -> int:
        """How many agents of the fleet hold this behaviour back; one agent is one voice, whatever it claims."""
        held = self.fleet.of(behaviour, phase).quarantine.get(name) if self.fleet is not None else None
        return len(held.instances) if held is not None else 0

    def elsewhere(self, behaviour: str, phase: Phase, name: str) -> str:
        """The phase in which this behaviour is known, if it is in another; else ""."""
        for other in _OTHERS[phase]:
            known = self.profile.classes.get(KEYS[behaviour][other])
            if (known is not None and known.row(name) >= 0) or self.fleet_knows(behaviour, other, name):
                return other.value
        return ""

    def judge(self, behaviour: str, phase: Phase) -> ClassProfile:
        """The class to judge a novelty by: the own one, or the fleet's where that may be trusted and the own may not.

        Never the sum of both: the fleet's contains the own.
        """
        own = self.profile.of(behaviour, phase)
        if self.fleet is None or own.state in (State.STABLE, State.LOSSY):
            return own
        shared = self.fleet.of(behaviour, phase)
        return shared if shared.state is State.STABLE or shared.units > own.units else own

    def replicas(self, behaviour: str, phase: Phase) -> int:
        """How many instances could show a behaviour."""
        shared = len(self.fleet.of(behaviour, phase).instances) if self.fleet is not None else 0
        return max(len(self.lives), shared)

    def close_slot(self, now_ns: int) -> None:
        """Count the slot for those that were steady all along; passing phases that ended are one unit each."""
        ended: dict[Phase, list[str]] = {Phase.STARTUP: [], Phase.SHUTDOWN: []}
        alive = self.profile.alive
        for life in list(self.lives.values()):
            if not life.acted:
                del self.lives[life.instance]
                if life.phase is not Phase.STEADY:
                    ended[life.phase].append(life.instance)
                continue
            if life.whole and life.phase is Phase.STEADY:
                alive.add(life.instance)
            finished = life.slot_over()
            if finished is not None:
                ended[finished].append(life.instance)
        self.profile.close_slot(now_ns)
        for phase, instances in ended.items():
            self.profile.close_passing(phase, instances, now_ns)
        classes = self.profile.classes.items()
        self.record.advance(str(key) for key, known in classes if _is_recorded(known))


def _is_recorded(known: ClassProfile) -> bool:
    """`score.is_recorded` of the slot that ended, without working out its state."""
    if known.was_stable or known.was_churning:
        return True
    return not known.loss_left and known.unseen_upper <= NEARLY
