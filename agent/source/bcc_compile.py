"""Compile the sensor's flattened sources with BCC: run as a program by the system's own Python.

Apart from the agent's process for three reasons: the system's `bcc` belongs to the system's interpreter and to no
virtual environment; the compiler in it takes 150 MB that an agent should not keep; and BCC ends its process where a
compiler meets a fault of its own. Reads {"text", "flags", "programs"} as JSON, writes {"programs": {name: hex}}.
Needs nothing but the standard library and `bcc`.
"""

import json
import os
import sys
from typing import Any

_SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


def import_bcc() -> Any:
    """The system's `bcc`, and no other: PyPI has an unrelated package of that name. Raises: ImportError."""
    if _SYSTEM_PACKAGES not in sys.path:
        sys.path.insert(0, _SYSTEM_PACKAGES)
    import bcc  # noqa: PLC0415

    if not hasattr(bcc, "BPF"):
        raise ImportError(f"{bcc.__file__} is another package of that name")
    return bcc


def compile_programs(text: str, flags: list[str], programs: list[str]) -> dict[str, str]:
    """Name → bytecode in hex. Raises: Exception, whatever BCC raises; the compiler's words are on standard error."""
    module = import_bcc().BPF(text=text.encode(), cflags=flags)
    return {name: module.dump_func(name.encode()).hex() for name in programs}


def main() -> int:
    """0, or 1 with the reason on standard error."""
    request = json.load(sys.stdin)
    answer = os.dup(1)
    os.dup2(2, 1)  # BCC and its compiler say things on standard output
    try:
        compiled = compile_programs(request["text"], request["flags"], request["programs"])
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent's process tells it
        sys.stderr.write(f"{error}\n")
        return 1
    with os.fdopen(answer, "w") as stream:
        json.dump({"programs": compiled}, stream)
    return 0


if __name__ == "__main__":
    sys.exit(main())
