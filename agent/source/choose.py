"""Which sensor watches this machine: the best it allows, or the one that was asked for."""

import logging
from collections.abc import Callable, Mapping

from agent.errors import SourceError
from agent.events import EventType
from agent.source.bcc_source import BccSource
from agent.source.capabilities import LOADERS, Loader
from agent.source.core_re import CoReSource
from agent.source.polling import PollingSource
from agent.source.port import Source
from agent.source.throttle import LIMITS, Limit

log = logging.getLogger(__name__)

AUTO = "auto"
SENSORS = (AUTO, *(name.lower() for name in LOADERS))


def choose(
    sensor: str,
    ring_bytes: int,
    loaders: dict[str, Callable[[], Loader]] | None = None,
    limits: Mapping[EventType, Limit] = LIMITS,
) -> Source:
    """The sensor of that name, not started; `auto` is the first of CO-RE, bcc and polling that can be used here.

    Asking is cheap: a worse loader is looked at only where the better ones cannot be used. Raises: SourceError
    where none can, saying of each why.
    """
    if sensor != AUTO:
        return _make(sensor, ring_bytes, limits)
    refusals: list[str] = []
    for ask in (LOADERS if loaders is None else loaders).values():
        loader = ask()
        if loader.usable:
            if refusals:
                log.warning("the %s sensor watches: %s", loader.name, "; ".join(refusals))
            return _make(loader.name.lower(), ring_bytes, limits)
        refusals.append(f"{loader.name} {loader.reason}")
    raise SourceError(f"no sensor can be used here: {'; '.join(refusals)}; `vedette probe` says more")


def _make(sensor: str, ring_bytes: int, limits: Mapping[EventType, Limit]) -> Source:
    if sensor == "bcc":
        return BccSource(ring_bytes=ring_bytes, limits=limits)
    if sensor == "polling":
        return PollingSource()
    if sensor == "co-re":
        return CoReSource(ring_bytes=ring_bytes, limits=limits)
    raise SourceError(f"--sensor {sensor}: choose one of {', '.join(SENSORS)}")
