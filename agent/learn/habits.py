"""A workload's habits as its profile brings them along: its record of novelties, and the budget it was judged by."""

from typing import Any

from detection.baseline.budget import BudgetConfig
from detection.baseline.conformal import Calibration, CalibrationError
from detection.baseline.profile import Profile

RECORD, BUDGET = "calibration", "budget"
_WEEK_S = 7 * 86_400


def note_habits(profile: Profile, record: Calibration, budget: BudgetConfig) -> None:
    """Put them into a profile that is about to be saved."""
    profile.notes[RECORD] = record.to_dict()
    profile.notes[BUDGET] = {"per_week": budget.per_week, "slot_s": _WEEK_S / budget.slots_per_week}


def habits_of(profile: Profile) -> tuple[Calibration, BudgetConfig] | None:
    """What `note_habits` put there; None where nothing or something else is."""
    try:
        told: dict[str, Any] = profile.notes[BUDGET]
        budget = BudgetConfig.of(float(told["per_week"]), float(told["slot_s"]))
        return Calibration.from_dict(profile.notes[RECORD], budget.window), budget
    except (KeyError, TypeError, ValueError, OverflowError, CalibrationError):
        return None
