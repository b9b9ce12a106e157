"""The demo's container image, made without a registry and without an image tool.

A root file system of busybox (every applet a hard link, as in the official busybox image, so that a
process shows the name it was started by), a shell, and the shop's scripts from `rootfs/`. The
archive follows the OCI image layout 1.0 and is byte for byte the same for the same input, so its digest is stable.
"""

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cli.demo.errors import DemoError

IMAGE = "docker.io/vedette/shop:1"
_DIRECTORIES = ("bin", "dev", "etc", "lib", "lib64", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var")
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/srv:/bin/false\n",
    "etc/group": "root:x:0:\nwww:x:33:\n",
    "etc/os-release": 'NAME="Vedette demo shop"\nID=vedette-demo\n',
}
_VENDOR = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# `sh` comes from dash: Debian's busybox shell runs applets as itself and would hide their names.
_NOT_APPLETS = frozenset({"busybox", "sh", "ash", "linuxrc", "init"})


class _Member(NamedTuple):
    name: str
    mode: int = 0o755
    data: bytes | None = None  # None: a directory, or a hard link where link_to is set
    link_to: str = ""


def write_archive(target: Path) -> str:
    """Write the image as an OCI archive for `ctr image import`; its manifest digest, "sha256:…".

    Raises: DemoError, naming the program that is missing.
    """
    blobs: dict[str, bytes] = {}
    manifest = _manifest(_layer(list(_members())), blobs)
    _write_tar(target, manifest, blobs)
    return str(manifest["digest"])


def static_busybox() -> Path:
    """The statically linked busybox of this machine. Raises: DemoError if there is none."""
    found = shutil.which("busybox")
    if found is None or "not a dynamic" not in _output(["ldd", found]):
        raise DemoError("no statically linked busybox on this machine: install the package busybox-static")
    return Path(found)


def _members() -> Iterator[_Member]:
    for name in (*_DIRECTORIES, "var/cache", "var/lib", "var/log", "var/run"):
        yield _Member(name, 0o1777 if name == "tmp" else 0o755)
    busybox = static_busybox()
    yield _Member("bin/busybox", 0o755, busybox.read_bytes())
    for applet in sorted(set(_output([str(busybox), "--list"]).split()) - _NOT_APPLETS):
        yield _Member(f"bin/{applet}", link_to="bin/busybox")
    yield from _shell()
    yield from (_Member(name, 0o644, text.encode()) for name, text in _ACCOUNTS.items())
    yield from _resources(files("cli.demo").joinpath("rootfs"), PurePosixPath())


def _shell() -> Iterator[_Member]:
    dash = shutil.which("dash")
    if dash is None:
        raise DemoError("no dash on this machine: install the package dash")
    yield _Member("bin/sh", 0o755, Path(dash).read_bytes())
    for word in _output(["ldd", dash]).split():
        if word.startswith("/"):
            yield from _parents(PurePosixPath(word[1:]))
            yield _Member(word[1:], 0o755, Path(word).read_bytes())


def _parents(path: PurePosixPath) -> Iterator[_Member]:
    for parent in reversed(path.parents):
        if str(parent) not in (".", *_DIRECTORIES):
            yield _Member(str(parent))


def _resources(directory: Traversable, at: PurePosixPath) -> Iterator[_Member]:
    for entry in sorted(directory.iterdir(), key=lambda e: e.name):
        name = at / entry.name
        if entry.is_dir():
            if str(name) not in _DIRECTORIES:
                yield _Member(str(name))
            yield from _resources(entry, name)
        else:
            data = entry.read_bytes()
            yield _Member(str(name), 0o755 if data.startswith(b"#!") else 0o644, data)


def _layer(members: list[_Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            _add(tar, member)
    return out.getvalue()


def _add(tar: tarfile.TarFile, member: _Member) -> None:
    info = tarfile.TarInfo(member.name)
    info.mode = member.mode
    if member.link_to:
        info.type, info.linkname = tarfile.LNKTYPE, member.link_to
    elif member.data is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(member.data)
    tar.addfile(info, io.BytesIO(member.data) if member.data else None)


def _manifest(layer: bytes, blobs: dict[str, bytes]) -> dict[str, Any]:
    """Fill `blobs` (hex digest → content); the descriptor of the image manifest."""
    platform_ = {"architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    config = {
        **platform_,
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "infinity"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_VENDOR}.manifest.v1+json",
        "config": _put(json.dumps(config).encode(), f"{_VENDOR}.config.v1+json", blobs),
        "layers": [_put(gzip.compress(layer, 1, mtime=0), f"{_VENDOR}.layer.v1.tar+gzip", blobs)],
    }
    descriptor = _put(json.dumps(manifest).encode(), f"{_VENDOR}.manifest.v1+json", blobs)
    names = {"io.containerd.image.name": IMAGE, "org.opencontainers.image.ref.name": IMAGE.rsplit(":", 1)[1]}
    return {**descriptor, "platform": platform_, "annotations": names}


def _put(data: bytes, media_type: str, blobs: dict[str, bytes]) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _write_tar(target: Path, manifest: dict[str, Any], blobs: dict[str, bytes]) -> None:
    entries = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
        **{f"blobs/sha256/{digest}": data for digest, data in blobs.items()},
    }
    with tarfile.open(target, "w") as tar:
        for name, data in entries.items():
            _add(tar, _Member(name, 0o644, data))


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise DemoError(f"{command[0]} is not on this machine: {e}") from e
    return done.stdout + done.stderr
