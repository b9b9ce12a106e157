"""The agent under measurement: started as its users start it, watched from outside."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.loads import BUILD, ROOT
from bench.machine import Group

_READY_S = 30
_SETTLE_S = 1.5
_DRAINED_SHARE = 0.04  # of a core: the agent has nothing left to do
_LOOK_S = 0.25


class Subject:
    """One agent process, in its stock configuration, writing findings to `output`."""

    command = str(Path(sys.executable).with_name("vedette"))

    def __init__(self, arguments: Sequence[str] = (), ready: str = "ready") -> None:
        """Other `arguments` than the stock ones; `ready` is what it says when it watches."""
        self.directory = BUILD / "agent"
        self.output = self.directory / "findings.jsonl"
        self._status = self.directory / "status.json"
        self._log = self.directory / "agent.log"
        self._arguments = (self.command, *(arguments or self._stock()))
        self._ready = ready.encode()
        self.group = Group("agent")
        self.ready_s = 0.0
        self.stop_s = 0.0

    def _stock(self) -> tuple[str, ...]:
        return (
            "agent", "--output", str(self.output), "--state-dir", str(self.directory / "state"),
            "--status-file", str(self._status),
        )  # fmt: skip

    def __enter__(self) -> "Subject":
        self.directory.mkdir(parents=True, exist_ok=True)
        self.output.write_bytes(b"")
        self._status.unlink(missing_ok=True)
        begun = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT,
                preexec_fn=self.group.entry(),  # noqa: PLW1509 - one thread
            )  # fmt: skip
        self._wait_ready(begun)
        time.sleep(_SETTLE_S)
        return self

    def __exit__(self, *_: object) -> None:
        begun = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.stop_s = time.monotonic() - begun

    def _wait_ready(self, begun: float) -> None:
        end = begun + _READY_S
        while self._ready not in self._log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the agent did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.01)
        self.ready_s = time.monotonic() - begun

    @property
    def pid(self) -> int:
        """Of its main process."""
        return self._process.pid

    def drain(self, patience_s: float = 30) -> float:
        """Wait until it has worked off what it read; how long that took."""
        begun, last = time.monotonic(), self.group.cpu_s()
        while time.monotonic() - begun < patience_s:
            time.sleep(_LOOK_S)
            now = self.group.cpu_s()
            if (now - last) / _LOOK_S < _DRAINED_SHARE:
                break
            last = now
        return time.monotonic() - begun

    def memory_mb(self, peak: bool = True) -> float:
        """Resident memory, the highest it ever was or as it is now."""
        name = "VmHWM" if peak else "VmRSS"
        found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found.group(1)) / 1024 if found else 0.0

    def status(self) -> dict[str, Any]:
        """Its newest status, at most about a second old."""
        asked = time.time_ns()
        end = time.monotonic() + 40
        while time.monotonic() < end:
            try:
                status: dict[str, Any] = json.loads(self._status.read_bytes())
            except (OSError, ValueError):
                status = {}
            if status.get("time_ns", 0) > asked:
                return status
            time.sleep(0.1)
        raise RuntimeError("the agent does not write its status any more")

    def counts(self) -> dict[str, int]:
        """Records emitted and lost since start, over all classes."""
        classes = self.status()["counters"].values()
        return {
            "emitted": sum(causes.get("emitted", 0) for causes in classes),
            "lost": sum(n for causes in classes for cause, n in causes.items() if cause.startswith("lost_")),
            "throttled": sum(causes.get("throttled", 0) for causes in classes),
        }

    def programs(self) -> dict[str, tuple[int, int]]:
        """Its kernel programs: name → (runs, nanoseconds), while `kernel.bpf_stats_enabled` is 1."""
        shown = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True)
        ours = self._program_ids()
        return {
            p["name"]: (p.get("run_cnt", 0), p.get("run_time_ns", 0))
            for p in json.loads(shown.stdout)
            if p["id"] in ours and "name" in p
        }

    def _program_ids(self) -> set[int]:
        found: set[int] = set()
        for fd in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            try:
                text = fd.read_text()
            except OSError:
                continue
            if (match := re.search(r"^prog_id:\s+(\d+)", text, re.M)) is not None:
                found.add(int(match.group(1)))
        return found

    def wait_attached(self) -> None:
        """Wait until its programs are in the kernel, for a command that does not say so."""
        end = time.monotonic() + _READY_S
        while not self._program_ids() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(_SETTLE_S)

    def said(self) -> str:
        """All it has written to its log."""
        return self._log.read_text()
