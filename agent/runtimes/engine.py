"""The port to one container runtime behind a socket. Its verbs block, for a bounded time."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from agent.errors import AgentError
from agent.identify.sources import Said

ANSWER_S = 2.0  # of one call; a runtime on the same machine takes milliseconds
MAX_ANSWER = 4 << 20


class Trouble(StrEnum):
    """What is wrong with a runtime; the words the ledger uses."""

    ABSENT = "absent"  # no such socket
    REFUSED = "refused"  # the socket is not to be trusted, or does not let us in
    UNREACHABLE = "unreachable"  # nobody listens
    SILENT = "silent"  # somebody listens and does not answer in time
    GARBLED = "garbled"  # what it answers is not what such a runtime answers


class EngineError(AgentError):
    """A runtime cannot be asked now."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class AnswerError(AgentError):
    """One answer is unusable; the runtime as such is not in question."""


class Greeting(NamedTuple):
    """What a runtime says of itself. `kind` is cri, docker or podman."""

    kind: str
    version: str


class Engine(Protocol):
    """One runtime. Not thread-safe: one worker owns it."""

    def greet(self) -> Greeting:
        """Whether it answers, and who it is. Raises: EngineError."""

    def describe(self, container_id: str) -> Said | None:
        """What it says of a container; None where it knows none of this id. Raises: EngineError, AnswerError."""

    def close(self) -> None:
        """Let go of the connection."""


Opener = Callable[[str], Engine]


class FakeEngine:
    """The fake beside the port: knows what it is given; `fail` is raised instead of answers while it is set."""

    def __init__(self, known: dict[str, Said] | None = None, kind: str = "cri") -> None:
        self.known = known if known is not None else {}
        self.kind = kind
        self.fail: Exception | None = None
        self.asked: list[str] = []
        self.closed = 0

    def greet(self) -> Greeting:
        if self.fail is not None:
            raise self.fail
        return Greeting(self.kind, "fake 1.0")

    def describe(self, container_id: str) -> Said | None:
        self.asked.append(container_id)
        if self.fail is not None:
            raise self.fail
        return self.known.get(container_id)

    def close(self) -> None:
        self.closed += 1
