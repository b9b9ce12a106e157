"""The port to whoever knows containers: what a source says of one, and runtimes that are asked without waiting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says of one container; empty where it says nothing.

    Nothing in it is checked yet: `merge` does that. `service_account` is a bare name, `created_ns` Unix time,
    `rootfs` the directory on the host its root is mounted at.
    """

    id: str
    source: str  # files, cri, docker, podman
    runtime: str = ""
    name: str = ""
    image: str = ""
    image_digest: str = ""
    pod_uid: str = ""
    pod_name: str = ""
    namespace: str = ""
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    rootfs: str = ""
    upper_dir: str = ""
    created_ns: int = 0
    init_pid: int = 0
    sandbox: bool = False


class Question(NamedTuple):
    """Which container, and what is known of it already. `runtime` and `pod_uid` are "" where the path did not tell."""

    id: str
    runtime: str = ""
    pod_uid: str = ""


class Standing(StrEnum):
    """How the runtime that should know a container stands."""

    NONE = "none"  # there is no such runtime here: nothing is to be waited for
    UP = "up"  # it answers: its word will come
    DOWN = "down"  # it is there and does not answer


class Answer(NamedTuple):
    """The last word on a question. `said` is None where the runtime does not know the container, or is down."""

    id: str
    said: Said | None
    standing: Standing
    kind: str  # cri, docker, podman


class RuntimeState(NamedTuple):
    """One runtime's socket, for the ledger. `state`: answering, absent, refused, silent, garbled, unreachable."""

    kind: str
    socket: str
    state: str
    problem: str = ""
    version: str = ""
    answers: int = 0
    failures: int = 0


class Engines(Protocol):
    """Container runtimes behind a desk: no verb blocks, and every accepted question gets one answer."""

    def ask(self, question: Question) -> tuple[Standing, str]:
        """Have a container looked up, and how (and of which kind) the runtime is. Only for UP will an answer come."""

    def take(self) -> Sequence[Answer]:
        """Answers since the last call."""

    def states(self) -> tuple[RuntimeState, ...]:
        """Every runtime known of."""


class NoEngines:
    """A host without container runtimes to ask: what they write on disk is all there is."""

    def ask(self, question: Question) -> tuple[Standing, str]:
        return Standing.NONE, ""

    def take(self) -> Sequence[Answer]:
        return ()

    def states(self) -> tuple[RuntimeState, ...]:
        return ()


class FakeEngines:
    """The fake beside the port: answers with what it was given, when told to."""

    def __init__(self, standing: Standing = Standing.UP, kind: str = "cri") -> None:
        self.standing = standing
        self.kind = kind
        self.asked: list[Question] = []
        self.known: dict[str, Said] = {}
        self._open: dict[str, None] = {}
        self._ready: list[Answer] = []

    def ask(self, question: Question) -> tuple[Standing, str]:
        self.asked.append(question)
        if self.standing is Standing.UP:
            self._open[question.id] = None
        return self.standing, self.kind

    def answer(self) -> None:
        """Every open question is answered now."""
        for container_id in self._open:
            self._ready.append(Answer(container_id, self.known.get(container_id), self.standing, self.kind))
        self._open.clear()

    def take(self) -> Sequence[Answer]:
        ready, self._ready = self._ready, []
        return ready

    def states(self) -> tuple[RuntimeState, ...]:
        return (RuntimeState(self.kind, "/fake.sock", "answering" if self.standing is Standing.UP else "silent"),)
