"""The bars every figure is held against, and figures of others taken in the same way on the same kind of machine."""

from typing import NamedTuple


class Bar(NamedTuple):
    """Most that is accepted: wall-clock ratio, the agent's processor seconds. `others` is for the reader."""

    wall_ratio: float
    agent_cpu_s: float
    others: str


# Others: Falco 0.44 (modern eBPF, stable rules, JSON to a file) and eAudit (S&P 2024): wall ratio / agent CPU s.
BARS = {
    "exec": Bar(1.15, 0.45, "Falco 1.36 / 0.65, eAudit 1.14"),
    "exec-dynamic": Bar(1.12, 0.30, "Falco 1.30 / 0.43, eAudit 1.14"),
    "open": Bar(1.35, 0.05, "Falco 2.24 / 2.99 (12 % lost), eAudit 1.83"),
    "rw": Bar(1.25, 0.02, "Falco 1.45 / 0.01, eAudit 4.70"),
    "tcp": Bar(1.12, 0.10, "Falco 1.36 / 0.52, eAudit 1.19"),
    "compile": Bar(1.04, 0.20, "Falco 1.07 / 0.24, eAudit 1.02"),
    "nginx": Bar(1.10, 0.10, "Falco 1.34 / 0.70, eAudit 1.14"),
    "redis": Bar(1.10, 0.05, "Falco 1.29 / 0.35, eAudit 1.23"),
}
MEMORY_IDLE_MB, MEMORY_LOAD_MB = 80, 100
IDLE_CPU_PERCENT = 0.3
READY_S = 2.0
LATENCY_MEDIAN_MS, LATENCY_P99_MS = 5.0, 20.0
CEILING_RATE, CEILING_US = 100_000, 8.0
