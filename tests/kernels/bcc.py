"""What the bcc sensor needs in the emulated machine: the kernel's headers where an installed package has them.

Its programs are compiled there, by the machine's own BCC, against headers of exactly that kernel: nothing is taken from
this machine's kernel. The first start compiles, the second takes what was kept.
"""

import platform
import subprocess
import sys
import time
from pathlib import Path

from agent.source.bcc_source import BccSource

_CONFORMANCE = "tests/bpf/test_conformance.py"
_TAIL = 1500


def install_headers(tree: Path) -> None:
    """Link unpacked packages (fetch.fetch_headers) to where they belong."""
    for headers in (tree / "usr/src").glob("linux-headers-*"):
        _link(headers, Path("/usr/src") / headers.name)
    _link(tree / "lib/modules" / platform.release(), Path("/lib/modules") / platform.release())


def _link(target: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def start_times() -> dict[str, float]:
    """Seconds from start to watching: when compiled, and when taken from the cache."""
    found = {}
    for name in ("compiled", "kept"):
        begun, source = time.monotonic(), BccSource()
        source.start()
        found[name] = round(time.monotonic() - begun, 1)
        source.stop()
    return found


def conformance() -> dict[str, str]:
    """The suite that runs over every sensor, as one check."""
    options = ("-q", "-p", "no:cacheprovider", "-W", "default", "-rs", "--tb=short")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", _CONFORMANCE, *options], capture_output=True, text=True, check=False
    )
    print(done.stdout)
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    if done.returncode or skipped:
        return {"name": "conformance", "failure": "\n".join([*skipped, done.stdout[-_TAIL:], done.stderr[-_TAIL:]])}
    return {"name": "conformance", "failure": ""}
