"""Where the core puts what it finds: the spool, on its way to a collector, or a file of JSON lines."""

from collections.abc import Mapping
from typing import Protocol

from agent.ledger import Ledger
from agent.spool.spool import Priority, Spool
from agent.uplink.jsonlines import JsonLines
from agent.uplink.wire import finding_payload, ledger_payload
from detection.finding import Finding, Severity


class Sink(Protocol):
    """The end of the core's path."""

    def finding(self, finding: Finding) -> None:
        """Take one finding, or count it as refused."""

    def ledger(self, entry: Ledger) -> None:
        """Take one ledger entry; the last thing to be refused for want of room."""

    def dropped(self) -> Mapping[str, int]:
        """What was refused since start, by cause."""

    def close(self) -> None:
        """Flush."""


class SpoolSink:
    """Onto the disk, for the uplink."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def finding(self, finding: Finding) -> None:
        priority = Priority.FINDING if finding.severity >= Severity.MEDIUM else Priority.LOW
        self._spool.append(finding_payload(finding), priority=priority)

    def ledger(self, entry: Ledger) -> None:
        self._spool.append(ledger_payload(entry), priority=Priority.LEDGER)

    def dropped(self) -> Mapping[str, int]:
        return self._spool.status().refused

    def close(self) -> None:
        self._spool.close()


class FileSink:
    """One host alone: findings as JSON lines; the ledger is what the status file shows."""

    def __init__(self, lines: JsonLines) -> None:
        self._lines = lines

    def finding(self, finding: Finding) -> None:
        self._lines.write(finding)

    def ledger(self, entry: Ledger) -> None:
        """Nobody reads it here: the status file carries the same numbers."""

    def dropped(self) -> Mapping[str, int]:
        return {cause: n for cause, n in self._lines.counters().items() if cause != "written"}

    def close(self) -> None:
        self._lines.close()
