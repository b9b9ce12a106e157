"""A small C project to compile: files that include much and compute little, as most do. Always the same."""

import random
from pathlib import Path

_UNITS, _HEADERS, _DECLARATIONS, _FUNCTIONS = 24, 12, 20, 14
_SYSTEM = (
    "stdio", "stdlib", "string", "stdint", "errno", "unistd", "fcntl", "sys/types", "sys/stat", "sys/socket",
    "netinet/in", "signal", "pthread", "time", "math", "ctype", "dirent", "poll",
)  # fmt: skip
_SCRIPT = """#!/bin/sh
# build.sh PASSES JOBS: compile every unit, make a library of them, PASSES times.
cd "$(dirname "$0")" || exit 1
out=$(mktemp -d)
pass=0
while [ "$pass" -lt "$1" ]; do
  ls unit*.c | xargs -P "$2" -I{} gcc -O1 -c {} -o "$out/{}.o" || exit 1
  ar rcs "$out/library.a" "$out"/*.o || exit 1
  rm -f "$out"/*
  pass=$((pass + 1))
done
rmdir "$out"
"""


def write_project(directory: Path) -> None:
    """Write it; nothing changes when it is there."""
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)
    for number in range(_HEADERS):
        _write(directory / f"module{number}.h", _header(number))
    for number in range(_UNITS):
        _write(directory / f"unit{number:02}.c", _unit(number, chance))
    script = directory / "build.sh"
    _write(script, _SCRIPT)
    script.chmod(0o755)


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _header(number: int) -> str:
    lines = [f"#ifndef MODULE{number}_H", f"#define MODULE{number}_H"]
    for i in range(_DECLARATIONS):
        lines.append(f"struct part{number}_{i} {{ int values[{i + 1}]; char *name; struct part{number}_{i} *next; }};")
        lines.append(f"int work{number}_{i}(int, int);")
    return "\n".join([*lines, "#endif", ""])


def _unit(number: int, chance: random.Random) -> str:
    lines = [f"#include <{name}.h>" for name in _SYSTEM]
    lines += [f'#include "module{i}.h"' for i in range(_HEADERS)]
    for i in range(_FUNCTIONS):
        mask, limit = chance.randrange(1000), chance.randrange(1000, 10_000)
        lines.append(
            f"int unit{number}_{i}(int x, int y) {{ int sum = 0; for (int j = 0; j < x; j++) {{"
            f" sum += j * y ^ {mask}; if (sum > {limit}) sum -= x * {i + 1};"
            " switch (sum & 7) { case 0: sum += 1; break; case 1: sum ^= 3; break; case 5: sum -= y; break;"
            " default: sum += 2; } } return sum; }"
        )
    return "\n".join([*lines, ""])
