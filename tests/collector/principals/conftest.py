"""A person and a service account of a cluster with weeks of history."""

from collections.abc import Callable
from typing import Any

import pytest

from collector.audit import FORMATS
from collector.audit.record import AuditRecord
from collector.principals import BehaviourConfig, PrincipalWatch
from detection.finding import Finding

HOUR_NS = 3600 * 10**9
FORM = FORMATS["kubernetes-audit"]


def audit(hour: float, user: str = "alice", verb: str = "get", resource: str = "pods", **changes: Any) -> AuditRecord:
    """One record; every one has an id of its own."""
    raw = {
        "verb": verb, "user": {"username": user}, "sourceIPs": ["203.0.113.5"], "userAgent": "kubectl/v1.30",
        "objectRef": {"resource": resource, "namespace": "shop"}, "responseStatus": {"code": 200},
    } | changes  # fmt: skip
    return AuditRecord(f"{user}-{verb}-{resource}-{hour}", int(hour * HOUR_NS), "kubernetes/audit", raw)


class Cluster:
    """A watch that was fed, and what it said."""

    def __init__(self, watch: PrincipalWatch) -> None:
        self.watch = watch

    def see(self, record: AuditRecord, condemned: bool = False) -> Finding | None:
        return self.watch.observe(FORM, record, condemned)

    def live(self, hours: int, begin: int = 480_000, **record: Any) -> int:
        """So many hours of the same; the hour after them."""
        for hour in range(begin, begin + hours):
            self.see(audit(hour, **record))
        return begin + hours


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(PrincipalWatch(BehaviourConfig(), now_ns=lambda: 500_000 * HOUR_NS))


@pytest.fixture
def record() -> Callable[..., AuditRecord]:
    return audit
