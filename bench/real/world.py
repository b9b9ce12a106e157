"""The world: images, replicas that come and go, and what ordinarily happens to them; all of it in a journal."""

import contextlib
import hashlib
import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.real import container as containers
from bench.real.container import Container, Image
from bench.real.net import Names, Network
from bench.real.packages import fill
from bench.real.workload import Deed, Workload, accounts

_READY_S = 2.0


class Journal:
    """What happened when, one JSON object per line. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a")

    def note(self, what: str, **facts: object) -> None:
        """Write a line with the time it is."""
        with self._lock:
            self._file.write(json.dumps({"what": what, "time_ns": time.time_ns(), **facts}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """No more lines."""
        self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True, slots=True)
class Pace:
    """`tag` (short) and the pods' `namespace` tell two worlds on one machine apart.

    `hurry`: deeds come so many times as often; a replica
    is replaced every `restart_s`.
    """

    tag: str = "vreal"
    namespace: str = "real"
    hurry: float = 1.0
    restart_s: float = 22.0


USUAL = Pace()


def started(journal: Iterable[dict[str, Any]]) -> frozenset[str]:
    """The ids of all containers of a run."""
    return frozenset(line["container"] for line in journal if line["what"] == "started")


class RealWorld:
    """Runs workloads below `home`."""

    def __init__(self, home: Path, workloads: Sequence[Workload], journal: Journal, pace: Pace = USUAL) -> None:
        self.shared = home / "shared"
        self.network = Network(pace.tag)
        self.errors: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._home = home
        self._pace = pace
        self._workloads = {w.name: w for w in workloads}
        self._journal = journal
        self._rng = random.Random(pace.tag)
        self._images: dict[str, Image] = {}
        self._slots: dict[tuple[str, int], Container] = {}
        self._busy = threading.RLock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.said: Counter[str] = Counter()

    def running(self, workload: str) -> list[Container]:
        """Replicas that run, by ordinal."""
        with self._busy:
            return [c for (name, _), c in sorted(self._slots.items()) if name == workload and c.alive()]

    def pick(self, workload: str) -> Container:
        """One of them. Raises: LookupError when none runs."""
        found = self.running(workload)
        if not found:
            raise LookupError(f"no {workload} runs")
        return self._rng.choice(found)

    @contextlib.contextmanager
    def up(self) -> Iterator["RealWorld"]:
        """Network, images, replicas and deeds for as long as the context lasts."""
        self.shared.mkdir(parents=True, exist_ok=True)
        self.network.create()
        names = Names(self.network.gateway, self._look_up)
        names.start()
        try:
            for workload in self._workloads.values():
                self._images[workload.name] = make_image(workload, self._home / "images")
            for workload in self._workloads.values():
                for ordinal in range(workload.replicas):
                    self._start(workload, ordinal)
            time.sleep(_READY_S)
            self._begin()
            yield self
        finally:
            self._end()
            names.stop()
            self.network.remove()
            containers.remove_cgroups(self._pace.tag)

    def restart_now(self, workload: str, ordinal: int) -> None:
        """Replace a replica by a new pod."""
        with self._busy:
            old = self._slots.pop((workload, ordinal), None)
        if old is not None:
            old.stop(self.network)
            self._journal.note("stopped", workload=workload, container=old.id)
        self._start(self._workloads[workload], ordinal)

    def _look_up(self, name: str) -> str | None:
        """<service>.real: any replica; <service>-<ordinal>.real: that one."""
        service, _, domain = name.partition(".")
        if domain != "real":
            return None
        with self._busy:
            for (workload, ordinal), container in sorted(self._slots.items()):
                if service in (workload, f"{workload}-{ordinal}"):
                    return container.address
        return None

    def _start(self, workload: Workload, ordinal: int) -> None:
        pod = workload.pod(ordinal, self._rng)
        address = self.network.address(workload.number * 10 + ordinal)
        home = self._home / "containers" / f"{workload.name}-{ordinal}"
        shutil.rmtree(home, ignore_errors=True)
        who = (workload.name, pod, address, home, self._pace.tag, self._pace.namespace)
        container = Container(*who, workload.labels(pod))
        container.start(self._images[workload.name], workload.start(self, ordinal), self.network)
        with self._busy:
            self._slots[workload.name, ordinal] = container
        self._journal.note(
            "started", workload=workload.name, container=container.id, pod=pod, address=address, pid=container.pid
        )

    def _begin(self) -> None:
        jobs = [(f"{w.name}.{d.name}", d) for w in self._workloads.values() for d in w.deeds]
        for name, deed in jobs:
            self._spawn(name, self._repeat, name, deed, random.Random(name))
        self._spawn("restarts", self._restarts)

    def _spawn(self, name: str, target: Any, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _repeat(self, name: str, deed: Deed, rng: random.Random) -> None:
        while not self._stop.wait(rng.expovariate(self._pace.hurry / deed.every_s)):
            self._try(name, lambda: deed.act(self, rng))

    def _restarts(self) -> None:
        while not self._stop.wait(self._pace.restart_s):
            with self._busy:
                slot = self._rng.choice(sorted(self._slots))
            self._try("restart", lambda slot=slot: self.restart_now(*slot))

    def _try(self, name: str, deed: Any) -> None:
        """A deed may meet a container that just goes: counted, by kind."""
        try:
            deed()
            self.done[name] += 1
        except Exception as error:  # noqa: BLE001
            self.errors[f"{name} {type(error).__name__}"] += 1
            self.said[str(error)[:200]] += 1

    def _end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        for container in self._slots.values():
            container.stop(self.network)


def make_image(workload: Workload, images: Path) -> Image:
    """The workload's image, made unless an earlier run left it."""
    root = images / workload.name
    digest = "sha256:" + hashlib.sha256(f"{workload.name} {workload.packages}".encode()).hexdigest()
    stamp = root.with_name(f"{workload.name}.done")
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(root, ignore_errors=True)
        fill(root, workload.packages, images / "downloads")
        accounts(root)
        workload.prepare(root)
        stamp.write_text(digest)
    return Image(f"registry.real/{workload.name}:1", root, digest)


def chosen(names: Iterable[str], known: Sequence[Workload]) -> list[Workload]:
    """Workloads by name. Raises: KeyError."""
    table = {w.name: w for w in known}
    return [table[name] for name in names]
