"""The loads: what runs with and without the agent, and what of it is one operation."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Group
from bench.project import write_project

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
WORKERS = 2
_NGINX_PORT, _REDIS_PORT, _TCP_PORT = 17480, 17379, 17001
_PROJECT = BUILD / "project"
_WWW = BUILD / "www"


@dataclass(frozen=True, slots=True)
class Load:
    """`command(scale)` gives the argument vector; `operations(scale)` how many operations that is.

    A load whose output is one JSON line times itself; others are timed from outside. `needs` are programs;
    `server` runs beside it, in the same group, and answers on `port` when it is ready.
    """

    name: str
    unit: str
    command: Callable[[float], list[str]]
    operations: Callable[[float], int]
    server: tuple[str, ...] = ()
    port: int = 0
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Programs it needs that are not installed."""
        return [name for name in self.needs if shutil.which(name) is None]


@dataclass(frozen=True, slots=True)
class Timing:
    """One run: wall-clock seconds, and processor seconds of the load's whole group."""

    wall_s: float
    cpu_s: float
    operations: int


def _of(count: int) -> Callable[[float], int]:
    return lambda scale: max(WORKERS, int(count * scale))


def _tool(name: str) -> str:
    return str(BUILD / name)


def _storm(name: str, count: int, *rest: str) -> Callable[[float], list[str]]:
    return lambda scale: [_tool(name), str(_of(count)(scale)), str(WORKERS), *rest]


def _passes(scale: float) -> int:
    return max(1, round(2 * scale))


LOADS = (
    Load("exec", "fork+exec+exit, static", _storm("exec_storm", 8000, _tool("nothing")), _of(8000)),
    Load("exec-dynamic", "fork+exec+exit, dynamic", _storm("exec_storm", 4000, "/bin/true"), _of(4000)),
    Load(
        "open",
        "open+read+close, known files",
        _storm("open_storm", 1_200_000, str(BUILD / "files"), "64"),
        _of(1_200_000),
    ),
    Load("rw", "1-byte read + write", _storm("rw_storm", 6_000_000), _of(6_000_000)),
    Load("tcp", "connect+accept+echo+close", _storm("tcp_storm", 70_000, str(_TCP_PORT)), _of(70_000)),
    Load(
        "compile",
        "compiling C",
        lambda scale: [str(_PROJECT / "build.sh"), str(_passes(scale)), str(WORKERS)],
        lambda scale: 24 * _passes(scale),
        needs=("gcc", "ar", "xargs"),
    ),
    Load(
        "nginx",
        "HTTP request, no keep-alive",
        lambda scale: [
            "ab",
            "-q",
            "-n",
            str(_of(40_000)(scale)),
            "-c",
            "8",
            f"http://127.0.0.1:{_NGINX_PORT}/page.html",
        ],
        _of(40_000),
        ("nginx", "-c", str(BUILD / "nginx.conf")),
        _NGINX_PORT,
        ("nginx", "ab"),
    ),
    Load(
        "redis",
        "SET and GET",
        lambda scale: [
            "redis-benchmark",
            "-h",
            "127.0.0.1",
            "-p",
            str(_REDIS_PORT),
            "-n",
            str(_of(120_000)(scale)),
            "-c",
            "8",
            "-t",
            "set,get",
            "--csv",
        ],
        lambda scale: 2 * _of(120_000)(scale),
        ("redis-server", "--port", str(_REDIS_PORT), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        _REDIS_PORT,
        ("redis-server", "redis-benchmark"),
    ),
)


def prepare() -> None:
    """Build the programs and write the files the loads work on. Raises: CalledProcessError."""
    subprocess.run(["make", "-s", "-C", str(ROOT / "bench" / "loads"), f"OUT={BUILD}"], check=True)
    write_project(_PROJECT)
    _WWW.mkdir(exist_ok=True)
    (_WWW / "page.html").write_text("x" * 4096)
    (BUILD / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {BUILD}/nginx.pid; error_log {BUILD}/nginx.err;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log {BUILD}/nginx.log; "
        f"server {{ listen 127.0.0.1:{_NGINX_PORT}; root {_WWW}; }} }}\n"
    )


def run(load: Load, scale: float, group: Group, settled: Callable[[], object] = lambda: None) -> Timing:
    """Run a load once in `group`; `settled` is called when its server is up and all else may be measured.

    Raises: RuntimeError where the load fails.
    """
    server = _start(load, group)
    try:
        settled()
        return _timed(load, scale, group)
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def _timed(load: Load, scale: float, group: Group) -> Timing:
    cpu, begun = group.cpu_s(), time.monotonic()
    done = subprocess.run(
        load.command(scale), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        preexec_fn=group.entry(),
    )  # fmt: skip
    wall_s = time.monotonic() - begun
    if done.returncode:
        raise RuntimeError(f"load {load.name} ended with {done.returncode}: {done.stderr[-500:]}")
    return Timing(_own_time(done.stdout) or wall_s, group.cpu_s() - cpu, load.operations(scale))


def _own_time(output: str) -> float:
    """What a load says it took; 0 when it says nothing."""
    if output.startswith("{"):
        return float(json.loads(output)["wall_s"])
    said = re.search(r"Time taken for tests:\s+([\d.]+)", output)
    return float(said.group(1)) if said else 0.0


def _start(load: Load, group: Group) -> subprocess.Popen[bytes] | None:
    if not load.server:
        return None
    server = subprocess.Popen(
        load.server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        preexec_fn=group.entry(),  # noqa: PLW1509 - one thread
    )  # fmt: skip
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", load.port), 0.2).close()
            return server
        except OSError:
            time.sleep(0.02)
    server.kill()
    raise RuntimeError(f"load {load.name}: {load.server[0]} does not answer on port {load.port}")
