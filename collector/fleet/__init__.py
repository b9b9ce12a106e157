"""The fleet: profiles of many agents as one, sent back to those that run the same workload."""

from collector.fleet.fleet import Fleet, FleetOptions
from collector.fleet.link import Link

__all__ = ["Fleet", "FleetOptions", "Link"]
