"""Hand-made findings, as the agent and the audit detector make them."""

from collections.abc import Callable
from typing import Any

import pytest

from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source, Technique

BASE_NS = 1_763_726_400_000_000_000  # 2025-11-21T12:00:00Z
_SEVERITIES = {s.label: s for s in Severity}
E = EntityKind


def _techniques(text: str) -> tuple[Technique, ...]:
    return tuple(Technique(*part.split(":")) for part in text.split())


class Maker:
    """Makes findings. Times are seconds after 12:00."""

    def runtime(
        self,
        name: str,
        at: float,
        *,
        level: str = "medium",
        techniques: str = "",
        ns: str = "shop",
        workload: str = "web",
        process: str = "",
        entry: str = "",
        peer: str = "",
        address: str = "",
        account: str = "",
        anomaly: float = 0.0,
        host: bool = False,
        pod_uid: bool = True,
        **fields: Any,
    ) -> Finding:
        exec_id = process or f"p-{ns}-{workload}-{name}"
        entities = [Entity(E.PROCESS, exec_id, Role.ACTOR, "/bin/sh")]
        if entry:
            entities.append(Entity(E.PROCESS, entry, Role.ENTRY, "/bin/sh"))
        if not host:
            pod = f"{ns}/{workload}-1"
            entities += [
                Entity(E.CONTAINER, f"cid-{ns}-{workload}", Role.ACTOR, workload),
                Entity(E.POD, f"uid-{ns}-{workload}" if pod_uid else pod, Role.ACTOR, pod),
                Entity(E.POD_NAME, pod),
                Entity(E.IMAGE, "sha256:same", Role.ACTOR, "image:1"),
            ]
        entities += [Entity(E.WORKLOAD, "host" if host else f"k8s/{ns}/deployment/{workload}/{workload}")]
        entities += [Entity(E.NODE, "node-1")]
        entities += [Entity(E.SERVICE_ACCOUNT, account)] if account else []
        entities += [Entity(E.ADDRESS, address)] if address else []
        entities += [Entity(E.ADDRESS, peer, Role.PEER)] if peer else []
        return Finding(
            id=f"f-{ns}-{workload}-{name}" if not host else f"f-host-{name}",
            time_ns=BASE_NS + int(at * 1e9),
            source=Source.RUNTIME,
            kind=Kind.ANOMALY if anomaly else Kind.RULE,
            rule_id=f"anomaly.{name}" if anomaly else name,
            title=name.replace("-", " "),
            severity=_SEVERITIES[level],
            reason="because",
            techniques=_techniques(techniques),
            entities=tuple(entities),
            fields=fields,
            surprise=anomaly,
        )

    def audit(
        self,
        name: str,
        at: float,
        *,
        level: str = "medium",
        techniques: str = "",
        user: str = "",
        account: str = "",
        verb: str = "create",
        obj: str = "pods/shop/web-1",
        sub: str = "",
        pod_uid: str = "",
        source_ip: str = "203.0.113.7",
        credential: str = "",
        event: str = "",
        **fields: Any,
    ) -> Finding:
        resource, ns, target = obj.split("/")
        entities = [Entity(E.USER, user)] if user else [Entity(E.SERVICE_ACCOUNT, account)]
        entities += [Entity(E.POD, pod_uid)] if pod_uid else []
        entities += [Entity(E.CREDENTIAL, credential)] if credential else []
        entities += [Entity(E.ADDRESS, source_ip)] if source_ip else []
        entities += [Entity(E.AUDIT_EVENT, event or f"audit-{name}"), Entity(E.KUBERNETES_OBJECT, obj, Role.TARGET)]
        entities += [Entity(E.POD_NAME, f"{ns}/{target}", Role.TARGET)] if resource == "pods" and sub else []
        about = {"verb": verb, "objectRef.resource": resource, "objectRef.namespace": ns, "objectRef.name": target}
        about |= {"objectRef.subresource": sub} if sub else {}
        about |= {"user.username": user or f"system:serviceaccount:{account.replace('/', ':')}"}
        return Finding(
            id=f"a-{name}",
            time_ns=BASE_NS + int(at * 1e9),
            source=Source.KUBERNETES_AUDIT,
            kind=Kind.RULE,
            rule_id=name,
            title=name.replace("-", " "),
            severity=_SEVERITIES[level],
            reason="because",
            techniques=_techniques(techniques),
            entities=tuple(entities),
            fields=about | fields,
        )

    def story(self) -> list[Finding]:
        """Alice's evening: a shell in shop/web by exec, and all that followed."""
        web = {"entry": "entry-1", "address": "10.0.0.5", "account": "shop/web"}
        shell = {"process.entry": True, "process.tty": True, "CommandLine": "/bin/sh"}
        token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
        back = {"workload": "backend", "address": "10.0.0.6", "account": "shop/backend"}
        return [
            self.audit(
                "exec", 3.1, techniques="T1609:execution", user="alice@example.com", verb="get", sub="exec",
                **{"exec.command": ("/bin/sh",), "exec.container": "web", "exec.tty": True, "responseStatus.code": 101},
            ),
            self.runtime("shell", 3.3, techniques="T1609:execution", process="entry-1", **web, **shell),
            self.runtime("discovery", 8, level="low", techniques="T1082:discovery", **web),
            self.runtime("dropped", 15, level="high", techniques="T1105:command-and-control", **web,
                         **{"process.upper_layer": True}),
            self.runtime("token", 20, level="high", techniques="T1528:credential-access", **web, TargetFilename=token),
            self.runtime("egress", 30, anomaly=4.2, level="medium", techniques="", peer="10.0.0.6", **web),
            self.runtime("exec", 34, anomaly=5.0, level="medium", techniques="", **back),
            self.runtime("beacon", 40, level="high", techniques="T1571:command-and-control", peer="198.51.100.9",
                         **web),
            self.audit(
                "secrets", 50, level="high", techniques="T1552.007:credential-access", account="shop/web", verb="list",
                obj="secrets/shop/", pod_uid="uid-shop-web", source_ip="10.0.0.5", credential="JTI=1",
            ),
            self.audit(
                "privileged-pod", 55, level="high", techniques="T1610:execution T1611:privilege-escalation",
                account="shop/web", obj="pods/shop/helper", source_ip="10.0.0.5", credential="JTI=1",
                **{"pod.privileged": ("helper",)},
            ),
        ]  # fmt: skip

    def noise(self) -> list[Finding]:
        """Another namespace on the same node, with the same image."""
        other = {"ns": "billing", "workload": "cron", "address": "10.0.0.9", "account": "billing/cron"}
        return [
            self.runtime("shell", 10, level="low", techniques="T1059:execution", **other),
            self.runtime("write", 25, level="informational", **other),
            self.audit("scale", 30, level="low", user="bob@example.com", verb="patch", obj="deployments/billing/cron"),
        ]


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def summary() -> Callable[[Any], list[dict[str, Any]]]:
    """Incidents without their revisions, which count what was given out."""

    def of(correlator: Any) -> list[dict[str, Any]]:
        return [incident.as_dict() | {"revision": 0} for incident in correlator.incidents()]

    return of
