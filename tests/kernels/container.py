"""One runc container on an overlay in memory, whose only program is acts.c."""

import json
import shutil
import subprocess
import time
from pathlib import Path

CWD = "/etc"
ARGV = ["/bin/acts", "eins", "zwei drei"]
_LIMIT_S = 120.0
_CAPABILITIES = ("bounding", "effective", "permitted")
_GRANTED = "CAP_SETUID"  # the acts end by giving up root


class ActsContainer:
    """Made, not yet running. `cgroup_id` is known without the sensor: the inode of the cgroup's directory."""

    name = "vt-kernels"

    def __init__(self, directory: Path, acts: Path) -> None:
        self._bundle = directory
        layers = {name: directory / name for name in ("image", "upper", "work", "root")}
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            (layers["image"] / name).mkdir(parents=True)
        for name in ("upper", "work", "root"):
            layers[name].mkdir()
        shutil.copy(acts, layers["image"] / "bin/acts")
        (layers["image"] / "etc/hostname").write_text("inside\n")
        options = f"lowerdir={layers['image']},upperdir={layers['upper']},workdir={layers['work']}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, layers["root"]], check=True)
        self._configure(layers["root"])
        self._runc("create", self.name)
        self._cgroup = _cgroup2() / self.name
        self.cgroup_id = self._cgroup.stat().st_ino

    def _configure(self, root: Path) -> None:
        subprocess.run(["runc", "spec"], cwd=self._bundle, check=True)
        config = json.loads((self._bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ARGV, "cwd": CWD}
        config["process"].pop("rlimits", None)
        for kind in _CAPABILITIES:
            config["process"]["capabilities"][kind].append(_GRANTED)
        config["root"] = {"path": str(root), "readonly": False}
        config["linux"]["cgroupsPath"] = f"/{self.name}"
        (self._bundle / "config.json").write_text(json.dumps(config))

    def _runc(self, *arguments: str) -> str:
        command = ["runc", "--root", str(self._bundle / "state"), *arguments]
        with (self._bundle / "said").open("w+") as said:  # a file: the container keeps the stream as its own
            done = subprocess.run(
                command, cwd=self._bundle, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            said.seek(0)
            text = said.read()
        if done.returncode:
            raise RuntimeError(f"`{' '.join(command)}` failed: {text}")
        return text

    def run(self) -> int:
        """Let it do its acts to the end; gives the pid of its init. Raises: TimeoutError."""
        pid = int(json.loads(self._runc("state", self.name))["pid"])
        self._runc("start", self.name)
        deadline = time.monotonic() + _LIMIT_S
        while "populated 1" in (self._cgroup / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the container still runs after {_LIMIT_S:.0f} s")
            time.sleep(0.05)
        return pid

    def remove(self) -> None:
        """Delete it and its cgroup."""
        self._runc("delete", "--force", self.name)


def _cgroup2() -> Path:
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return Path(next(target for _, target, kind, *_ in mounts if kind == "cgroup2"))
