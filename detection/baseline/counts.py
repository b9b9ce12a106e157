"""The counts of one behaviour class: units, windows and incidences, and how far they allow to trust it."""

from dataclasses import dataclass
from enum import StrEnum

from detection.baseline.completeness import Incidence, does_not_converge, unseen_items, unseen_upper


class State(StrEnum):
    """How far a class may be trusted."""

    LEARNING = "learning"
    STABLE = "stable"  # the unseen mass is provably small
    CHURNING = "churning"  # new behaviours keep coming, and no fewer than before: it does not converge
    LOSSY = "lossy"  # events of the class were lost: what looks new may only have been missed


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """When learning ends, and how much is kept.

    A class is stable when P(next unit brings something new) ≤ `target` with `confidence`, after at least `min_units`.
    A class without members is stable ("does nothing") only after `empty_factor` times the units and at
    `target` / `empty_factor`. It stays stable until the bound exceeds `hysteresis` × `target`.

    A class churns when after `churn_units` surely more than `churn_factor` × `target` of its recent units bring
    something new and that does not fall (`completeness.does_not_converge`), or when it found no room. It stops churning
    when the recent rate is below that by `hysteresis`.
    """

    target: float = 0.02
    confidence: float = 0.95
    min_units: int = 30
    empty_factor: float = 2.0
    hysteresis: float = 2.0
    churn_units: int = 200
    churn_factor: float = 2.5
    clean_units: int = 60  # after a loss, this many units without one
    clean_starts: int = 5  # the same for starts and stops
    max_members: int = 2000
    max_quarantined: int = 256
    max_condemned: int = 1024


class Counts:
    """What completeness and state of a class are computed from. Who counts keeps them; see ClassProfile."""

    __slots__ = (
        "_bound", "_config", "_dirty", "burst_slots", "burst_units", "duplicates", "evicted", "incidences", "loss_left",
        "losses", "observed", "overflow", "slot_duplicates", "slot_incidences", "slot_uniques", "slots", "uniques",
        "units", "was_churning", "was_stable", "windows",
    )  # fmt: skip

    def __init__(self, config: ProfileConfig) -> None:
        self._config = config
        self.units = self.uniques = self.duplicates = self.incidences = self.observed = 0
        self.windows: list[list[int]] = []  # [units, slots that brought something new], see completeness.window_of
        self.slots = 0  # in which units were counted
        self.slot_uniques = self.slot_duplicates = self.slot_incidences = 0  # as above, once a slot for all replicas
        self.burst_units = self.burst_slots = 0  # units and slots that brought something new, without the first slot
        self.overflow = 0  # behaviours that found no room: the class can no longer become stable
        self.evicted = 0  # quarantined or condemned behaviours that made room for newer ones
        self.losses = 0  # slots in which events were lost
        self.loss_left = 0  # clean units still to come before the class can be trusted again
        self.was_stable = False
        self.was_churning = False
        self._dirty = False
        self._bound: tuple[int, float] = (-1, 1.0)

    def use(self, config: ProfileConfig) -> None:
        """Go by these rules from now on."""
        self._config = config
        self._forget_bound()

    def refuse(self) -> None:
        """A behaviour found no room: what the class holds is not all it has seen."""
        self.overflow += 1
        self._forget_bound()

    def note_loss(self) -> None:
        """Events of this class were lost in the open slot."""
        self.losses += not self._dirty
        self._dirty = True
        self.loss_left = self._config.clean_units
        self._forget_bound()

    def _weigh(self, units: int, slots: int, sign: int) -> None:
        """Add (sign 1) or take away (−1) what one member counts for."""
        self.observed += sign * (units > 0)
        self.incidences += sign * units
        self.uniques += sign * (units == 1)
        self.duplicates += sign * (units == 2)
        self.slot_uniques += sign * (slots == 1)
        self.slot_duplicates += sign * (slots == 2)

    @property
    def together(self) -> float:
        """How many replicas count as one observer, 1 … their number: as many as bring something new in one slot.

        The design effect of cluster sampling (Kish 1965, Survey Sampling, 5.4): replicas that are restless together
        have seen less than as many that are not. Until shown otherwise they count as one.
        """
        if self.units <= self.slots:
            return 1.0
        replicas = self.units / self.slots
        return min(replicas, max(1.0, (self.burst_units + replicas) / (self.burst_slots + 1)))

    @property
    def novel(self) -> list[int]:
        """How many slots brought something new, by window."""
        return [novel for _, novel in self.windows]

    @property
    def incidence(self) -> Incidence:
        """The counts by unit: what the bound is computed from."""
        together, novel = self.together, tuple(n for _, n in self.windows)
        spans = tuple(int(u / together) for u, _ in self.windows)
        return Incidence(self.units, self.uniques, self.duplicates, self.incidences, self.observed, novel, spans)

    @property
    def slot_incidence(self) -> Incidence:
        """The counts by slot, once for all replicas: what estimates are computed from. Replicas move together."""
        return Incidence(
            self.slots, self.slot_uniques, self.slot_duplicates, self.slot_incidences, self.observed, tuple(self.novel)
        )

    @property
    def unseen_items(self) -> float:
        """Estimated number of behaviours not yet seen."""
        return unseen_items(self.slot_incidence)

    @property
    def unseen_upper(self) -> float:
        """Upper bound of P(the next unit brings something new); computed at most once per unit."""
        if self._bound[0] != self.units:
            self._bound = (self.units, unseen_upper(self.incidence, self._config.confidence))
        return self._bound[1]

    def _forget_bound(self) -> None:
        self._bound = (-1, 1.0)

    @property
    def state(self) -> State:
        """See ProfileConfig for when it is which."""
        if self.loss_left:
            return State.LOSSY
        if self.overflow:
            return State.CHURNING
        config = self._config
        factor = 1.0 if self.observed else config.empty_factor
        slack = config.hysteresis if self.was_stable else 1.0
        enough = self.units >= config.min_units * factor
        if enough and self.unseen_upper <= config.target / factor * slack:
            return State.STABLE
        return State.CHURNING if self._is_churning() else State.LEARNING

    def _is_churning(self) -> bool:
        if self.units < self._config.churn_units:
            return False
        data, rate = self.incidence, self._config.churn_factor * self._config.target
        if self.was_churning:
            return sum(data.novel[-2:]) > rate / self._config.hysteresis * sum(data.spans[-2:])
        return does_not_converge(data.spans, data.novel, rate)

    def _settle(self) -> None:
        """Remember how the class stands, for what depends on how it stood."""
        state = self.state
        self.was_stable = state is State.STABLE or (self.was_stable and self.loss_left > 0)
        self.was_churning = state is State.CHURNING
