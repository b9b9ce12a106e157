"""What the learn stage may be told."""

from dataclasses import dataclass, field

from detection.baseline.budget import BudgetConfig
from detection.baseline.profile import ProfileConfig
from detection.baseline.score import ScoreConfig


@dataclass(frozen=True, slots=True)
class LearnConfig:
    """Options of the learner. Bounds are per agent unless they say otherwise.

    `host_members` replaces `profile.max_members` for the host's own workload, which does far more different
    things than a container. `max_members` bounds all profiles together. `cache`: exec edges recognised without making
    templates. In a stable class, and while learning where it weighs `quorum_weight` decades, a behaviour is learned
    only when `quorum` instances have shown it, or all where there are fewer. `budget`: false anomalies a workload
    may raise in a week on average. `inherit`: what a unit of the version before counts for in a new one.
    """

    slot_s: float = 60.0
    budget: float = 1.0
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    host_members: int = 20_000
    max_profiles: int = 2000
    max_members: int = 1_000_000
    quorum: int = 2
    quorum_weight: float = 1.0
    inherit: float = 0.25
    max_links: int = 65_536
    max_condemned_processes: int = 4096
    cache: int = 4096

    def budgeted(self) -> BudgetConfig:
        """The budget in slots. Raises: ValueError where it or the slot is not above 0."""
        return BudgetConfig.of(self.budget, self.slot_s)
