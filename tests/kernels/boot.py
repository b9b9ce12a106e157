"""Boots a kernel in QEMU, on this machine's files, and runs one command there.

The machine inside sees this one's root read-only over 9p under a throw-away overlay in memory, so it has the project,
its virtual environment and runc at the same paths; cgroups are pure v2. `share`, a directory of this machine, is
/run/share in there: the command's output and whatever it writes there stay. No hardware virtualisation is needed;
timings inside mean nothing.
"""

import gzip
import lzma
import os
import shlex
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.kernels.fetch import Kernel, UnavailableError

_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_rng")
_MEMORY_MB = 3072
# On a busy machine the emulated timer comes too late for the kernel's own test of it, which would panic.
_TIMER = "no_timer_check"
_LSM = "lsm=lockdown,yama,integrity,apparmor"
_BPF_LSM = ",bpf"  # compiled in, but not in Debian's default list
_WITH_FENTRY = ("bookworm",)  # left as it comes: the programs for security hooks run at function entries there

# Everything before the command. busybox's, as nothing else is there yet.
_INIT = """#!/bin/busybox sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m || echo "insmod $m failed"; done
nine() { mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,$3 $1 $2; }
nine root /lower ro,cache=loose || { echo "cannot mount this machine's files"; poweroff -f; }
mount -t tmpfs upper /upper; mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /new
for m in proc sys dev; do mount --move /$m /new/$m; done
for m in run tmp; do mount -t tmpfs $m /new/$m; done
mkdir /new/run/share; nine share /new/run/share rw
checkout=$(cat /new/run/share/checkout) # below what has just been covered: uncover it
case $checkout in /tmp/*|/run/*) mkdir -p "/new$checkout"; mount --bind "/lower$checkout" "/new$checkout" ;; esac
mkdir -p /new/dev/pts /new/dev/shm; mount -t devpts pts /new/dev/pts; mount -t tmpfs shm /new/dev/shm
mount -t securityfs security /new/sys/kernel/security; mount -t bpf bpf /new/sys/fs/bpf
mount -t cgroup2 cgroup /new/sys/fs/cgroup
ip link set lo up
exec switch_root /new /bin/sh /run/share/start
"""
_START = """cd {cwd}
export HOME={home} PATH={path} VEDETTE_SHARE=/run/share
{command} >/run/share/output 2>&1 </dev/null
echo $? >/run/share/status
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


class Outcome(NamedTuple):
    """How a command ended in there. status None: it did not (killed at the limit, or the kernel never got to it)."""

    status: int | None
    output: str
    console: str
    seconds: float


def check_tools() -> None:
    """Raises: UnavailableError naming what is missing."""
    missing = [tool for tool in ("qemu-system-x86_64", "busybox", "modprobe", "zstd", "runc") if not shutil.which(tool)]
    if missing:
        raise UnavailableError(f"needs {', '.join(missing)}: `tools/setup.sh --kernels` installs them")
    if os.geteuid() != 0:
        raise UnavailableError("needs root: the machine inside reads this one's files as they are")


def boot(kernel: Kernel, command: Sequence[str], share: Path, limit_s: float, start: str = _START) -> Outcome:
    """Run a command as root, in the current directory, under a kernel; blocks. `share` is emptied first.

    `start` is the script that is the first process there.
    """
    shutil.rmtree(share, ignore_errors=True)
    share.mkdir(parents=True)
    words = {"cwd": os.getcwd(), "home": str(Path.home()), "path": os.environ["PATH"]}  # noqa: PTH109
    quoted = {name: shlex.quote(word) for name, word in words.items()}
    (share / "checkout").write_text(words["cwd"])
    (share / "start").write_text(start.format(command=shlex.join(command), **quoted))
    begun = time.monotonic()
    with (share / "console").open("wb") as console:
        machine = subprocess.Popen(
            _machine(kernel, share), stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
        try:
            machine.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if machine.poll() is None:
                os.killpg(machine.pid, signal.SIGKILL)
                machine.wait()
    status = _text(share / "status").strip()
    done = time.monotonic() - begun
    return Outcome(int(status) if status else None, _text(share / "output"), _text(share / "console"), done)


def _machine(kernel: Kernel, share: Path) -> list[str]:
    nine = "security_model=none,multidevs=remap"
    lsm = _LSM + ("" if kernel.suite in _WITH_FENTRY else _BPF_LSM)
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(_MEMORY_MB),
        "-nographic", "-no-reboot", "-nic", "none", "-device", "virtio-rng-pci",
        "-kernel", str(kernel.tree / "vmlinuz"), "-initrd", str(_initrd(kernel)),
        "-virtfs", f"local,path=/,mount_tag=root,readonly=on,{nine}",
        "-virtfs", f"local,path={share},mount_tag=share,{nine}",
        "-append", f"console=ttyS0 quiet panic=-1 mitigations=off audit=0 {_TIMER} {lsm}",
    ]  # fmt: skip


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _initrd(kernel: Kernel) -> Path:
    """busybox, the modules the root needs, and the init; made once for each kernel and each version of this file."""
    path = kernel.tree / "initrd.gz"
    if not path.exists() or path.stat().st_mtime < Path(__file__).stat().st_mtime:
        archive = b"".join([*_files(kernel), _entry("TRAILER!!!", 0, b"")])
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(gzip.compress(archive, 1))
        beside.replace(path)
    return path


def _files(kernel: Kernel) -> Iterator[bytes]:
    for directory in ("bin", "sbin", "modules", "proc", "sys", "dev", "lower", "upper", "new"):
        yield _entry(directory, stat.S_IFDIR | 0o755, b"")
    busybox = shutil.which("busybox")
    assert busybox
    yield _entry("bin/busybox", stat.S_IFREG | 0o755, Path(busybox).read_bytes())
    for name in ("sh", "mount", "insmod", "mkdir", "cat", "ip", "switch_root", "poweroff", "echo"):
        yield _entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox")
    order = []
    for module in _module_files(kernel):
        order.append(module.name.split(".ko")[0] + ".ko")
        yield _entry(f"modules/{order[-1]}", stat.S_IFREG | 0o644, _unpacked(module))
    yield _entry("modules/order", stat.S_IFREG | 0o644, "\n".join(order).encode())
    yield _entry("init", stat.S_IFREG | 0o755, _INIT.encode())


def _module_files(kernel: Kernel) -> list[Path]:
    """In the order of their dependencies; without those compiled into the kernel."""
    found: dict[Path, None] = {}
    for module in _MODULES:
        command = ["modprobe", "-d", str(kernel.tree), "-S", kernel.version, "--show-depends", module]
        for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
            kind, *words = line.split()
            if kind == "insmod":
                found[Path(words[0])] = None
    return list(found)


def _unpacked(module: Path) -> bytes:
    if module.suffix == ".xz":
        return lzma.decompress(module.read_bytes())
    if module.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", module], capture_output=True, check=True).stdout
    return module.read_bytes()


def _entry(name: str, mode: int, data: bytes) -> bytes:
    """One member of a cpio archive, "newc" (Linux: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    raw = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
