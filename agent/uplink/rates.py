"""Windows of rates as messages."""

from vedette.v1 import rates_pb2

from agent.uplink.wire import text
from detection.rates.features import FEATURES_VERSION
from detection.rates.window import RateWindow


def window_message(window: RateWindow) -> rates_pb2.RateWindow:
    """One window, to be sent up."""
    return rates_pb2.RateWindow(
        workload=text(window.workload),
        version=text(window.version),
        container_id=text(window.container_id),
        end_ns=window.end_ns,
        seconds=window.seconds,
        features_version=FEATURES_VERSION,
        values=window.values,
        missing=window.missing,
        lossy=window.lossy,
        anomalous=window.anomalous,
        lasting=window.lasting,
    )
