"""Whether the kernel headers on this machine are those of the running kernel, to the letter."""

import platform
import re
from pathlib import Path

from agent.errors import SourceError

_MODULES = Path("/lib/modules")
_RELEASE = re.compile(r'^#define\s+UTS_RELEASE\s+"([^"]*)"', re.MULTILINE)


def check_headers(release: str | None = None, modules: Path = _MODULES) -> Path:
    """The directory of the running kernel's headers (`release` None: this one's).

    Headers of any other release compile, too, but put every member of a structure elsewhere: the sensor would
    then read zeros and nobody would be told. Raises: SourceError, saying what to install.
    """
    release = platform.release() if release is None else release
    build = modules / release / "build"
    try:
        text = (build / "include/generated/utsrelease.h").read_text()
    except (OSError, UnicodeDecodeError):
        raise SourceError(
            f"no kernel headers at {build}: install those of this very kernel "
            f"(Debian: linux-headers-{release}; Red Hat: kernel-devel-{release})"
        ) from None
    match = _RELEASE.search(text)
    found = match[1] if match else "an unknown kernel"
    if found != release:
        raise SourceError(
            f"the kernel headers at {build} are of {found}, this kernel is {release}: "
            f"every field would be read from the wrong place; install linux-headers-{release}"
        )
    return build
