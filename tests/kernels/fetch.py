"""Debian kernels, fetched from the mirror this machine's own apt uses into a cache. Installs nothing."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SUITES = {"bullseye": "5.10", "bookworm": "6.1", "trixie": "6.12", "sid": "the newest"}
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_META_PACKAGE = "linux-image-amd64"
_KEPT = 1  # older versions of a suite's kernel that stay in the cache


class UnavailableError(Exception):
    """A kernel, or the emulator, cannot be had here; says why."""


class Kernel(NamedTuple):
    """An unpacked kernel: `tree` holds vmlinuz and lib/modules/VERSION."""

    suite: str
    version: str
    tree: Path


def cache_root() -> Path:
    """Where kernels are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vedette" / "kernels"


def fetch(suite: str) -> Kernel:
    """The newest kernel of a Debian suite. Raises: UnavailableError."""
    missing = [tool for tool in ("apt-get", "dpkg-deb", "depmod") if not shutil.which(tool)]
    if missing:
        raise UnavailableError(f"needs {', '.join(missing)} (packages apt, dpkg, kmod)")
    apt = _Apt(cache_root() / f"apt-{suite}", suite)
    apt.update()
    package = apt.dependency(_META_PACKAGE)
    kernel = Kernel(suite, package.removeprefix("linux-image-"), cache_root() / suite / package)
    if not (kernel.tree / "vmlinuz").exists():
        _unpack(apt, kernel, package)
        _forget_older(kernel)
    return kernel


def fetch_headers(kernel: Kernel) -> Path:
    """A directory with the kernel's own headers below usr/src, as its packages leave them. Raises: UnavailableError."""
    tree = kernel.tree / "headers"
    if not tree.exists():
        apt = _Apt(cache_root() / f"apt-{kernel.suite}", kernel.suite)
        flavour = kernel.version.rpartition("-")[2]
        names = (f"linux-headers-{kernel.version}", f"linux-headers-{kernel.version.removesuffix(flavour)}common")
        beside = tree.with_suffix(f".{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        _download(apt, names, beside)
        beside.rename(tree)
    return tree


class _Apt:
    """apt with lists, caches and a package database of its own, seeing one suite only."""

    def __init__(self, home: Path, suite: str) -> None:
        for part in ("lists/partial", "cache/archives/partial", "parts"):
            (home / part).mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        (home / "sources.list").write_text(_sources(suite))
        self._config = home / "apt.conf"
        self._config.write_text(
            f'Dir::Etc::sourcelist "{home}/sources.list"; Dir::Etc::sourceparts "{home}/parts";\n'
            f'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "{home}/parts";\n'
            f'Dir::State::lists "{home}/lists"; Dir::State::status "{home}/status"; Dir::Cache "{home}/cache";\n'
            'APT::Update::Post-Invoke-Success {""}; APT::Sandbox::User "root"; Acquire::Languages "none";\n'
            'Acquire::Retries "2"; Acquire::http::Timeout "20";\n'
        )

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """The output of an apt command. Raises: UnavailableError with apt's last words."""
        full = [command[0], "-q", "-c", str(self._config), *command[1:]]
        done = subprocess.run(full, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UnavailableError(f"`{' '.join(command)}` failed: {last}")
        return done.stdout

    def update(self) -> None:
        """Fetch the package lists. Where that fails, lists of an earlier run will do."""
        try:
            self.run("apt-get", "update")
        except UnavailableError:
            self.dependency(_META_PACKAGE)

    def dependency(self, meta: str) -> str:
        """The first linux-image package a package depends on. Raises: UnavailableError."""
        words = self.run("apt-cache", "depends", meta).split()
        found = [word for word in words if word.startswith("linux-image") and word != meta]
        if not found:
            raise UnavailableError(f"the mirror knows no {meta}")
        return found[0]

    def knows(self, package: str) -> bool:
        """Whether the suite has a package."""
        return package in self.run("apt-cache", "pkgnames", package).split()


def _sources(suite: str) -> str:
    """The suite on the mirrors this machine's apt is set up with. Raises: UnavailableError."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    known = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    mirrors = {
        kind: uri for uri in known for kind in ("debian", "debian-security") if uri.rstrip("/").endswith(f"/{kind}")
    }
    if "debian" not in mirrors:
        raise UnavailableError("apt has no Debian mirror among its sources")
    lines = [f"deb [signed-by={_KEYS}] {mirrors['debian']} {suite} main"]
    if "debian-security" in mirrors and suite != "sid":
        lines.append(f"deb [signed-by={_KEYS}] {mirrors['debian-security']} {suite}-security main")
    return "\n".join(lines) + "\n"


def _unpack(apt: _Apt, kernel: Kernel, package: str) -> None:
    """Into a directory beside the final one, moved when whole: a run that was cut short leaves nothing behind."""
    beside = kernel.tree.with_suffix(f".{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    # Newer suites keep the image and the modules in packages of their own.
    split = (f"linux-binary-{kernel.version}", f"linux-modules-{kernel.version}")
    _download(apt, (package, *filter(apt.knows, split)), beside)
    if not (beside / "lib/modules").is_dir():
        (beside / "lib").symlink_to("usr/lib")
    image = next((p for root in ("boot", "usr/lib/modules") for p in (beside / root).rglob("vmlinuz*")), None)
    if image is None:
        raise UnavailableError(f"{package} holds no kernel image")
    subprocess.run(["depmod", "-b", beside, kernel.version], check=True, stderr=subprocess.DEVNULL)
    shutil.copy(image, beside / "vmlinuz")
    shutil.rmtree(kernel.tree, ignore_errors=True)
    beside.rename(kernel.tree)


def _download(apt: _Apt, packages: Sequence[str], target: Path) -> None:
    """Unpack packages into a directory of their own; runs none of their scripts. Raises: UnavailableError."""
    target.mkdir(parents=True)
    apt.run("apt-get", "download", *packages, cwd=target)
    for archive in target.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
        archive.unlink()


def _forget_older(kernel: Kernel) -> None:
    trees = sorted(kernel.tree.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in [tree for tree in trees if tree != kernel.tree][_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
