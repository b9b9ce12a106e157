"""File trees made of Debian packages: hard links to what is installed here, the rest fetched with apt."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_INFO = Path("/var/lib/dpkg/info")
# Merged /usr: what a package calls /bin/x lies in /usr/bin.
_MERGED = ("bin", "sbin", "lib", "lib64")
_NAME = re.compile(r"^[a-z0-9][a-z0-9.+-]+")
# Needed to install a package, not to run it; or larger than all the rest and of no use here.
_NEVER = frozenset(
    {
        "adduser", "anacron", "cron-daemon", "debconf", "debconf-2.0", "dpkg", "init-system-helpers", "lsb-base",
        "perl", "postgresql-common", "ssl-cert", "systemd", "systemd-sysv", "ucf",
    }
)  # fmt: skip


class MissingPackagesError(Exception):
    """A package is neither installed here nor to be had."""


@cache
def _installed() -> dict[str, str]:
    """Package → its dependencies, as dpkg writes them, of all that are installed."""
    form = "${Package}|${db:Status-Status}|${Pre-Depends}, ${Depends}\\n"
    rows = (line.split("|", 2) for line in _output(["dpkg-query", "-W", "-f", form]).splitlines())
    return {name: depends for name, status, depends in rows if status == "installed"}


def closure(wanted: Iterable[str]) -> list[str]:
    """The packages and all that they need and that is installed here."""
    known, found, todo = _installed(), dict[str, None](), list(wanted)
    while todo:
        name = todo.pop()
        if name in found or name in _NEVER:
            continue
        if name in known:
            found[name] = None
            todo += _needs(known[name], known)
    return sorted(found)


def _needs(depends: str, known: dict[str, str]) -> Iterator[str]:
    for group in depends.split(","):
        names = [m[0] for part in group.split("|") if (m := _NAME.match(part.strip()))]
        yield from [name for name in names if name in known][:1]


def absent(wanted: Iterable[str]) -> list[str]:
    """Those that are not installed here."""
    return [name for name in wanted if name not in _installed()]


def fill(root: Path, wanted: Iterable[str], downloads: Path) -> None:
    """Make `root` a file system with these packages. Raises: MissingPackagesError."""
    wanted = list(wanted)
    _skeleton(root)
    fetched = [_fetch(name, downloads) for name in absent(wanted)]
    for archive in fetched:
        _unpack(archive, root)
    needed = [name for archive in fetched for name in _needs(_depends(archive), _installed())]
    for name in closure([*wanted, *needed]):
        for path in _files(name):
            _link(path, root)
    for path in ("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/alternatives", "/usr/bin/awk", "/usr/bin/cc"):
        _link(path, root)


def _skeleton(root: Path) -> None:
    for name in ("dev", "proc", "sys", "run", "root", "srv", "home", "etc", "var/tmp", "var/log", "var/cache", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "var/run").symlink_to("/run")
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")


def _files(name: str) -> Iterator[str]:
    lists = [p for p in (_INFO / f"{name}.list", *_INFO.glob(f"{name}:*.list")) if p.exists()]
    for path in lists[0].read_text().splitlines() if lists else ():
        if path.startswith(("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/")):
            continue
        yield path
        if path.endswith(".py"):
            folder, _, file = path.rpartition("/")
            yield from (str(p) for p in Path(folder, "__pycache__").glob(f"{file[:-3]}.cpython-*.pyc"))


def _link(path: str, root: Path) -> None:
    """The same file in the tree; a directory is made, a link is a link to the same name."""
    source, target = Path(path), _place(path, root)
    if not source.is_symlink() and source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        if path == "/etc/alternatives":
            for entry in source.iterdir():
                _link(str(entry), root)
    elif (source.is_symlink() or source.exists()) and not (target.is_symlink() or target.exists()):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source) if not source.is_symlink() else target.symlink_to(source.readlink())
        except OSError:  # another file system
            shutil.copy2(source, target, follow_symlinks=False)


def _place(path: str, root: Path) -> Path:
    parts = path.strip("/").split("/")
    return root.joinpath("usr", *parts) if parts[0] in _MERGED and len(parts) > 1 else root.joinpath(*parts)


def _fetch(name: str, downloads: Path) -> Path:
    downloads.mkdir(parents=True, exist_ok=True)
    if not any(downloads.glob(f"{name}_*.deb")):
        done = subprocess.run(
            ["apt-get", "-qq", "download", name], cwd=downloads, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise MissingPackagesError(
                f"{name}: not installed, and apt-get download says: {done.stderr.strip()[-300:]}"
            )
    return next(downloads.glob(f"{name}_*.deb"))


def _unpack(archive: Path, root: Path) -> None:
    """Through a directory of its own: `dpkg-deb -x` would put a directory where the tree has a link."""
    staged = root.with_name(root.name + ".deb")
    shutil.rmtree(staged, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", str(archive), str(staged)], check=True)
    for path in sorted(staged.rglob("*")):
        target = _place("/" + str(path.relative_to(staged)), root)
        if path.is_symlink() or path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.move(path, target)
        else:
            target.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(staged)


def _depends(archive: Path) -> str:
    return _output(["dpkg-deb", "-f", str(archive), "Depends"]).strip()


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
