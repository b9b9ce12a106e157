"""Rule sets on their way from the uplink's thread to the rulebook's, and what the collector is told of those here."""

import threading
import zlib
from dataclasses import dataclass

from agent.errors import AgentError

MAX_PARTS = 256
MAX_SET = 32 << 20


class RuleSetError(AgentError):
    """A rule set that came cannot be used."""


@dataclass(frozen=True, slots=True)
class RuleSetPart:
    """One part of a rule set, as it came."""

    digest: str
    part: int
    parts: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A whole set, unpacked; no digest: the collector has none any more. `problem`: why it is no set, "" if it is."""

    digest: str
    body: bytes = b""
    problem: str = ""


class RuleMail:
    """Holds the newest delivery only: an older one that nobody took is of no use any more.

    `wanted`: whether rules of the collector are taken here. `running` and `held` are digests: of the set in force, and
    of the collector's that is kept.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.running = self.held = ""
        self.came = threading.Event()
        self._lock = threading.Lock()
        self._parts: list[RuleSetPart] = []
        self._newest: Delivery | None = None

    def put(self, part: RuleSetPart) -> None:
        """A part came; the last one makes the delivery. Parts out of order are no set."""
        if not self.wanted:
            return
        if part.part == 0:
            self._parts = []
        follows = part.part == len(self._parts) and all(part.digest == before.digest for before in self._parts[:1])
        if not follows or not 0 <= part.part < part.parts <= MAX_PARTS:
            self._parts = []
            self._deliver(Delivery(part.digest[:64], problem="its parts do not belong together"))
            return
        self._parts.append(part)
        if len(self._parts) == part.parts:
            body, self._parts = b"".join(one.body for one in self._parts), []
            self._deliver(_unpacked(part.digest[:64], body))

    def take(self) -> Delivery | None:
        """What came since the last call."""
        with self._lock:
            taken, self._newest = self._newest, None
        return taken

    def _deliver(self, delivery: Delivery) -> None:
        with self._lock:
            self._newest = delivery
        self.came.set()


def _unpacked(digest: str, body: bytes) -> Delivery:
    if not digest:
        return Delivery("")
    unpacker = zlib.decompressobj()
    try:
        whole = unpacker.decompress(body, MAX_SET)
    except zlib.error as error:
        return Delivery(digest, problem=f"it cannot be unpacked ({error})")
    if not unpacker.eof:
        return Delivery(digest, problem=f"it is cut short, or larger than {MAX_SET >> 20} MiB")
    return Delivery(digest, whole)
