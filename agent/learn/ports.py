"""What the learner asks of others."""

from typing import Protocol

from detection.baseline.keys import ClassKey


class Decided(Protocol):
    """What people decided about one workload."""

    def accepts(self, key: ClassKey, member: str) -> bool:
        """Whether people called it normal."""

    def condemns(self, key: ClassKey, member: str) -> bool:
        """Whether people said that it never is."""

    def locks(self, key: ClassKey) -> bool:
        """Whether nothing but what is accepted is normal in this class."""


class Decisions(Protocol):
    """All decisions there are (detection.baseline.decision.DecisionBook)."""

    def of(self, workload: str, version: str) -> Decided | None:
        """Those that apply to this version of this workload; None without any."""


class NoDecisions:
    """Nothing was decided."""

    def of(self, workload: str, version: str) -> Decided | None:
        """None."""
        return None
