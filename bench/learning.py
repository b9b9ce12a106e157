"""What learning costs: a million members of 500 workloads in memory, and novelties by the second.

`python -m bench.learning [MEMBERS] [WORKLOADS]`. Every event is made up, identified and different: paths, programs and
names of the lengths real software has. Told: how much memory the learner takes for them and how long each took, then
how long a novelty takes in a profile that is full and stable, when every one of them is scored, how long a known exec
takes, a slot's end, and a save. Exit status 1 where a bar is missed.
"""

import gc
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from agent.events import Connection, EventType, Exec, FileFlag, FileId, Head, Open, Task
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.workload import Container, Identified, Process, Workload
from detection.baseline.profile import ProfileConfig

MEMORY_MB = 150.0
NOVEL_S = 1.0  # processor seconds for 10,000 novel observations
_SLOTS = 20
_WORDS = (
    "data",
    "cache",
    "session",
    "report",
    "upload",
    "index",
    "thumb",
    "export",
    "backup",
    "queue",
    "media",
    "users",
)
_KINDS = ("json", "db", "log", "html", "jpg", "csv", "tmp", "lock", "idx", "bin", "xml", "txt")


class Site:
    """One workload: its container, its main process, and the behaviours it has not shown yet."""

    def __init__(self, number: int) -> None:
        self.container = Container(f"{number:064x}", name="app")
        self.workload = Workload(f"k8s/shop-{number % 20}/deployment/service-{number}/app", f"sha256:{number:064x}")
        path = f"/usr/local/bin/service-{number % 50}"
        self.main = Process(f"{number:016x}", 100 + number, "", path, (path,), "/", 0, 0, 1, number, self.container.id)
        self.chance = random.Random(number)

    def event(self, number: int, now_ns: int) -> Identified:
        """Behaviour number `number` of this workload; each another, half files, the rest programs and peers."""
        kind = number % 4
        event = (
            self._open(number, now_ns)
            if kind < 2
            else self._exec(number, now_ns)
            if kind == 2
            else self._connect(number, now_ns)
        )
        process = self.main
        if isinstance(event, Exec):
            process = Process("x", 7, "", event.path, event.argv, "/", 0, 0, 1, self.main.cgroup_id, self.container.id)
        return Identified(event, process, (self.main,), self.container, self.workload)

    def _word(self, number: int) -> str:
        letters = "bcdfghklmnprstvw"
        return "".join(letters[number >> shift & 15] + "aeio"[number >> shift & 3] for shift in (0, 4, 8, 12, 16))

    def _open(self, number: int, now_ns: int) -> Open:
        place = f"/srv/{_WORDS[number // 60 % len(_WORDS)]}/{self._word(number // 60)}"
        path = f"{place}/{self._word(number)}.{_KINDS[number // 4 % len(_KINDS)]}"
        flags = FileFlag.WRITE if number % 4 else 0
        head = self._head(EventType.OPEN, now_ns)
        return Open(head, FileId(5, 1, 0), FileId(number + 1, 1, 3), flags, 1, 0o644, 0xEF53, path)

    def _exec(self, number: int, now_ns: int) -> Exec:
        path = f"/usr/bin/{self._word(number)}"
        argv = (path, "--mode", _WORDS[number % 12], f"--id={number}", f"/srv/in/{number}")
        head = self._head(EventType.EXEC, now_ns)
        return Exec(head, FileId(number, 1, 0), 0, 0, 0, path, argv, 60, "/", path)

    def _connect(self, number: int, now_ns: int) -> Connection:
        peer, local = IPv4Address(0x0A000000 + number), IPv4Address("10.255.0.1")
        return Connection(self._head(EventType.CONNECT, now_ns), FileId(5, 1, 0), local, 40001, peer, 443, 6)

    def _head(self, kind: EventType, now_ns: int) -> Head:
        pid = self.main.pid
        return Head(kind, 0, now_ns, Task(1, 1, self.main.cgroup_id, pid, pid, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, "app"))


def resident_mb() -> float:
    """Memory of this process, resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def novelties(sites: list[Site], first: int, count: int, now_ns: int) -> Iterator[Identified]:
    """`count` behaviours of each workload nobody has shown, from number `first` on, workload by workload in turn."""
    for number in range(first, first + count):
        for site in sites:
            yield site.event(number, now_ns)


def main(members: int = 1_000_000, workloads: int = 500) -> int:
    """Print the table; 1 where a bar is missed."""
    config = LearnConfig(profile=ProfileConfig(max_members=4000), max_members=2 * members)
    learner, sites, now_ns = Learner(config), [Site(n) for n in range(workloads)], 10**18
    learner.advance(now_ns)
    gc.collect()
    before, per_slot, spent = resident_mb(), members // workloads // _SLOTS, 0.0
    for slot in range(_SLOTS):
        for identified in novelties(sites, slot * per_slot, per_slot, now_ns):
            begun = time.thread_time()
            learner.observe(identified)
            spent += time.thread_time() - begun
        now_ns += 60 * 10**9
        learner.advance(now_ns)
    gc.collect()
    known = sum(len(c.members) for p in learner.profiles() for c in p.classes.values())
    grown, learned = resident_mb() - before, spent / (per_slot * workloads * _SLOTS)
    print(f"{known:,} members of {workloads} workloads: {grown:.0f} MB more, {grown * 1e6 / known:.0f} bytes each; "
          f"process {resident_mb():.0f} MB (bar {MEMORY_MB:.0f}); learned in {learned * 1e6:.1f} µs each")  # fmt: skip
    scored = _scored(learner, sites, now_ns)
    print(f"10,000 novelties of stable classes, all scored: {scored:.2f} core-seconds (bar {NOVEL_S:g})")
    print(f"a known exec: {_known(learner, sites, now_ns) * 1e6:.2f} µs")
    _print_regular(learner, now_ns)
    return int(resident_mb() > MEMORY_MB or scored > NOVEL_S or learned * 10_000 > NOVEL_S)


def _scored(learner: Learner, sites: list[Site], now_ns: int) -> float:
    """Processor seconds for 10,000 novelties in classes that are trusted."""
    for profile in learner.profiles():
        for key in profile.classes:
            profile.classes[key].units = 5000
            profile.classes[key].slots = 5000
            profile.classes[key].windows = [[5000, 0]]
    events = list(novelties(sites, 3_000_000, 10_000 // len(sites), now_ns))
    begun = time.thread_time()
    for identified in events:
        learner.observe(identified)
    return (time.thread_time() - begun) * 10_000 / len(events)


def _known(learner: Learner, sites: list[Site], now_ns: int) -> float:
    events = [site.event(2, now_ns) for site in sites]
    for identified in events:
        learner.observe(identified)
    begun = time.thread_time()
    for _ in range(20):
        for identified in events:
            learner.observe(identified)
    return (time.thread_time() - begun) / (20 * len(events))


def _print_regular(learner: Learner, now_ns: int) -> None:
    begun = time.thread_time()
    learner.advance(now_ns + 60 * 10**9)
    slot_s = time.thread_time() - begun
    begun = time.thread_time()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "profiles"
        learner.save(file)
        size = file.stat().st_size / 1e6
    print(f"a slot's end: {slot_s * 1e3:.0f} ms; a save: {time.thread_time() - begun:.1f} s, {size:.0f} MB; "
          f"process afterwards {resident_mb():.0f} MB")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
