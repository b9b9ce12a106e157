"""Delivery to a SIEM: sinks that follow the event log, each at its own pace."""

from collector.publish.sinks.config import SinkConfig, read_sinks
from collector.publish.sinks.sinks import Sinks

__all__ = ["SinkConfig", "Sinks", "read_sinks"]
