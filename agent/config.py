"""What one agent process is told to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import ConfigError
from agent.events import EventType
from agent.runtimes.sockets import Socket, parse_socket, usual
from agent.source.throttle import LIMITS, Limit

_LABEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
STATE_DIR = Path("/var/lib/vedette")


@dataclass(frozen=True, slots=True)
class CollectorAddress:
    """`target` is `host:port`, which needs all three PEM files, or `unix:/path`."""

    target: str
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Options of `vedette agent`. Times are seconds. `sensor` is auto, co-re, bcc or polling.

    `budget`: false anomalies a workload may raise in a week on average (see docs/adr/0019).
    Rates are measured over windows of `rate_window_s`, rounded up to whole slots.
    Every behaviour the kernel knows is reported again once in `rearm_s`; `limits` bound what one cgroup may report.
    `record_syscalls`: which system calls each workload makes, for seccomp profiles; it makes every call dearer.
    `rules`: compiled rules, a file or a directory with a runtime.json, in place of those the agent came with.
    Without a collector findings are written to `output` (None is standard output) and nothing is spooled.
    """

    node: str
    agent_id: str = ""
    state_dir: Path = STATE_DIR
    collector: CollectorAddress | None = None
    output: Path | None = None
    slot_s: float = 60.0
    budget: float = 1.0
    heartbeat_s: float = 30.0
    rate_window_s: float = 60.0
    rearm_s: float = 86_400.0
    limits: Mapping[EventType, Limit] = field(default_factory=lambda: LIMITS)
    spool_bytes: int = 256 << 20
    ring_bytes: int = 8 << 20
    sensor: str = "auto"
    status_file: Path | None = None
    metrics_address: tuple[str, int] | None = None
    runtime_sockets: tuple[str, ...] = ()  # beside those in the usual places; "none" looks for none at all
    cluster: str = ""
    host_group: str = ""
    record_syscalls: bool = False
    rules: Path | None = None

    def __post_init__(self) -> None:
        if not 0.1 <= self.slot_s <= 3600:
            raise ConfigError(f"--slot {self.slot_s:g}: a time slot is 0.1 to 3600 seconds")
        if not 0.02 <= self.budget <= 10_000:
            raise ConfigError(f"--budget {self.budget:g}: give 0.02 (one a year) to 10000 a week")
        if not 0.5 <= self.heartbeat_s <= 3600:
            raise ConfigError(f"--heartbeat {self.heartbeat_s:g}: give 0.5 to 3600 seconds")
        if not 0.1 <= self.rate_window_s <= 3600:
            raise ConfigError(f"--rate-window {self.rate_window_s:g}: give 0.1 to 3600 seconds")
        if not self.slot_s <= self.rearm_s <= 30 * 86_400:
            raise ConfigError(f"--rearm {self.rearm_s:g}: give a slot's length to 2592000 seconds")
        for option, value in (("--cluster", self.cluster), ("--host-group", self.host_group)):
            if value and not _LABEL.match(value):
                raise ConfigError(f"{option} {value!r}: 1 to 63 letters, digits, '.', '_' or '-'")
        try:
            self.runtime_places()
        except ValueError as error:
            raise ConfigError(f"--runtime-socket {error}") from error

    def runtime_places(self) -> tuple[Socket, ...]:
        """Where container runtimes are looked for. Raises: ValueError."""
        if self.runtime_sockets == ("none",):
            return ()
        return (*map(parse_socket, self.runtime_sockets), *usual())

    @property
    def identity(self) -> str:
        """The agent's stable name: `agent_id`, or the node's name."""
        return self.agent_id or self.node
