"""The vector of one window: which rates, in which order and on which scale.

Rates that spread over decades are scaled by log1p(value / knee): about linear below the knee, logarithmic above, so
that ten times as much is always the same step. The rest (shares, bits) is left as it is.
"""

from collections.abc import Collection, Mapping
from math import expm1, log1p
from typing import NamedTuple

LASTING = 10  # windows whose mean tells a lasting change from a burst
FEATURES_VERSION = 1  # moves with the table: windows and forests of another version are not mixed with these


class Feature(NamedTuple):
    """One rate. `knee` 0: not scaled. `floor`: the least spread believed, on the scale; smaller steps are noise."""

    name: str
    text: str
    unit: str
    knee: float
    floor: float


_MINUTE = "/min"
FEATURES = (
    Feature("execs", "programs started", _MINUTE, 1.0, 0.25),
    Feature("forks", "processes started", _MINUTE, 1.0, 0.25),
    Feature("programs", "different programs started", "", 1.0, 0.25),
    Feature("exit_failures", "processes that ended with a failure", _MINUTE, 1.0, 0.25),
    Feature("connects", "connections attempted", _MINUTE, 1.0, 0.25),
    Feature("connect_failures", "connections that failed", _MINUTE, 1.0, 0.25),
    Feature("peers", "different addresses connected to", "", 1.0, 0.25),
    Feature("failed_share", "share of connections and calls that failed", "", 0.0, 0.1),
    Feature("bytes_in", "bytes received", "B/s", 1024.0, 0.25),
    Feature("bytes_out", "bytes sent", "B/s", 1024.0, 0.25),
    Feature("dns_questions", "DNS questions", _MINUTE, 1.0, 0.25),
    Feature("dns_entropy", "entropy of the names asked for", "bits/character", 0.0, 0.2),
    Feature("cpu", "CPU time", "cores", 0.01, 0.15),
    Feature("disk_read", "bytes read from disk", "B/s", 4096.0, 0.3),
    Feature("disk_written", "bytes written to disk", "B/s", 4096.0, 0.3),
    Feature("write_opens", "files opened for writing", _MINUTE, 1.0, 0.25),
    Feature("files_written", "different files written", "", 1.0, 0.25),
    Feature("moves", "files renamed, linked or deleted", _MINUTE, 1.0, 0.25),
    Feature("name_entropy", "entropy of the names of files written", "bits/character", 0.0, 0.2),
)
COUNT = len(FEATURES)
INDEX = {feature.name: i for i, feature in enumerate(FEATURES)}
_PREFIXES = ("", "k", "M", "G", "T")


def vector(values: Mapping[str, float], absent: Collection[str] = ()) -> tuple[tuple[float, ...], int]:
    """Scaled values in the table's order, and a mask with a bit for each feature that could not be had.

    A feature nobody measured is 0. `values` are per minute, per second or plain, as the unit says.
    """
    scaled = tuple(_scaled(f, values.get(f.name, 0.0)) if f.name not in absent else 0.0 for f in FEATURES)
    return scaled, sum(1 << INDEX[name] for name in absent)


def _scaled(feature: Feature, value: float) -> float:
    return log1p(max(0.0, value) / feature.knee) if feature.knee else value


def shown(index: int, scaled: float) -> str:
    """A scaled value as a person reads it: "48 MB/s"."""
    feature = FEATURES[index]
    value = feature.knee * expm1(min(scaled, 60.0)) if feature.knee else scaled
    if feature.unit.startswith("B/"):
        return _bytes(value) + feature.unit[1:]
    number = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{number}{feature.unit}" if feature.unit.startswith("/") else f"{number} {feature.unit}".rstrip()


def _bytes(value: float) -> str:
    for prefix in _PREFIXES:
        if value < 1000 or prefix == _PREFIXES[-1]:
            return f"{value:.3g} {prefix}B"
        value /= 1000
    raise AssertionError("unreachable: the last prefix takes everything")
