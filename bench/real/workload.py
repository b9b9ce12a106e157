"""What a workload is: packages, files, how it starts, and the ordinary things that happen to it."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.real.container import Container, Start
from bench.real.net import Network

FILES = Path(__file__).with_name("files")
ACCOUNTS = {"root": 0, "www-data": 33, "redis": 101, "postgres": 102}
# What a pod's name ends in: k8s.io/apimachinery/pkg/util/rand.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


class World(Protocol):
    """What a deed may ask for."""

    network: Network
    shared: Path

    def pick(self, workload: str) -> Container:
        """One of its replicas that runs. Raises: LookupError when none does."""

    def running(self, workload: str) -> Sequence[Container]:
        """All of its replicas that run."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something ordinary that happens about every `every_s` seconds."""

    name: str
    every_s: float
    act: Callable[[World, random.Random], object]


@dataclass(frozen=True, slots=True)
class Workload:
    """One of the programs. `prepare` is given the image's root; `start` the world, for what the container mounts."""

    name: str
    packages: tuple[str, ...]
    replicas: int
    number: int  # addresses are number * 10 + ordinal
    prepare: Callable[[Path], None]
    start: Callable[[World, int], Start]
    deeds: tuple[Deed, ...] = field(default=())
    stateful: bool = False

    def pod(self, ordinal: int, rng: random.Random) -> str:
        """A pod's name as its controller would make it."""
        if self.stateful:
            return f"{self.name}-{ordinal}"
        return f"{self.name}-{self._template()}-{''.join(rng.choices(_SAFE, k=5))}"

    def labels(self, pod: str) -> dict[str, str]:
        """The labels its controller would give a pod."""
        if self.stateful:
            return {"app": self.name, "statefulset.kubernetes.io/pod-name": pod}
        return {"app": self.name, "pod-template-hash": self._template()}

    def _template(self) -> str:
        return "".join(_SAFE[b % len(_SAFE)] for b in self.name.encode().ljust(10, b"x")[:10])


def write(root: Path, path: str, text: str, mode: int = 0o644, owner: int = 0) -> None:
    """A file of an image, instead of one that may be a link to the host's."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_text(text)
    target.chmod(mode)
    chown(target, owner)


def directory(root: Path, path: str, owner: int = 0, mode: int = 0o755) -> None:
    """A directory of an image."""
    target = root / path
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(mode)
    chown(target, owner)


def chown(path: Path, owner: int) -> None:
    """User and group have the same number in all images."""
    os.chown(path, owner, owner)


def accounts(root: Path) -> None:
    """Users, groups and passwords nobody knows."""
    rows = [f"{n}:x:{i}:{i}:{n}:{'/root' if not i else '/'}:/bin/sh" for n, i in ACCOUNTS.items()]
    write(root, "etc/passwd", "\n".join([*rows, "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin"]) + "\n")
    write(root, "etc/group", "".join(f"{n}:x:{i}:\n" for n, i in ACCOUNTS.items()) + "nogroup:x:65534:\nadm:x:4:\n")
    write(root, "etc/shadow", "".join(f"{n}:!$y$j9T$abcdefgh:19000:0:99999:7:::\n" for n in ACCOUNTS), 0o640)
    write(root, "etc/hosts", "127.0.0.1 localhost\n")
