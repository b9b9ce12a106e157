"""Subjects as agents and audit logs make them, a store to deliver from, and far ends."""

import datetime
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from collector.incident import Incident, Join
from collector.metrics import Metrics
from collector.publish.sinks.delivery import Delivery, Rules
from collector.publish.sinks.files import DeadLetter, Position
from collector.publish.sinks.port import Sink
from collector.store.store import Batch, Store
from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source, Technique

E = EntityKind
BASE_NS = 1_763_726_400_000_000_000


def runtime(number: int = 1, **changes: object) -> Finding:
    values: dict[str, object] = {
        "id": f"f-{number:06d}",
        "time_ns": BASE_NS + number * 1_000_000_123,
        "source": Source.RUNTIME,
        "kind": Kind.RULE,
        "rule_id": "shell-by-server",
        "title": "Shell | run by a web server",
        "severity": Severity.HIGH,
        "reason": "nginx started sh -c id\nwith equals=signs and back\\slashes.",
        "techniques": (Technique("T1059.004", "execution"), Technique("T1105", "command-and-control")),
        "entities": (
            Entity(E.PROCESS, "boot-1/4711/99", Role.ACTOR, "/usr/bin/dash"),
            Entity(E.CONTAINER, "c0ffee", Role.ACTOR, "web"),
            Entity(E.POD, "6f1e0000-0000-4000-8000-000000000001", Role.ACTOR, "shop/web-1"),
            Entity(E.POD_NAME, "shop/web-1"),
            Entity(E.WORKLOAD, "k8s/shop/deployment/web/web"),
            Entity(E.NODE, "node-1"),
            Entity(E.IMAGE, "sha256:" + "ab" * 32, Role.ACTOR, "shop/web:1.2"),
            Entity(E.SERVICE_ACCOUNT, "shop/web"),
            Entity(E.ADDRESS, "203.0.113.66", Role.PEER),
            Entity(E.DOMAIN, "evil.example"),
            Entity(E.FILE, "/tmp/.p"),
        ),
        "fields": {
            "Image": "/usr/bin/dash",
            "CommandLine": "sh -c id",
            "ProcessId": 4711,
            "User": "www-data",
            "ParentImage": "/usr/sbin/nginx",
            "ParentProcessId": 17,
            "process.tty": True,
            "process.ancestors": ("/usr/sbin/nginx", "/sbin/init"),
            "container.id": "c0ffee",
            "container.name": "web",
            "container.image": "shop/web:1.2",
            "k8s.namespace": "shop",
            "k8s.pod": "web-1",
            "DestinationIp": "203.0.113.66",
            "DestinationPort": 443,
            "QueryName": "evil.example",
            "TargetFilename": "/tmp/.p",
            "Hostname": "node-1",
            "score": 0.5,
        },
        "matched": ("selection: CommandLine contains 'id'",),
        "advice": "Look at what the shell did.",
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


def audit(number: int = 2) -> Finding:
    return Finding(
        id=f"f-{number:06d}",
        time_ns=BASE_NS + number * 1_000_000_123,
        source=Source.KUBERNETES_AUDIT,
        kind=Kind.ANOMALY,
        rule_id="anomaly.verb",
        title="First exec by alice",
        severity=Severity.MEDIUM,
        reason="alice never ran a command in a pod before.",
        techniques=(Technique("T1609", "execution"),),
        entities=(
            Entity(E.USER, "alice"),
            Entity(E.CREDENTIAL, "JTI=1"),
            Entity(E.ADDRESS, "2001:db8::7"),
            Entity(E.POD_NAME, "shop/web-1", Role.TARGET),
            Entity(E.KUBERNETES_OBJECT, "pods/shop/web-1", Role.TARGET),
        ),
        fields={"verb": "create", "user.username": "alice", "sourceIPs": ("2001:db8::7",), "responseStatus.code": 101},
        surprise=3.25,
        profile="98 % complete",
    )


def incident(*findings: Finding, **changes: object) -> Incident:
    members = findings or (runtime(1), audit(2))
    values: dict[str, object] = {
        "id": "incident-1",
        "revision": 1,
        "title": "Shell in shop/web, entered by alice",
        "severity": Severity.CRITICAL,
        "score": 87.4,
        "score_parts": ("two independent sources", "three tactics"),
        "findings": members,
        "joins": (Join("pod_name", "shop/web-1", members[0].id, members[-1].id, 0.9, "Both name pod shop/web-1."),),
        "actors": (Entity(E.USER, "alice"),),
        "tactics": ("execution", "command-and-control"),
        "sources": ("kubernetes-audit", "runtime"),
    }
    return Incident(**{**values, **changes})  # type: ignore[arg-type]


def everything() -> dict[str, Finding | Incident]:
    """One of each shape, by name."""
    poor = Finding("f-poor", 0, Source.WAF_AWS, Kind.RULE, "r", "T", Severity.INFORMATIONAL, "")
    hostile = replace(
        runtime(9),
        title='a|b\\c\r\n=\x1b[31m"<script>',
        fields={"CommandLine": "\x00\u202e" + "x" * 100_000, "ProcessId": 1 << 70, "list": ("=", "|", "\n")},
        entities=(Entity(E.ADDRESS, "not an address", Role.PEER), Entity(E.FILE, "/"), Entity(E.POD, "")),
    )
    return {
        "finding": runtime(),
        "anomaly": audit(),
        "incident": incident(),
        "incident-updated": incident(revision=4),
        "incident-merged": incident(revision=5, superseded_by="incident-0"),
        "finding-poor": poor,
        "finding-hostile": hostile,
    }


@pytest.fixture
def make() -> "type[Subjects]":
    return Subjects


class Subjects:
    """Makers for tests."""

    runtime = staticmethod(runtime)
    audit = staticmethod(audit)
    incident = staticmethod(incident)
    everything = staticmethod(everything)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "store.db"))
    yield opened
    opened.close()


