"""Docker's API, which Podman's service speaks too: one container, and the digest of its image.

Format: Docker Engine API, /containers/{id}/json and /images/{id}/json; Podman says who it is in `Libpod-Api-Version`.
"""

import re
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from agent.identify.records import bounded_strings, valid_id
from agent.identify.sources import Said
from agent.runtimes.engine import ANSWER_S, MAX_ANSWER, EngineError, Greeting, Trouble
from agent.runtimes.unix_http import UnixHttp

_IMAGES = 256
_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")
_SANDBOX = ("podsandbox", "sandbox")


class DockerEngine:
    """An `Engine` at a unix socket."""

    def __init__(self, path: str, timeout_s: float = ANSWER_S, max_bytes: int = MAX_ANSWER) -> None:
        self._path = path
        self._http = UnixHttp(path, timeout_s, max_bytes)
        self._kind = "docker"
        self._digests: OrderedDict[str, str] = OrderedDict()  # image id → digest

    def greet(self) -> Greeting:
        reply, found = self._http.get_json("/version")
        if reply.status != 200 or not isinstance(found.get("ApiVersion"), str):
            raise EngineError(Trouble.GARBLED, f"{self._path}: what answers is neither Docker nor Podman")
        components = found.get("Components")
        names = [c.get("Name") for c in components if isinstance(c, dict)] if isinstance(components, list) else []
        podman = "libpod-api-version" in reply.headers or "Podman Engine" in names
        self._kind = "podman" if podman else "docker"
        return Greeting(self._kind, _text(found.get("Version"))[:64])

    def describe(self, container_id: str) -> Said | None:
        if not valid_id(container_id):
            return None
        reply, found = self._http.get_json(f"/containers/{quote(container_id, safe='')}/json")
        if reply.status == 404:
            return None
        if reply.status != 200 or found.get("Id") != container_id:
            raise EngineError(Trouble.GARBLED, f"{self._path}: status {reply.status} for a container")
        return self._said(container_id, found)

    def close(self) -> None:
        """Every request has a connection of its own."""

    def _said(self, container_id: str, found: dict[str, Any]) -> Said:
        config, state = _dict(found.get("Config")), _dict(found.get("State"))
        driver = _dict(_dict(found.get("GraphDriver")).get("Data"))
        labels = bounded_strings(_dict(config.get("Labels")))
        image_id = _text(found.get("Image"))
        pid = state.get("Pid")
        return Said(
            id=container_id,
            source=self._kind,
            runtime=self._kind,
            name=labels.get("io.kubernetes.container.name") or _text(found.get("Name")).removeprefix("/"),
            image=_text(config.get("Image")),
            image_digest=self._digest(image_id) if image_id else "",
            pod_uid=labels.get("io.kubernetes.pod.uid", ""),
            pod_name=labels.get("io.kubernetes.pod.name", ""),
            namespace=labels.get("io.kubernetes.pod.namespace", ""),
            labels=labels,
            annotations=bounded_strings(_dict(_dict(found.get("HostConfig")).get("Annotations"))),
            rootfs=_text(driver.get("MergedDir")),
            upper_dir=_text(driver.get("UpperDir")),
            created_ns=unix_ns(_text(found.get("Created"))),
            init_pid=pid if isinstance(pid, int) and 0 < pid < 1 << 22 else 0,
            sandbox=labels.get("io.kubernetes.docker.type") in _SANDBOX,
        )

    def _digest(self, image_id: str) -> str:
        """The image's digest in its registry, else its own id: either names one content."""
        known = self._digests.get(image_id)
        if known is None:
            known = self._digests[image_id] = self._look_up(image_id)
            if len(self._digests) > _IMAGES:
                self._digests.popitem(last=False)
        return known

    def _look_up(self, image_id: str) -> str:
        _, found = self._http.get_json(f"/images/{quote(image_id, safe='')}/json")
        digests = found.get("RepoDigests")
        names = [d for d in digests if isinstance(d, str)] if isinstance(digests, list) else []
        return min(names, default="").rpartition("@")[2] or _sha256(image_id)


def _sha256(image_id: str) -> str:
    """Podman gives ids without the algorithm."""
    return image_id if image_id.startswith("sha256:") else f"sha256:{image_id}"


def unix_ns(text: str) -> int:
    """An RFC 3339 time as Unix nanoseconds; 0 for anything else."""
    match = _TIME.match(text)
    if match is None:
        return 0
    try:
        moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        return 0
    return int(moment.timestamp()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 4096 else ""
