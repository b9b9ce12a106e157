"""What learn gives: an identified event, and what was novel about it."""

from dataclasses import dataclass

from agent.workload import Identified
from detection.finding import Severity, Technique


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A behaviour the workload's profile did not know.

    `member` is the behaviour as the profile would hold it ("/bin/httpd → /bin/sh -c *"). `surprise` is −log10 of its
    estimated probability; `state` and `completeness` describe the class of the profile at that
    moment; `reasons` are sentences for a person, with numbers.
    """

    behaviour: str  # one of detection.baseline.keys.CLASSES
    member: str
    surprise: float
    severity: Severity
    state: str  # learning, stable, churning, lossy
    completeness: float  # estimated sample coverage, 0..1
    nearest: tuple[str, ...]
    reasons: tuple[str, ...]
    techniques: tuple[Technique, ...] = ()
    phase: str = "steady"  # of the container's life: startup, steady, shutdown


@dataclass(frozen=True, slots=True)
class Observation:
    """An identified event and its anomalies (usually none)."""

    identified: Identified
    anomalies: tuple[Anomaly, ...] = ()