@pytest.fixture
def commit(store: Store) -> Callable[..., int]:
    """Findings numbered so are stored; the newest cursor."""

    def put(numbers: range, **changes: object) -> int:
        return store.commit(Batch(findings=tuple(runtime(n, **changes) for n in numbers)))

    return put


@dataclass
class Running:
    """A delivery in a thread."""

    delivery: Delivery
    metrics: Metrics
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.delivery.run, daemon=True)
        self.thread.start()

    def count(self, result: str) -> float:
        name = self.delivery.rules.name
        return self.metrics.value("vedette_collector_sink_events_total", sink=name, result=result)

    def stop(self) -> None:
        self.delivery.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def deliver(store: Store, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Runs a delivery from the store to a sink; the body is the subject's id."""
    started: list[Running] = []

    def run(sink: Sink, *, dead_bytes: int = 1 << 20, form: object = None, **rules: object) -> Running:
        given = {"name": "s", "start": "beginning", "batch": 10, "retry_cap_s": 0.01, **rules}
        metrics = Metrics()
        delivery = Delivery(
            Rules(**given),  # type: ignore[arg-type]
            sink,
            form or (lambda subject: subject.id.encode()),  # type: ignore[arg-type]
            store,
            position=Position(tmp_path / "s.cursor"),
            dead=DeadLetter(tmp_path / "s.dead.jsonl", dead_bytes),
            metrics=metrics,
            chance=random.Random(1),
        )
        started.append(Running(delivery, metrics))
        return started[-1]

    yield run
    for running in started:
        running.stop()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something to be so, at most 30 s."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < end, "not so after 30 s"
            pause.wait(0.005)

    return wait


@dataclass(frozen=True)
class Tls:
    """A server's context, and the file a client trusts it by."""

    context: ssl.SSLContext
    ca: Path


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    directory = tmp_path_factory.mktemp("far-end")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far end")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = directory / "server.pem", directory / "server.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return Tls(context, pem)
