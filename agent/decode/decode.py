"""Ring bytes to events. A record that breaks the contract is counted, kept as evidence and skipped."""

from collections import Counter
from collections.abc import Callable, Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812

from agent.decode import layout
from agent.decode.malformed import MalformedError
from agent.decode.records import Records
from agent.events import Event, RawBatch

_PREFIX = Struct(layout.EV_HEAD_FORMAT[:4])  # type, flags, size
_EVIDENCE_BYTES = 8192  # no honest record is longer

DeadLetter = Callable[[str, bytes], None]


def _ignore(cause: str, record: bytes) -> None:
    """The dead letter of a decoder nobody gave one: the counts remain."""


class Decoder:
    """Makes events of batches. Every record of a batch is either accepted or rejected, never neither.

    accepted: how many became events. rejected: cause → how many did not; causes are "type" (unknown),
    "length" (its parts do not add up), "padding", "path", "family", "call" (not in the contract), and "unreachable":
    the sizes no longer lead from record to record, so the rest of the batch was given up.
    dead_letter(cause, record) is called once per rejected record, once for a whole unreachable rest, with at most
    8 KiB; it must not raise. Not thread-safe.
    """

    def __init__(self, dead_letter: DeadLetter = _ignore) -> None:
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        self._dead_letter = dead_letter
        self._readers = Records().readers()

    def decode(self, batch: RawBatch) -> Iterator[Event]:
        """The events of one batch, in the order the kernel wrote them."""
        data, boot_to_unix = batch.data, batch.boot_to_unix_ns
        at, end = 0, len(batch.data)
        for done in range(batch.records):
            kind, size = _begin(data, at, end)
            if not size:
                self._give_up(data[at:], batch.records - done)
                return
            try:
                reader = self._readers[kind]
                event = reader(data, at, size, boot_to_unix)
            except (KeyError, MalformedError, StructError) as error:
                self._reject(_cause(error), data[at : at + size])
            else:
                self.accepted += 1
                yield event
            at += size

    def _reject(self, cause: str, record: bytes) -> None:
        self.rejected[cause] += 1
        self._dead_letter(cause, record[:_EVIDENCE_BYTES])

    def _give_up(self, rest: bytes, records: int) -> None:
        self.rejected["unreachable"] += records
        self._dead_letter("unreachable", rest[:_EVIDENCE_BYTES])


def _begin(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Type and size of the record at `at`; size 0 where there cannot be one."""
    if end - at < layout.EV_HEAD_SIZE:
        return 0, 0
    kind, _, size = _PREFIX.unpack_from(data, at)
    return kind, size if layout.EV_HEAD_SIZE <= size <= end - at else 0


def _cause(error: Exception) -> str:
    if isinstance(error, MalformedError):
        return str(error)
    return "type" if isinstance(error, KeyError) else "length"
