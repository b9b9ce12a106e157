"""What talking to a unix socket, or opening one for raw packets, touches: prior weights, as in `priors`."""

import re

from detection.baseline.priors import Touch

_RUNTIMES = re.compile(r"/(?:docker|containerd|crio|podman|dockershim|buildkitd)[^/]*\.sock$")


def socket_touches(path: str) -> tuple[Touch, ...]:
    """What talking to the unix socket at this path reaches."""
    return (Touch(2.0, f"{path} controls the container runtime"),) if _RUNTIMES.search(path) else ()


def raw_touches(kind: str) -> tuple[Touch, ...]:
    """What a socket of this kind ("raw", "packet") allows."""
    return (Touch(1.2, f"a {kind} socket sends or sees packets of its own making"),)
