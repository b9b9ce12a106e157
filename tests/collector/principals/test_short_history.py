"""Recorded logs are too short a history to alarm from."""

from pathlib import Path

import pytest

from collector.audit import FORMATS
from collector.audit.replay import AuditReplay
from collector.principals import PrincipalWatch
from detection.finding import Severity
from detection.rules.compile import RuleSet


@pytest.mark.external
@pytest.mark.parametrize(
    ("source", "folder", "least"),
    [("kubernetes-audit", "kubernetes", 100), ("aws-cloudtrail", "cloudtrail_attacks", 50)],
)
def test_nothing_above_low_comes_from_a_few_recorded_hours(
    shared_data: Path, source: str, folder: str, least: int
) -> None:
    replay = AuditReplay(FORMATS[source], RuleSet.from_ir([]), PrincipalWatch())
    found = [f for path in sorted((shared_data / folder).glob("*.json")) for f in replay.findings(path)]
    assert replay.events >= least
    assert [f for f in found if f.severity > Severity.LOW] == []
