"""What one workload does: a profile of behaviour classes in the phases of a container's life."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from detection.baseline.class_profile import ClassProfile, Held
from detection.baseline.counts import ProfileConfig, State
from detection.baseline.keys import CLASSES, KEYS, ClassKey, Phase
from detection.baseline.members import Member

__all__ = [
    "CLASSES", "KEYS", "ClassKey", "ClassProfile", "Held", "Member", "Phase", "Profile", "ProfileConfig", "State",
]  # fmt: skip


class Classes(dict[ClassKey, ClassProfile]):
    """The classes of a profile; one that is asked for and missing begins."""

    def __init__(self, config: ProfileConfig) -> None:
        self._steady, self._passing = config, replace(config, clean_units=config.clean_starts)
        super().__init__({KEYS[b][Phase.STEADY]: ClassProfile(config, b) for b in CLASSES})

    def __missing__(self, key: ClassKey) -> ClassProfile:
        if not isinstance(key, ClassKey):
            raise KeyError(key)
        known = self[key] = ClassProfile(self._steady if key.phase is Phase.STEADY else self._passing, key.behaviour)
        return known

    def use(self, config: ProfileConfig) -> None:
        """Go by these rules from now on."""
        self._steady, self._passing = config, replace(config, clean_units=config.clean_starts)
        for key, known in self.items():
            known.use(self._steady if key.phase is Phase.STEADY else self._passing)

    def of_phase(self, phase: Phase) -> Iterator[ClassProfile]:
        """The classes of a phase that exist."""
        return (known for key, known in self.items() if key.phase is phase)


class Profile:
    """All classes of one workload in one version, and the instances that were steady in the open slot.

    `witnessed` counts what the sensor reported of this workload at all. Without it silence proves nothing: the
    probes may not see this workload, so no class is closed and none can become stable. `notes` is plain JSON data that
    others keep with the profile.
    """

    def __init__(self, workload: str, version: str, config: ProfileConfig) -> None:
        self.workload = workload
        self.version = version
        self.config = config
        self.witnessed = 0
        self.last_ns = 0
        self.alive: set[str] = set()
        self.classes = Classes(config)
        self.notes: dict[str, Any] = {}

    def of(self, behaviour: str, phase: Phase = Phase.STEADY) -> ClassProfile:
        """One class. Raises: KeyError for none of CLASSES."""
        return self.classes[KEYS[behaviour][phase]]

    def use(self, config: ProfileConfig) -> None:
        """Go by these rules from now on."""
        self.config = config
        self.classes.use(config)

    def close_slot(self, now_ns: int = 0) -> None:
        """Count one steady unit for every instance that was alive, and steady, in the slot."""
        alive, self.alive = self.alive, set()
        for known in self.classes.of_phase(Phase.STEADY):
            known.close_slot(alive if self.witnessed else (), now_ns)

    def close_passing(self, phase: Phase, instances: Iterable[str], now_ns: int = 0) -> None:
        """Count one unit of startup or shutdown that these instances made together."""
        names = tuple(instances)
        if names:
            for behaviour in CLASSES:
                self.of(behaviour, phase).close_unit(names, now_ns)
