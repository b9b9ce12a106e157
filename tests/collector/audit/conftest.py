"""Audit records as the API server writes them, and rules as small as they can be."""

from typing import Any

import orjson
import pytest

from collector.audit import Detector
from collector.errors import StoreError
from detection.finding import Finding, Severity, Technique
from detection.rules.compile import RuleSet
from detection.rules.ir import And, Named, Op, Rule, Test

EXEC_URI = "/api/v1/namespaces/shop/pods/web-1/exec?command=%2Fbin%2Fsh&command=-c&command=mysql+--password%3Dhunter2"


def _rule(name: str, *tests: Test) -> Rule:
    technique = Technique("T1609", "execution")
    condition = Named("selection", And(tests))
    return Rule(
        name, f"Rule {name}", Severity.MEDIUM, "kubernetes/audit", condition, techniques=(technique,), reason="Why."
    )


@pytest.fixture
def rules() -> RuleSet:
    exec_rule = _rule("exec", Test("objectRef.subresource", Op.EQUALS, ("exec",)))
    secrets = _rule("secrets", Test("objectRef.resource", Op.EQUALS, ("secrets",)), Test("verb", Op.EQUALS, ("list",)))
    pods = _rule("pods", Test("objectRef.resource", Op.EQUALS, ("pods",)))
    return RuleSet.from_ir([exec_rule, secrets, pods])


@pytest.fixture
def detector(rules: RuleSet) -> Detector:
    return Detector(rules)


def record(audit_id: str = "id-1", **changes: Any) -> dict[str, Any]:
    base = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": audit_id,
        "stage": "ResponseComplete",
        "requestURI": EXEC_URI + "&container=web&stdin=true&tty=true",
        "verb": "create",
        "user": {"username": "alice@example.com", "groups": ["dev"]},
        "sourceIPs": ["203.0.113.7"],
        "userAgent": "kubectl/v1.32",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-1", "subresource": "exec"},
        "responseStatus": {"code": 101},
        "requestReceivedTimestamp": "2026-11-21T12:00:03.100000Z",
        "stageTimestamp": "2026-11-21T12:00:03.150000Z",
    }
    return base | changes


class Store:
    """An Emit: keeps findings; refuses while told to."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.refuse = 0

    async def __call__(self, findings: list[Finding]) -> None:
        if self.refuse:
            self.refuse -= 1
            raise StoreError("database is locked")
        self.findings += findings

    def audit_ids(self) -> list[str]:
        return [str(f.fields["auditID"]) for f in self.findings]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(name="record")
def _record() -> Any:
    return record


@pytest.fixture
def line() -> Any:
    return lambda audit_id, **changes: orjson.dumps(record(audit_id, **changes)) + b"\n"
