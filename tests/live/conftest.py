"""A real sensor and the real path behind it, containers to act in, and the findings that come of it."""

import json
import os
import pty
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import rules
from agent.core import Core
from agent.decode.decode import Decoder
from agent.detect.detector import Detector
from agent.identify.identify import Identifier
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.ledger import Ledger
from agent.source.core_re import CoReSource
from agent.source.throttle import UNLIMITED
from detection.finding import Finding
from detection.rules import load_compiled
from tests.live.acts import ACTING, CGI, METADATA, NAMED, OUTSIDE, Act

_RULES = Path(__file__).parents[2] / "rules" / "runtime"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_WAIT_S, _READ_S = 15.0, 0.05
_CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE")
_OVER_OTHERS = ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_CHROOT", "CAP_KILL")
_KINDS = ("bounding", "effective", "permitted", "inheritable")


def rule_names() -> set[str]:
    """Every runtime rule: its file's name without ending, as findings name it."""
    return {path.stem for path in _RULES.glob("*.yml")}


class Kept:
    """A sink that keeps findings."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def finding(self, finding: Finding) -> None:
        self.findings.append(finding)

    def ledger(self, entry: Ledger) -> None: ...

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...


class Watch:
    """The agent's path over a live sensor, driven by whoever asks for findings."""

    def __init__(self) -> None:
        self.sink, self.source = Kept(), CoReSource(limits=UNLIMITED)
        identifier = Identifier(boot_id=_BOOT_ID.read_text().strip())
        self.source.start()
        identifier.seed()
        self.core = Core(
            source=self.source,
            decoder=Decoder(),
            identifier=identifier,
            learner=Learner(LearnConfig()),
            detector=Detector(load_compiled(rules.runtime_rules()), "node"),
            sink=self.sink,
        )

    def wait_for(self, rule: str, container_id: str, since: int) -> Finding | None:
        """The first finding of a rule in a container, from the `since`th on; None when none comes in time.

        Every record of an act that has ended is in the ring: so this waits only where something is wrong.
        """
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            while (batch := self.source.read(_READ_S)) is not None:
                self.core.handle(batch)
            self.core.tick(time.time_ns())
            for finding in self.sink.findings[since:]:
                if finding.rule_id == rule and container_id in {entity.id for entity in finding.entities}:
                    return finding
        return None


@pytest.fixture(scope="session")
def watch() -> Iterator[Watch]:
    """One for the whole run: attaching and detaching take seconds."""
    made = Watch()
    try:
        yield made
    finally:
        made.source.stop()


