"""Where runtimes listen: the usual places, on the host or below the mount of its root, and those one is told."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.runtimes.engine import Trouble

HOST_ROOT = "/host"
_USUAL = (
    ("cri", "/run/containerd/containerd.sock"),
    ("cri", "/run/crio/crio.sock"),
    ("cri", "/run/k3s/containerd/containerd.sock"),
    ("cri", "/run/k0s/containerd.sock"),
    ("cri", "/var/snap/microk8s/common/run/containerd.sock"),
    ("docker", "/run/docker.sock"),
    ("docker", "/run/podman/podman.sock"),
)
_KINDS = ("cri", "docker", "podman")


class Socket(NamedTuple):
    """A place to look. `kind` is cri or docker (Podman's service speaks the same); `told` ones are trusted."""

    kind: str
    path: str
    prefix: str = ""  # of the host's root
    told: bool = False


def usual(prefixes: Sequence[str] = ("", HOST_ROOT)) -> tuple[Socket, ...]:
    """The usual places below each prefix."""
    return tuple(Socket(kind, prefix + path, prefix) for prefix in prefixes for kind, path in _USUAL)


def parse_socket(text: str) -> Socket:
    """`[cri=|docker=|podman=][unix://]/path`; without a kind it is told from the path. Raises: ValueError."""
    kind, equals, path = text.partition("=")
    if not equals:
        kind, path = "", text
    path = path.removeprefix("unix://")
    if kind not in ("", *_KINDS) or not path.startswith("/"):
        raise ValueError(f"{text!r}: write /path, or cri=/path, docker=/path or podman=/path")
    if not kind:
        kind = "docker" if "docker" in Path(path).name or "podman" in Path(path).name else "cri"
    prefix = HOST_ROOT if path.startswith(f"{HOST_ROOT}/") else ""
    return Socket("cri" if kind == "cri" else "docker", path, prefix, told=True)


class Found(NamedTuple):
    """A socket that is there, or what is wrong with it."""

    socket: Socket
    trouble: Trouble | None = None
    problem: str = ""


def present(places: Iterable[Socket]) -> list[Found]:
    """The sockets that exist, each once whatever names it has; told ones are named even where they are absent.

    A usual place belongs to root. A socket there that does not is refused: whoever made it could give any container
    another name.
    """
    found: dict[tuple[int, int] | str, Found] = {}
    for place in sorted(places, key=lambda p: not p.told):
        try:
            about = os.stat(place.path)  # noqa: PTH116  (its fields are needed, not a Path)
        except OSError as error:
            if place.told:
                found[place.path] = Found(place, Trouble.ABSENT, f"{place.path}: {error.strerror}")
            continue
        found.setdefault((about.st_dev, about.st_ino), _judged(place, about))
    return list(found.values())


def _judged(place: Socket, about: os.stat_result) -> Found:
    if not stat.S_ISSOCK(about.st_mode):
        return Found(place, Trouble.REFUSED, f"{place.path}: not a socket")
    if not place.told and about.st_uid != 0:
        why = f"{place.path}: owned by user {about.st_uid}, not root; name it with --runtime-socket to trust it"
        return Found(place, Trouble.REFUSED, why)
    return Found(place)
