"""Whether a new version's image explains a program that was never started before.

A program that lies in the layers of the new image and did not in those of the image before came with the change; one
that was written in the container, or that both images have, did not. What cannot be known is said to be unknown.
"""

from collections.abc import Iterable
from typing import Protocol

from agent.events import Exec, FileFlag
from agent.workload import Container, Identified
from detection.baseline.priors import Touch

Version = tuple[str, str]  # workload, version

_WRITTEN, _OLD, _CAME = 0.5, 0.3, -1.0


class Images(Protocol):
    """What is in the images of containers."""

    def met(self, version: Version, container: Container) -> None:
        """A container of this version runs."""

    def holds(self, version: Version, path: str) -> bool | None:
        """Whether a file is in this version's image; None where that cannot be known (any more)."""


class NoImages:
    """Nothing is known of images: a replay, or no host to ask."""

    def met(self, version: Version, container: Container) -> None:
        """Passed over."""

    def holds(self, version: Version, path: str) -> bool | None:
        """Not known."""
        return None


class FakeImages:
    """Images in memory: `files` by version."""

    def __init__(self, files: dict[Version, Iterable[str]]) -> None:
        self._files = {version: frozenset(paths) for version, paths in files.items()}

    def met(self, version: Version, container: Container) -> None:
        """Known already."""

    def holds(self, version: Version, path: str) -> bool | None:
        """As told."""
        files = self._files.get(version)
        return None if files is None else path in files


def image_touches(identified: Identified, before: str, images: Images) -> tuple[Touch, ...]:
    """What the image has to say of a program's first start in a version that has a predecessor, `before`."""
    event, workload = identified.event, identified.workload
    if not isinstance(event, Exec) or identified.container is None:
        return ()
    name = event.path
    if event.exe_flags & FileFlag.UPPER_LAYER:
        return (
            Touch(_WRITTEN, f"new in this version, and not explained by the image change: {name} is not part of it"),
        )
    had = images.holds((workload.key, before), name)
    has = images.holds((workload.key, workload.version), name)
    if had:
        text = f"new in this version, and not explained by the image change: the image before had {name}, too"
        return (Touch(_OLD, text),)
    if had is False and has:
        return (Touch(_CAME, f"new in this version, and explained by the image change: {name} came with it"),)
    text = "new in this version; whether the image change explains it cannot be told: an image's layers are not at hand"
    return (Touch(0.0, text),)
