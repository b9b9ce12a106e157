"""The operator's budget: how many false anomalies a workload may raise in a week, and whether that can be kept.

A novelty passes when novelties that rank as high, itself included, come at most `per_week` times a week in this
workload's own record (`conformal.py`). If harmless slots with novelty are exchangeable, the k-th in rank of the
last H weeks is surpassed k/H times a week, so alarms come at most `per_week` times a week on average, whatever
the number of novelties and however their strangeness is distributed.

Before a class was watched for 1/`per_week` weeks no record can prove that. Then a novelty passes only where it is
stranger than all before it and at least `first_strangeness`; n exchangeable novelties hold 1 + 1/2 + … + 1/n such
records on average (Rényi 1962), so n of them cost at most 1 + ln n alarms, once.

What one workload shows within `episode_slots` after an alarm, if it is at least `episode_strangeness`, belongs to
that alarm: it passes and is not counted again. So an intrusion is not silenced by its own first step, and plain
novelties are not carried along. What does not pass is reported as informational: the budget decides what calls a
person, never what is recorded.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import exp, floor, inf, log
from typing import NamedTuple

from detection.baseline.conformal import WINDOW, Calibration, Standing

_WEEK_S = 7 * 24 * 3600
_HIGHEST = 16.0  # no novelty is stranger


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """Times in slots. `window` is how far back the record goes, if the budget needs no longer one."""

    per_week: float = 1.0
    slots_per_week: float = _WEEK_S / 60
    window: int = WINDOW
    episode_slots: int = 60
    first_strangeness: float = 1.5
    episode_strangeness: float = 1.0

    @classmethod
    def of(cls, per_week: float, slot_s: float) -> "BudgetConfig":
        """A budget for slots of `slot_s` seconds: four weeks of record, or two times 1/`per_week`; an hour an alarm.

        Raises: ValueError where the budget is not above 0 or the slot not of a positive length.
        """
        if not per_week > 0 or not slot_s > 0:
            raise ValueError(f"a budget of {per_week} a week with slots of {slot_s} s: both must be above 0")
        weeks = min(52.0, max(4.0, 2.0 / per_week))
        slots = _WEEK_S / slot_s
        return cls(per_week, slots, max(8, int(weeks * slots)), max(1, round(3600 / slot_s)))


class Status(StrEnum):
    """Whether the budget is kept."""

    KEPT = "kept"
    UNPROVEN = "unproven"  # too short a record
    OVERRUN = "overrun"  # more alarms than chance allows: the workload changes its habits, or is attacked


class Ruling(NamedTuple):
    """What the budget says of one novelty. `per_week`: novelties at least as strange a week, this one included.

    `surpassed`: one before was at least as strange.
    """

    passes: bool
    begins: bool  # it begins an alarm: tell the record when the novelty is reported
    proven: bool
    per_week: float
    p_value: float
    surpassed: bool
    reason: str


def rule(key: str, strangeness: float, calibration: Calibration, config: BudgetConfig) -> Ruling:
    """May this novelty of class `key` call a person? Costs what `Calibration.standing` costs."""
    standing = calibration.standing(key, strangeness)
    proven, passes = _proven(standing, config), _passes(standing, strangeness, config)
    same = strangeness >= config.episode_strangeness and _in_alarm(calibration, config)
    reason = _reason(standing, config, passes, same)
    surpassed = standing.at_least > 0 or not standing.exact
    per_week = standing.per_slot * config.slots_per_week
    return Ruling(passes or same, passes and not same, proven, per_week, standing.p_value, surpassed, reason)


def _proven(standing: Standing, config: BudgetConfig) -> bool:
    return standing.watched * config.per_week >= config.slots_per_week


def _passes(standing: Standing, strangeness: float, config: BudgetConfig) -> bool:
    if _proven(standing, config):
        return standing.per_slot * config.slots_per_week <= config.per_week
    return standing.exact and not standing.at_least and strangeness >= config.first_strangeness


def _in_alarm(calibration: Calibration, config: BudgetConfig) -> bool:
    return bool(calibration.alarms) and calibration.slots - calibration.alarms[-1] < config.episode_slots


def _reason(standing: Standing, config: BudgetConfig, passes: bool, same: bool) -> str:
    budget = f"the budget of {config.per_week:g} false anomalies a week"
    more = "" if standing.exact else " or more"
    seen = (
        f"as strange in its class: {standing.own_at_least}{more} of {standing.own_novel} before; "
        f"as unusual in all: {standing.at_least}{more} of {standing.novel}"
    )
    if same:
        return f"It belongs to an alarm that began within the last hour; {seen}."
    if not _proven(standing, config):
        done, needed = _span(standing.watched, config), _span(config.slots_per_week / config.per_week, config)
        verdict = "so this is reported" if passes else "so this is kept as informational"
        return (
            f"T{budget[1:]} cannot be proven yet ({done} of {needed} watched); until then only what is stranger than "
            f"everything before is reported, {verdict} ({seen})."
        )
    per_week = standing.per_slot * config.slots_per_week
    often = "more often than can be told" if per_week == inf else f"about {per_week:.2g} times a week"
    verdict = f"within {budget}" if passes else f"more than {budget}, so this is kept as informational"
    return f"Something as unusual comes {often} here ({seen}; p ≤ {standing.p_value:.2g}): {verdict}."


def _figure(number: float) -> str:
    """Two digits that count, without an exponent."""
    return f"{number:.2g}" if number < 100 else f"{number:.0f}"


def _span(slots: float, config: BudgetConfig) -> str:
    hours = slots / config.slots_per_week * 168
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """The budget of one workload, for people.

    `watched_weeks` of record, `novel_per_week` slots with novelty (what would be reported without a budget),
    `alarms` in the window and `promised_per_week` expected from now on (None where nothing can be promised);
    `needed`: the strangeness from which a novelty of each class would pass.
    """

    status: Status
    per_week: float
    watched_weeks: float
    novel_per_week: float
    alarms: int
    promised_per_week: float | None
    needed: dict[str, float]

    @property
    def sentence(self) -> str:
        """The same in words and numbers."""
        often = f"{_figure(self.novel_per_week)} novelties a week without a budget"
        if self.status is Status.OVERRUN:
            return f"overrun: {self.alarms} anomalies in {self.watched_weeks:.1f} weeks, the workload changes ({often})"
        if self.promised_per_week is None:
            least = f"{_figure(1 / self.watched_weeks)} a week" if self.watched_weeks else "nothing"
            needed = f"{self.watched_weeks:.2f} of {1 / self.per_week:.2g} weeks watched"
            return f"not yet provable: {needed}; the least that can be promised is {least} ({often})"
        alarms = f"{self.alarms} in {self.watched_weeks:.1f} weeks"
        return f"kept: at most {self.promised_per_week:.2g} a week expected, {alarms} ({often})"


def state_of(calibration: Calibration, config: BudgetConfig) -> BudgetState:
    """Whether the budget of a workload is kept, and what it takes to pass. For shows and ledgers, not per event."""
    weeks = calibration.watched / config.slots_per_week
    novel = calibration.novel_per_slot * config.slots_per_week
    alarms = calibration.alarms_since(calibration.watched)
    allowed = floor(config.per_week * weeks + 1e-9)
    promised = allowed / weeks if allowed else None
    status = Status.KEPT if allowed else Status.UNPROVEN
    if (
        poisson_tail(alarms, max(config.per_week * weeks, 1.0 + log(1 + novel * min(weeks, 1 / config.per_week))))
        < 0.01
    ):
        status = Status.OVERRUN
    needed = {key: _needed(key, calibration, config) for key in calibration.classes()}
    return BudgetState(status, config.per_week, weeks, novel, alarms, promised, needed)


def _needed(key: str, calibration: Calibration, config: BudgetConfig) -> float:
    """Least strangeness that passes; it is monotone."""
    low, high = 0.0, _HIGHEST
    for _ in range(12):
        middle = (low + high) / 2
        passes = _passes(calibration.standing(key, middle), middle, config)
        low, high = (low, middle) if passes else (middle, high)
    return round(high, 2)


def poisson_tail(count: int, mean: float) -> float:
    """P(Poisson(mean) ≥ count)."""
    term = exp(-mean)
    below = 0.0
    for k in range(count):
        below += term
        term *= mean / (k + 1)
    return max(0.0, 1.0 - below)
