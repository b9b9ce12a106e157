"""The sender: takes frames from the spool to the collector, or writes findings as JSON lines."""

from agent.uplink.channel import Credentials
from agent.uplink.jsonlines import JsonLines
from agent.uplink.session import Identity
from agent.uplink.uplink import Backoff, LinkState, Uplink, UplinkStatus

__all__ = ["Backoff", "Credentials", "Identity", "JsonLines", "LinkState", "Uplink", "UplinkStatus"]