class Pod:
    """A runc container whose first process is a web server; its id is such as Docker gives."""

    def __init__(self, directory: Path, act: Path, host_pids: bool) -> None:
        self.id, self._directory, self._host_pids = secrets.token_hex(32), directory, host_pids
        self._layers = {name: directory / name for name in ("image", "upper", "work", "root")}
        for path in self._layers.values():
            path.mkdir()
        self._fill(act)
        options = f"lowerdir={self._layers['image']},upperdir={self._layers['upper']},workdir={self._layers['work']}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self._layers["root"]], check=True)
        self._configure()

    def _fill(self, act: Path) -> None:
        image = self._layers["image"]
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "usr/bin", "srv/cgi-bin", "root", "var", "run"):
            (image / name).mkdir(parents=True)
        token = image / "var/run/secrets/kubernetes.io/serviceaccount/token"
        token.parent.mkdir(parents=True)
        for path, text in {
            token: "x",
            image / "etc/shadow": "root::1::::::",
            image / "etc/gshadow": "x",
            image / "etc/passwd": "root:x:0:0::/:",
        }.items():
            path.write_text(text + "\n")
        busybox, applets = Path("/usr/bin/busybox"), subprocess.run(
            ["busybox", "--list"], capture_output=True, text=True, check=True
        ).stdout.split()  # fmt: skip
        shutil.copy(busybox, image / "bin/busybox")
        for applet in set(applets) - {"busybox", *NAMED, *ACTING}:
            (image / "bin" / applet).symlink_to("busybox")
        for name, program in {"act": act, **dict.fromkeys(NAMED, busybox), **dict.fromkeys(ACTING, act)}.items():
            shutil.copy(program, image / "bin" / name)
        shutil.copy(busybox, image / "bin/as-root")
        (image / "bin/as-root").chmod(0o4755)
        for name, script in CGI.items():
            (image / "srv/cgi-bin" / name).write_text(f"#!/bin/sh\necho; {script}\n")
            (image / "srv/cgi-bin" / name).chmod(0o755)

    def _configure(self) -> None:
        subprocess.run(["runc", "spec"], cwd=self._directory, check=True)
        path = self._directory / "config.json"
        config = json.loads(path.read_text())
        addresses = " && ".join(f"ip addr add {address}/32 dev lo" for address in (OUTSIDE, METADATA))
        first = f"{addresses} && exec httpd -f -p 8080 -h /srv"
        config["process"] |= {"terminal": False, "args": ["/bin/sh", "-c", first], "noNewPrivileges": False}
        config["process"].pop("rlimits", None)
        for kind in _KINDS:
            config["process"]["capabilities"][kind] = [*_CAPABILITIES, *(_OVER_OTHERS if self._host_pids else ())]
        config["root"] = {"path": str(self._layers["root"]), "readonly": False}
        config["linux"]["cgroupsPath"] = f"/docker/{self.id}"
        if self._host_pids:
            config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "pid"]
        path.write_text(json.dumps(config))

    def runc(self, *arguments: str, terminal: bool = False) -> int:
        """Run a command of runc's; its status."""
        command = ["runc", "--root", str(self._directory / "state"), *arguments]
        if not terminal:
            quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            return subprocess.run(command, cwd=self._directory, check=False, **quiet).returncode  # type: ignore[call-overload]
        master, slave = pty.openpty()
        try:
            process = subprocess.Popen(command, cwd=self._directory, stdin=slave, stdout=slave, stderr=slave)
            os.close(slave)
            threading.Thread(target=_swallow, args=(master,), daemon=True).start()
            return process.wait(60)
        finally:
            os.close(master)

    def start(self) -> None:
        """Run it; returns when its server listens."""
        assert self.runc("run", "--detach", self.id) == 0
        deadline = time.monotonic() + _WAIT_S
        while self.runc("exec", self.id, "/bin/sh", "-c", "netstat -lnt | grep -q :8080"):
            assert time.monotonic() < deadline

    def do(self, act: Act, words: Mapping[str, str]) -> None:
        """Do an act as it says; `words` fills what it leaves open."""
        plain = ("/bin/sh", "-c", act.words) if isinstance(act.words, str) else act.words
        filled = [re.sub(r"\{(\w+)\}", lambda match: words[match[1]], word) for word in plain]
        options = [option for need in act.needs for option in ("--cap", need)]
        options += ["--user", act.user] if act.user else []
        options += ["--tty"] if act.terminal else []
        self.runc("exec", "--env", "PATH=/bin", *options, self.id, *filled, terminal=act.terminal)

    def remove(self) -> None:
        """Kill and unmount."""
        self.runc("delete", "--force", self.id)
        subprocess.run(["umount", self._layers["root"]], check=True)


def _swallow(terminal: int) -> None:
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        return  # the other end is closed


@pytest.fixture(scope="session")
def act_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """act.c, compiled."""
    target = tmp_path_factory.mktemp("act") / "act"
    subprocess.run(
        ["clang", "-O2", "-Wall", "-Werror", "-static", "-o", target, Path(__file__).with_name("act.c")], check=True
    )
    return target


@pytest.fixture(scope="session")
def pod(watch: Watch, act_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], Pod]]:
    """The container acts are done in, with its own processes or the host's; made when first asked for."""
    made: dict[bool, Pod] = {}

    def get(host_pids: bool) -> Pod:
        if host_pids not in made:
            made[host_pids] = Pod(tmp_path_factory.mktemp("pod"), act_program, host_pids)
            made[host_pids].start()
        return made[host_pids]

    yield get
    for each in made.values():
        each.remove()


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process outside any container."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process.pid
    process.kill()
    process.wait()
