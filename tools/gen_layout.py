"""Print agent/decode/layout.py for a contract header: gen_layout.py bpf/include/events.h.

clang compiles the header with BTF, bpftool prints the BTF as JSON, and this turns its structs and
enums into `struct` formats, sizes, offsets and constants. Same header, same output.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_INTEGERS = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q", (4, True): "i", (8, True): "q"}
_WRAPPERS = ("TYPEDEF", "CONST", "VOLATILE")
Btf = dict[int, dict[str, Any]]


def _tool(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin") or name


def load_btf(header: Path, names: list[tuple[str, str]]) -> Btf:
    """Type id → type of everything in the header. Raises: CalledProcessError."""
    variables = "".join(f"{kind} {name} v_{name};\n" for kind, name in names)
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "layout.c"), Path(directory, "layout.o")
        source.write_text(f'#include <linux/types.h>\n#include "{header.resolve()}"\n{variables}')
        include = f"-I/usr/include/{platform.machine()}-linux-gnu"
        subprocess.run(["clang", "-g", "-O0", "-target", "bpf", include, "-c", source, "-o", target], check=True)
        dump = subprocess.run([_tool("bpftool"), "-j", "btf", "dump", "file", target], check=True, capture_output=True)
    return {entry["id"]: entry for entry in json.loads(dump.stdout)["types"]}


def _resolve(btf: Btf, type_id: int) -> dict[str, Any]:
    entry = btf[type_id]
    while entry["kind"] in _WRAPPERS:
        entry = btf[entry["type_id"]]
    return entry


def flatten(btf: Btf, type_id: int, name: str, base: int) -> list[tuple[str, int, str, int]]:
    """(field, offset, format, size) of a type and everything in it, in order. Raises: ValueError."""
    entry = _resolve(btf, type_id)
    if entry["kind"] == "STRUCT":
        rows = []
        for member in entry["members"]:
            inner = f"{name}.{member['name']}" if name else str(member["name"])
            rows += flatten(btf, member["type_id"], inner, base + member["bits_offset"] // 8)
        return rows
    if entry["kind"] == "ARRAY":
        element = _resolve(btf, entry["type_id"])
        size = element["size"] * entry["nr_elems"]
        if element["size"] == 8:
            return _elements(btf, entry, name, base)
        return [(name, base, f"{size}s", size)]
    if entry["kind"] == "INT":
        signed = "SIGNED" in str(entry.get("encoding", ""))
        return [(name, base, _INTEGERS[entry["size"], signed], entry["size"])]
    raise ValueError(f"{name}: {entry['kind']} is not allowed in the contract")


def _elements(btf: Btf, entry: dict[str, Any], name: str, base: int) -> list[tuple[str, int, str, int]]:
    """An array of 64-bit numbers is a field for each; shorter ones (padding, addresses) stay whole."""
    step = _resolve(btf, entry["type_id"])["size"]
    rows = []
    for index in range(entry["nr_elems"]):
        rows += flatten(btf, entry["type_id"], f"{name}.{index}", base + index * step)
    return rows


def struct_lines(btf: Btf, entry: dict[str, Any]) -> list[str]:
    """The lines of one struct. Raises: ValueError where the compiler would put hidden padding."""
    rows, at = flatten(btf, entry["id"], "", 0), 0
    for field, offset, _, size in rows:
        if offset != at:
            raise ValueError(f"{entry['name']}: {at} to {offset}, before {field}, is padding without a name")
        at += size
    if at != entry["size"]:
        raise ValueError(f"{entry['name']}: {at} to {entry['size']}, at the end, is padding without a name")
    upper = entry["name"].upper()
    fields = "".join(f'    "{field}": {offset},\n' for field, offset, _, _ in rows)
    return [
        f'{upper}_FORMAT = "={"".join(code for _, _, code, _ in rows)}"',
        f"{upper}_SIZE = {entry['size']}",
        f"{upper}_OFFSETS = {{\n{fields}}}",
        "",
    ]


def enum_lines(entry: dict[str, Any]) -> list[str]:
    """One constant for each value of an enum."""
    return [f"# enum {entry['name']}", *(f"{value['name']} = {value['val']}" for value in entry["values"]), ""]


def render(header: Path) -> str:
    """The text of the module."""
    names = re.findall(r"^(struct|enum) (ev_\w+) \{", header.read_text(), re.MULTILINE)
    btf = load_btf(header, names)
    by_name = {entry["name"]: entry for entry in btf.values() if entry["kind"] in ("STRUCT", "ENUM")}
    version = (header.parents[1] / "ABI_VERSION").read_text().strip()
    lines = [
        f'"""Generated from bpf/include/{header.name} by tools/gen_layout.py; `make gen` renews it."""',
        "",
        f"ABI_VERSION = {version}",
        "",
    ]
    for kind, name in names:
        lines += struct_lines(btf, by_name[name]) if kind == "struct" else enum_lines(by_name[name])
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: gen_layout.py bpf/include/events.h")
    sys.stdout.write(render(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
