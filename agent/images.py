"""Which files are in a container's image: asked of the layers themselves, below overlayfs.

The layers of a running container stand in its mount table (lowerdir=, the topmost first). They are directories of the
host; nothing is mounted or entered, and a path is looked up without following links out of a layer.
Format: proc(5), /proc/PID/mountinfo; Documentation/filesystems/overlayfs.rst (lowerdir=, whiteouts).
"""

import os
import re
import stat
from pathlib import Path

from agent.learn.image import Version
from agent.workload import Container

_MAX_VERSIONS = 256
_MAX_LAYERS = 500
_MAX_TABLE = 1 << 20
_ESCAPE = re.compile(r"\\([0-7]{3})")
_BETWEEN = re.compile(r"(?<!\\):")


class ImageLayers:
    """Layers by version, of the newest 256. Looking one file up costs one lstat per layer."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._layers: dict[Version, tuple[Path, ...]] = {}

    def met(self, version: Version, container: Container) -> None:
        """Remember the layers of the first container of a version that can be asked."""
        if version in self._layers or not container.init_pid:
            return
        layers = root_layers(self._proc / str(container.init_pid) / "mountinfo")
        if not layers:
            return
        if len(self._layers) >= _MAX_VERSIONS:
            self._layers.pop(next(iter(self._layers)))
        self._layers[version] = layers

    def holds(self, version: Version, path: str) -> bool | None:
        """Whether the file is in the image; None when its layers are not known, or are gone."""
        layers = self._layers.get(version)
        if layers is None or not all(layer.is_dir() for layer in layers):
            return None
        for layer in layers:
            found = _look(layer, path)
            if found is not None:
                return found
        return False


def root_layers(mountinfo: Path) -> tuple[Path, ...]:
    """The lower directories of the root mount, topmost first; none where it is no overlay or cannot be read."""
    try:
        with mountinfo.open("rb") as file:
            table = file.read(_MAX_TABLE).decode("utf-8", "surrogateescape")
    except OSError:
        return ()
    layers: tuple[Path, ...] = ()
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        names, about = fields.split(" "), rest.split(" ")
        if len(names) > 4 and names[4] == "/" and len(about) > 2:
            layers = _lower(about[2]) if about[0] == "overlay" else ()  # the last one mounted there counts
    return layers


def _lower(options: str) -> tuple[Path, ...]:
    found: list[str] = []
    for option in options.split(","):
        name, _, value = option.partition("=")
        if name in ("lowerdir", "lowerdir+"):
            found += [_plain(part) for part in _BETWEEN.split(value)]
    directories = [Path(directory) for directory in found[:_MAX_LAYERS] if directory.startswith("/")]
    return tuple(directories) if len(directories) == len(found) else ()


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)), text).replace("\\:", ":")


def _look(layer: Path, path: str) -> bool | None:
    """Whether this layer has the file (True), has deleted it (False), or says nothing of it (None)."""
    place = layer / path.lstrip("/")
    try:
        inside = os.path.realpath(place.parent)
        root = os.path.realpath(layer)
        if inside != root and not inside.startswith(f"{root}/"):
            return None
        mode = place.lstat()
    except (OSError, ValueError):
        return None
    return not (stat.S_ISCHR(mode.st_mode) and mode.st_rdev == 0)
