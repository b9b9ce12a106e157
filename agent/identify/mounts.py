"""Where what a container writes lands on the host: the upper directory of the overlay its root is.

Format: proc(5), /proc/PID/mountinfo; Documentation/filesystems/overlayfs.rst (upperdir=).
"""

import re

from agent.identify.files import text
from agent.identify.host import HERE, HostFiles

_LIMIT = 8 << 20
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_UPPER = re.compile(rb"(?:^|,)upperdir=((?:\\.|[^,\\])+)")


def upper_directory(proc: str, rootfs: str, files: HostFiles = HERE) -> str:
    """The upper directory of the overlay mounted at `rootfs` in the host's mount namespace; "" where there is none.

    The runtime mounts a container's root there before it moves into it, so the host's first process has it in its
    table too, whatever the container does with its own.
    """
    if not rootfs.startswith("/") or "/../" in f"{rootfs}/":
        return ""
    try:
        table = files.read(f"{proc}/1/mountinfo", _LIMIT)
    except OSError:
        return ""
    wanted = b" " + _escaped(rootfs) + b" "
    found = ""
    for line in table.split(b"\n"):
        if wanted in line and (upper := _upper(line, wanted)):
            found = upper  # the last one mounted is the one that is seen
    return found


def _upper(line: bytes, mount_point: bytes) -> str:
    fields, separator, rest = line.partition(b" - ")
    parts = fields.split(b" ")
    kind = rest.split(b" ")
    if not separator or len(parts) < 5 or len(kind) < 3 or kind[0] != b"overlay" or parts[4] != mount_point.strip():
        return ""
    match = _UPPER.search(kind[2])
    return text(_OCTAL.sub(_byte, match[1])) if match else ""


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])


def _escaped(path: str) -> bytes:
    """As the kernel writes it (seq_path escapes blanks, newlines and backslashes)."""
    raw = path.encode("utf-8", "surrogateescape")
    for plain, octal in ((b"\\", rb"\134"), (b" ", rb"\040"), (b"\t", rb"\011"), (b"\n", rb"\012")):
        raw = raw.replace(plain, octal)
    return raw
