"""What the rates stage may be told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateConfig:
    """`window_s`: length of a window, rounded up to whole slots. `budget`: false anomalies a workload may raise a week.

    `quiet_windows` without anything end an episode. The rest are bounds: cgroups counted in one window, models kept,
    windows of one container remembered, windows that wait to go up.
    """

    window_s: float = 60.0
    budget: float = 1.0
    quiet_windows: int = 3
    max_cgroups: int = 4096
    max_models: int = 1000
    history: int = 30
    max_waiting: int = 4096
