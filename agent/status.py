"""How the agent stands, as one value: what the ledger, the status file and the metrics are made from."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from agent.ledger import Ledger
from agent.spool.spool import SpoolStatus
from agent.uplink.uplink import UplinkStatus


@dataclass(frozen=True, slots=True)
class Status:
    """Made once a tick by the core's thread, read by any."""

    agent_id: str
    node: str
    ledger: Ledger
    detector: dict[str, int] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)
    fleet: Mapping[str, int] = field(default_factory=dict)
    spool: SpoolStatus | None = None
    uplink: UplinkStatus | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form, the status file's."""
        ledger = self.ledger
        return {
            "agent_id": self.agent_id,
            "node": self.node,
            "run_id": ledger.run_id,
            "time_ns": ledger.time_ns,
            "watching_since_ns": ledger.watching_since_ns,
            "previous_entry_ns": ledger.previous_entry_ns,
            "probes": [p._asdict() for p in ledger.probes],
            "counters": {name: dict(causes) for name, causes in ledger.counters.items()},
            "dropped": dict(ledger.dropped),
            "containers": list(ledger.container_ids),
            "profiles": [asdict(p) for p in ledger.profiles],
            "throttles": [asdict(t) for t in ledger.throttles],
            "runtimes": [r._asdict() for r in ledger.runtimes],
            "rules": ledger.rules._asdict(),
            "detector": self.detector,
            "rates": self.rates,
            "fleet": dict(self.fleet),
            "spool": asdict(self.spool) if self.spool else None,
            "uplink": asdict(self.uplink) if self.uplink else None,
        }


def write_status(path: Path, status: Status) -> None:
    """Replace the file in one step. Raises: OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(orjson.dumps(status.as_dict(), option=orjson.OPT_INDENT_2))
    new.replace(path)
