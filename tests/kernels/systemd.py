"""systemd as the first process, in QEMU: its services and a container by its cgroup driver are who identity says.

`python -m tests.kernels.systemd` boots Debian 6.1 with a target of two services, one of which runs this module again
with `--inside`: it starts a runc container through systemd and asks identify about everything.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.kernels.boot import boot, check_tools
from tests.kernels.fetch import UnavailableError, fetch

_ROOT = Path(__file__).resolve().parent.parent.parent
_SHARE = _ROOT / "build" / "kernels" / "systemd"
_INSIDE = Path("/run/share")
_ID = "ab" * 32
_MASKED = (
    *("systemd-udevd", "systemd-udev-trigger", "systemd-tmpfiles-setup", "systemd-tmpfiles-setup-dev"),
    *("systemd-journald", "systemd-journal-flush", "systemd-logind", "systemd-sysctl", "systemd-remount-fs"),
    *("systemd-update-utmp", "systemd-random-seed", "systemd-sysusers", "systemd-modules-load", "kmod-static-nodes"),
)
_UNITS = {
    "probe.target": "[Unit]\nWants=sleeper.service check.service\n",
    "sleeper.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep 10000\n",
    "check.service": "[Unit]\nDefaultDependencies=no\nAfter=sleeper.service\n"
    "[Service]\nExecStart=/bin/sh /run/share/check\n",
}
# boot's own start, with systemd in the place of the command; the check says the status and turns the machine off.
_START = "cd {cwd}; export HOME={home} PATH={path}\nexec {command}\n"
_CHECK = """export PATH={path} PYTHONPATH={root}:{root}/proto; cd {root}
{python} -m tests.kernels.systemd --inside >/run/share/output 2>&1
echo $? >/run/share/status; sync; echo o >/proc/sysrq-trigger
"""


def main() -> int:
    """Boot and judge; prints what was found."""
    try:
        check_tools()
        kernel = fetch("bookworm")
    except UnavailableError as error:
        print(f"systemd: skipped: {error}", file=sys.stderr)
        return 0
    command = [sys.executable, "-m", "tests.kernels.systemd", "--prepare"]
    outcome = boot(kernel, command, _SHARE, 300.0, _START)
    print(outcome.output if outcome.status is not None else outcome.console[-2000:])
    return 1 if outcome.status is None else outcome.status


def prepare() -> None:
    """Inside, as the first process: write the units and become systemd."""
    units = Path("/etc/systemd/system")
    units.mkdir(parents=True, exist_ok=True)
    for name in _MASKED:
        masked = units / f"{name}.service"
        masked.unlink(missing_ok=True)
        masked.symlink_to("/dev/null")
    for name, text in _UNITS.items():
        (units / name).write_text(text)
    words = {"path": os.environ["PATH"], "root": _ROOT, "python": sys.executable}
    (_INSIDE / "check").write_text(_CHECK.format(**words))
    os.execv("/lib/systemd/systemd", ["systemd", "--unit=probe.target"])


def inside() -> int:
    """Inside, in a service: one container, everything asked; 0 when all of it is so."""
    from agent.identify.identify import Identifier  # noqa: PLC0415

    _run_container(Path(tempfile.mkdtemp()))
    identifier = Identifier("boot")
    now_ns = time.time_ns()
    identifier.seed(now_ns)
    found = {}
    for node in identifier._tree._nodes.values():
        path = identifier._cgroups.path(node.cgroup_id) or ""
        if node.value is not None and node.value.path.endswith(("/sleep", "/busybox")):
            resident = identifier._residents.of(node.cgroup_id, node.pid, now_ns)
            found[path.rpartition("/")[2]] = (resident.workload.key, resident.container_id)
    print(json.dumps(found, indent=1))
    expected = {
        "sleeper.service": ("unit/sleeper.service/bin/sleep", ""),
        f"cri-containerd-{_ID}.scope": (f"container/{_ID}", _ID),
    }
    return 0 if found == expected else 1


def _run_container(bundle: Path) -> None:
    for name in ("bin", "proc", "sys", "dev"):
        (bundle / "rootfs" / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox
    shutil.copy(busybox, bundle / "rootfs/bin/sleep")
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(terminal=False, args=["/bin/sleep", "300"])
    config["process"].pop("rlimits", None)
    config["linux"]["cgroupsPath"] = f"system.slice:cri-containerd:{_ID}"
    (bundle / "config.json").write_text(json.dumps(config))
    quiet = subprocess.DEVNULL  # the container keeps the streams as its own
    command = ["runc", "--systemd-cgroup", "run", "-d", _ID]
    subprocess.run(command, cwd=bundle, stdin=quiet, stdout=quiet, stderr=quiet, check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--prepare"]:
            prepare()
        case ["--inside"]:
            sys.exit(inside())
        case _:
            sys.exit(main())
