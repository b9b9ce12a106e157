"""From what was counted to the values of a vector."""

from agent.rates.gauges import Reading
from agent.rates.tally import Tally
from detection.rates.entropy import mean_entropy
from detection.rates.features import vector


def measured(tally: Tally, before: Reading, after: Reading, seconds: float) -> tuple[tuple[float, ...], int]:
    """The scaled vector of a window between two readings, and which features could not be had (as a mask)."""
    values = _counted(tally, 60.0 / seconds)
    absent = set()
    for name, change in _changes(before, after).items():
        if change is None:
            absent.add(name)
        else:
            values[name] = change / seconds
    if "connect_failures" in absent:
        values["failed_share"] = _share(tally.failed_calls, tally.calls)
    else:
        failures = values["connect_failures"] * seconds
        values["failed_share"] = _share(tally.failed_calls + failures, tally.calls + max(tally.connects, failures))
        values["connect_failures"] *= 60.0
    return vector(values, absent)


def _counted(tally: Tally, per_minute: float) -> dict[str, float]:
    return {
        "execs": tally.execs * per_minute,
        "forks": tally.forks * per_minute,
        "programs": len(tally.programs),
        "exit_failures": tally.exit_failures * per_minute,
        "connects": tally.connects * per_minute,
        "peers": len(tally.peers),
        "dns_questions": tally.dns * per_minute,
        "dns_entropy": mean_entropy(tally.questions),
        "write_opens": tally.write_opens * per_minute,
        "files_written": len(tally.files),
        "moves": tally.moves * per_minute,
        "name_entropy": mean_entropy(tally.names),
    }


def _changes(before: Reading, after: Reading) -> dict[str, float | None]:
    """By how much each counter grew; None where it was not had, or is not the same counter any more."""
    same_net = before.net_ns == after.net_ns
    changes: dict[str, float | None] = {}
    for name in Reading._fields[1:]:
        old, new = getattr(before, name), getattr(after, name)
        of_net = name in ("bytes_in", "bytes_out", "connect_failures")
        known = old is not None and new is not None and (same_net or not of_net)
        changes[name] = max(0, new - old) if known else None
    return changes


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole else 0.0
