"""A collector in a thread of this process, certificates, and agents' halves of the wire."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.exchange import Exchange, ExchangeConfig
from agent.rule_mail import RuleMail
from agent.spool import Priority, Spool
from agent.uplink import Backoff, Credentials, Identity, Uplink
from agent.uplink.wire import finding_payload
from cli.certificates import Files, Role, create_ca, issue
from collector.config import Config, TlsFiles
from collector.errors import CollectorError
from collector.incident import Incident, Join
from collector.metrics import Metrics
from collector.run import Collector, Ready
from detection.finding import Entity, EntityKind, Finding, Kind, Severity, Source, Technique

STREAM_WAIT_S = 30


@dataclass
class OneIncident:
    """The simplest correlator: everything belongs to one incident."""

    findings: dict[str, Finding] = field(default_factory=dict)
    revision: int = 0

    def add_many(self, findings: Sequence[Finding]) -> list[Incident]:
        self.findings.update((f.id, f) for f in findings)
        self.revision += 1
        return [self._incident()] if self.findings else []

    def expire(self, now_ns: int) -> int:
        return 0

    def restore(self, findings: Sequence[Finding], incidents: Sequence[Incident]) -> None:
        self.findings.update((f.id, f) for f in findings)
        self.revision = max((i.revision for i in incidents), default=0)

    def _incident(self) -> Incident:
        members = tuple(sorted(self.findings.values(), key=lambda f: (f.time_ns, f.id)))
        joins = (Join("pod_uid", "p", members[0].id, members[-1].id, 0.9, "Same pod."),) if len(members) > 1 else ()
        return Incident(
            id="incident-one",
            revision=self.revision,
            title="Everything",
            severity=Severity.HIGH,
            score=50.0,
            score_parts=("a test",),
            findings=members,
            joins=joins,
            actors=(Entity(EntityKind.USER, "alice"),),
            tactics=("execution",),
            sources=("runtime",),
        )


class RunningCollector:
    """A whole collector with its own event loop in a thread."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.correlator = OneIncident()
        self._started = threading.Event()
        self._error: CollectorError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(30)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            self._collector = collector = Collector(self.config, self.correlator, {})
            self.metrics: Metrics = collector.metrics
            self.ready: Ready = await collector.start()
        except CollectorError as error:
            self._error = error
            self._started.set()
            return
        self._started.set()
        await self._stop.wait()
        await collector.stop()

    @property
    def address(self) -> str:
        return self.ready.listen[0]

    def reload(self) -> None:
        """What SIGHUP does."""
        asyncio.run_coroutine_threadsafe(self._collector.reload(), self._loop).result(30)

    def stop(self) -> None:
        if self._thread.is_alive() and self._error is None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
            assert not self._thread.is_alive()


@pytest.fixture
def make_collector(tmp_path: Path) -> Iterator[Callable[..., RunningCollector]]:
    running: list[RunningCollector] = []

    def make(**options: object) -> RunningCollector:
        given = {"listen": (f"unix:{tmp_path}/c.sock",), "store": str(tmp_path / "c.db"), "stop_s": 1.0, **options}
        running.append(RunningCollector(Config(**given)))  # type: ignore[arg-type]
        return running[-1]

    yield make
    for collector in running:
        collector.stop()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Role, str], Files]:
    """Issues certificates of one CA."""
    directory = tmp_path_factory.mktemp("pki")
    create_ca(directory)
    return lambda role, name: issue(directory, role, name, ("127.0.0.1",) if role is Role.COLLECTOR else ())


@pytest.fixture
def tls() -> Callable[[Files], TlsFiles]:
    return lambda files: TlsFiles(files.certificate, files.key, files.ca)


@pytest.fixture
def credentials() -> Callable[[Files], Credentials]:
    return lambda files: Credentials(files.certificate, files.key, files.ca)


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    def make(number: int, **changes: object) -> Finding:
        values: dict[str, object] = {
            "id": f"finding-{number:06d}",
            "time_ns": 1_700_000_000_000_000_000 + number,
            "source": Source.RUNTIME,
            "kind": Kind.RULE,
            "rule_id": "rule-1",
            "title": f"Shell {number}",
            "severity": Severity.MEDIUM,
            "reason": "because",
            "techniques": (Technique("T1059.004", "execution"),),
            "entities": (Entity(EntityKind.CONTAINER, "c1"),),
            "fields": {"CommandLine": "sh -c id", "pid": 7, "tty": True, "score": 0.5, "argv": ("sh", "-c")},
            "matched": ("selection: CommandLine",),
        }
        return Finding(**{**values, **changes})  # type: ignore[arg-type]

    return make


@dataclass
class AgentHalf:
    """Spool and uplink of one agent, without a sensor."""

    spool: Spool
    uplink: Uplink
    exchange: Exchange

    def report(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            assert self.spool.append(finding_payload(finding), priority=Priority.FINDING) is not None

    def wait_acked(self, seq: int, timeout_s: float = STREAM_WAIT_S) -> None:
        wait(lambda: self.uplink.status().acked_seq >= seq, timeout_s, lambda: str(self.uplink.status()))


def wait(condition: Callable[[], bool], timeout_s: float, what: Callable[[], str]) -> None:
    """Poll until it holds; fails with `what` says."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError(f"not within {timeout_s} s: {what()}")


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def until(condition: Callable[[], bool], what: object = "the condition") -> None:
        wait(condition, STREAM_WAIT_S, lambda: str(what() if callable(what) else what))

    return until


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[Callable[..., AgentHalf]]:
    made: list[AgentHalf] = []

    def make(
        target: str,
        name: str = "node-1",
        credentials: Credentials | None = None,
        directory: Path | None = None,
        rules: RuleMail | None = None,
    ) -> AgentHalf:
        exchange = Exchange(ExchangeConfig(least_s=0.0))
        exchange.rules = rules or exchange.rules
        spool = Spool(directory or tmp_path / f"spool-{name}", 8 << 20, sync_interval_s=0.002)
        identity = Identity(name, name, "boot", "0.1.0", 1)
        uplink = Uplink(spool, target, credentials, identity, backoff=Backoff(0.05, 0.2), exchange=exchange)
        agent = AgentHalf(spool, uplink, exchange)
        agent.uplink.start()
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.uplink.stop(0)
        agent.spool.close()
