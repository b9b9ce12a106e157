"""How long a finding takes: from the kernel's time stamp to the line being in the file."""

import json
import secrets
import subprocess
import time
from dataclasses import dataclass
from typing import BinaryIO

from bench.loads import BUILD
from bench.machine import Group
from bench.subject import Subject

_GAP_S = 0.05
_GIVE_UP_S = 5.0
_LOOK_S = 0.0002


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds. `background` is how many known files were opened per second meanwhile, as far as achieved."""

    background: int
    findings: int
    missing: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    worst_ms: float


def measure(findings: int, background: int) -> Latency:
    """Run a program a rule condemns, again and again, each time with other arguments."""
    found, missing = [], 0
    with Subject() as agent, agent.output.open("rb") as output:
        other = _background(background, findings * _GAP_S * 2 + 5) if background else None
        try:
            for _ in range(findings):
                took = _one(output)
                found += [] if took is None else [took]
                missing += took is None
                time.sleep(_GAP_S)
        finally:
            if other is not None:
                other.terminate()
                other.wait()
    found.sort()
    at = [_quantile(found, q) for q in (0.5, 0.9, 0.99, 1.0)]
    return Latency(background, findings, missing, *at)


def _background(rate: int, seconds: float) -> subprocess.Popen[bytes]:
    command = [str(BUILD / "open_storm"), str(int(rate * seconds)), "1", str(BUILD / "files"), "64", str(rate)]
    group = Group("load")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=group.entry())  # noqa: PLW1509
    time.sleep(1)
    return process


def _one(output: BinaryIO) -> float | None:
    token = secrets.token_hex(8)
    output.seek(0, 2)
    subprocess.run([str(BUILD / "nothing"), f"/dev/tcp/{token}/1"], check=True, stdin=subprocess.DEVNULL)
    end, seen = time.monotonic() + _GIVE_UP_S, b""
    while time.monotonic() < end:
        seen += output.read()
        if token.encode() in seen and seen.endswith(b"\n"):
            return (time.time_ns() - _stamp(seen, token)) / 1e6
        time.sleep(_LOOK_S)
    return None


def _stamp(lines: bytes, token: str) -> int:
    line = next(line for line in lines.splitlines() if token.encode() in line)
    return int(json.loads(line)["time_ns"])


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
