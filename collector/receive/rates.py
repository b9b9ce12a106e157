"""Windows of rates from agents as the collector's own values, and forests for them. Hostile until it has been here."""

from math import isfinite

from vedette.v1 import agent_pb2, rates_pb2

from collector.errors import MessageError
from collector.store.rates import ForestBlob
from detection.rates.features import COUNT, FEATURES_VERSION
from detection.rates.window import RateWindow

_MAX_TEXT = 1024
_MAX_WINDOWS = 4096
_MAX_NS = 1 << 62
_SECONDS = (0.05, 86_400.0)


def windows_from(message: agent_pb2.RateWindows) -> list[RateWindow]:
    """Those of this version's features; others are left out: their agents or this collector will be upgraded.

    Raises: MessageError.
    """
    if len(message.windows) > _MAX_WINDOWS:
        raise MessageError(f"{len(message.windows)} windows of rates at once; at most {_MAX_WINDOWS} are taken")
    return [_window(window) for window in message.windows if window.features_version == FEATURES_VERSION]


def _window(window: rates_pb2.RateWindow) -> RateWindow:
    values, lasting = tuple(window.values), tuple(window.lasting)
    if len(values) != COUNT or len(lasting) not in (0, COUNT) or not all(map(isfinite, (*values, *lasting))):
        raise MessageError(f"a window of rates needs {COUNT} finite values")
    if not _SECONDS[0] <= window.seconds <= _SECONDS[1] or not 0 < window.end_ns < _MAX_NS or window.missing >> COUNT:
        raise MessageError("a window of rates needs a time, a length and a mask of known features")
    if not window.workload or max(map(len, (window.workload, window.version, window.container_id))) > _MAX_TEXT:
        raise MessageError(f"a window of rates needs a workload, and names of at most {_MAX_TEXT} characters")
    return RateWindow(
        workload=window.workload,
        version=window.version,
        container_id=window.container_id,
        end_ns=window.end_ns,
        seconds=window.seconds,
        values=values,
        missing=window.missing,
        lossy=window.lossy,
        anomalous=window.anomalous,
        lasting=lasting,
    )


def forest_message(blob: ForestBlob) -> rates_pb2.RateForest:
    """A forest on its way to an agent."""
    return rates_pb2.RateForest(workload=blob.workload, version=blob.version, revision=blob.revision, body=blob.body)
