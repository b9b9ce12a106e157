"""Harmless weeks of a workload, through the whole learner: events go in with time passing, anomalies come out."""

import random
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from agent.events import Connection, Event, EventType, Exec, FileFlag, FileId, Head, Open, Task
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.observation import Anomaly
from agent.workload import Container, Identified, Process, Workload
from detection.baseline.profile import ProfileConfig
from detection.finding import Severity

WEEK = 1008  # slots of ten minutes
_WORDS = (
    "cache",
    "report",
    "invoice",
    "export",
    "thumb",
    "session",
    "queue",
    "audit",
    "stats",
    "index",
    "draft",
    "mail",
)
_TOOLS = ("convert", "gs", "tar", "gzip", "sort", "pdftk", "ffmpeg", "xsltproc")
_WORKLOAD = Workload("k8s/shop/deployment/web/web", "sha256:1")


class Alarm(NamedTuple):
    """An anomaly that called a person, and the slot it came in."""

    slot: int
    anomaly: Anomaly


class Shop:
    """A web server in two containers, its helpers and its habits. Deterministic by `seed`; `week` in slots.

    Of what is new, `shells` are shells the server starts: as an intruder's, but harmless.
    """

    def __init__(
        self,
        seed: int,
        novel_per_week: float,
        budget: float = 1.0,
        *,
        week: int = WEEK,
        target: float = 0.02,
        shells: float = 0.0,
    ) -> None:
        self.chance = random.Random(seed)
        self.week, self.slot_s = week, 7 * 86_400 / week
        self.shells = shells
        self.rate = novel_per_week / week
        profile = ProfileConfig(target=target)
        self.learner = Learner(LearnConfig(slot_s=self.slot_s, budget=budget, profile=profile))
        self.now_ns = 1_000_000_000_000
        self.slot = 0
        self.alarms: list[Alarm] = []
        self.quiet: list[Anomaly] = []  # informational
        self.learner.advance(self.now_ns)

    def run(self, slots: int, novel: bool = True) -> None:
        """Let so many slots pass, with novelties of the harmless kind if `novel`."""
        for _ in range(slots):
            for instance in ("c1", "c2"):
                for event in self._routine(instance):
                    self.see(event)
                if novel and self.chance.random() < self.rate / 2:
                    self.see(self._harmless(instance))
            self.tick()

    def tick(self) -> None:
        """The slot is over."""
        self.slot += 1
        self.now_ns += int(self.slot_s * 1e9)
        self.learner.advance(self.now_ns)

    def see(self, identified: Identified) -> tuple[Anomaly, ...]:
        """One event."""
        anomalies = self.learner.observe(identified).anomalies
        for anomaly in anomalies:
            if anomaly.severity > Severity.INFORMATIONAL:
                self.alarms.append(Alarm(self.slot, anomaly))
            else:
                self.quiet.append(anomaly)
        return anomalies

    def per_week(self) -> list[int]:
        """Alarms of every week; what came within an hour of the first is the same alarm."""
        weeks, last = [0] * (self.slot // self.week + 1), -(10**9)
        for slot, _ in self.alarms:
            if slot - last >= 3600 / self.slot_s:
                last = slot
                weeks[slot // self.week] += 1
        return weeks

    def exec(self, instance: str, path: str, *argv: str) -> Identified:
        """A program started by the server."""
        process = _process(instance, 20, path, argv)
        event = Exec(self._head(EventType.EXEC, process), FileId(5, 1, 0), 0, 0, 0, path, argv, 20, "/", path)
        return Identified(event, process, (_main(instance),), Container(instance), _WORKLOAD)

    def write(self, instance: str, path: str) -> Identified:
        """A file written by the server."""
        main = _main(instance)
        file = FileId(self.chance.getrandbits(30), 1, 3)
        head = self._head(EventType.OPEN, main)
        return _by_main(Open(head, FileId(5, 1, 0), file, FileFlag.WRITE, 1, 0o644, 0xEF53, path), instance)

    def connect(self, instance: str, peer: str, port: int) -> Identified:
        """A connection made by the server."""
        head, local = self._head(EventType.CONNECT, _main(instance)), ip_address("10.0.0.1")
        return _by_main(Connection(head, FileId(5, 1, 0), local, 40001, ip_address(peer), port, 6), instance)

    def _routine(self, instance: str) -> Iterator[Identified]:
        yield self.exec(instance, "/bin/cgi", "cgi", str(self.slot))
        yield self.write(instance, f"/var/log/app/app-{100_000 + self.slot}.log")
        yield self.connect(instance, "10.0.0.9", 5432)

    def _harmless(self, instance: str) -> Identified:
        """Something new: mostly much like the old, sometimes not, rarely of weight."""
        chance, kind = self.chance, self.chance.random()
        if chance.random() < self.shells:
            return self.exec(instance, "/bin/sh", "sh", "-c", f"{chance.choice(_TOOLS)} {chance.choice(_WORDS)}")
        word, other = chance.choice(_WORDS), "".join(chance.choices("bcdfghklmnprstvz", k=5))
        if kind < 0.55:
            return self.write(instance, f"/var/lib/app/{word}/{other}/data")
        if kind < 0.75:
            return self.exec(instance, f"/usr/bin/{chance.choice(_TOOLS)}", "tool", f"--{other}", word)
        if kind < 0.92:
            return self.connect(instance, f"10.{chance.randrange(9)}.{chance.randrange(256)}.7", 8080)
        if kind < 0.98:
            return self.connect(instance, f"8.{chance.randrange(256)}.{chance.randrange(256)}.7", 443)
        return self.write(instance, f"/etc/{word}/{other}.conf")

    def _head(self, kind: EventType, process: Process) -> Head:
        task = Task(1, 1, process.cgroup_id, process.pid, process.pid, 1, 7, 0, 0, 0, 0, 1, 1, 1, 0, "x")
        return Head(kind, 0, self.now_ns, task)


def _process(instance: str, pid: int, path: str, argv: tuple[str, ...]) -> Process:
    cgroup = 100 + int(instance[1:])
    return Process(f"{instance}-{pid}", pid, "", path, argv or (path,), "/", 0, 0, 1, cgroup, instance, "")


def _main(instance: str) -> Process:
    return _process(instance, 10, "/bin/httpd", ())


def _by_main(event: Event, instance: str) -> Identified:
    return Identified(event, _main(instance), (), Container(instance), _WORKLOAD)
