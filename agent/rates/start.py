"""The rates stage of one agent."""

import logging
from pathlib import Path

from agent.identify.addresses import host_namespace
from agent.identify.paths import Paths
from agent.rates.config import RateConfig
from agent.rates.gauges import Gauges
from agent.rates.rates import Rates

log = logging.getLogger(__name__)


def open_rates(
    node: str,
    keep: Path,
    config: RateConfig,
    *,
    with_collector: bool,
    paths: Paths = Paths(),  # noqa: B008
) -> Rates | None:
    """The stage with the forests kept in a directory; None, and said so, where nobody trains and none were kept."""
    gauges = Gauges(paths, host_namespace(paths.proc, "net", paths.files), paths.files)
    rates = Rates(node, gauges, config, keep)
    if with_collector or rates.held():
        return rates
    log.info("rates of containers are not scored: the forests they are held against are trained by a collector")
    return None
