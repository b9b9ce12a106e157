"""The sensor's C sources as one text for BCC: `flatten_bpf.py bpf/vedette.bpf.c > vedette.bcc.c`.

BCC has its own idea of maps and sections, so four things change on the way, none of them inside a function: what
stands under `#ifndef VEDETTE_WITHOUT_BTF` goes;
`compat.h` (types fitted by CO-RE) gives way to `bcc/compat.h` (the kernel's own headers); map definitions go, and
`&map` becomes VEDETTE_MAP(map); programs lose their section and become functions. Everything else stays as
written, with #line, so that compile errors name the file a person can edit.
"""

import re
import sys
from pathlib import Path

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<(bpf/[^>]+)>)[^\n]*$', re.MULTILINE)
_MAP = re.compile(r'^struct \{(?:[^{}]|\{[^{}]*\})*\} (\w+) SEC\("\.maps"\);', re.MULTILINE)
_PROGRAM = re.compile(r'^SEC\("[^"]+"\)\s+(?=int\b)', re.MULTILINE)
_LICENSE = re.compile(r'^char \w+\[\] SEC\("license"\)[^;]*;', re.MULTILINE)
# What BCC could not attach is left out whole: a header first seen in there must be taken where it is next included.
_WITHOUT_BTF = re.compile(r"^#ifndef VEDETTE_WITHOUT_BTF\b.*?^#endif[^\n]*$", re.MULTILINE | re.DOTALL)
_REPLACED = ("compat.h", "kernel.h")


def flatten(source: Path) -> str:
    """The text of a translation unit. Every file is taken once, as include guards would."""
    text = _expand(source, source.parent / "bcc", set())
    names = [match[1] for match in _MAP.finditer(text)]
    text = _MAP.sub(lambda match: "\n" * match[0].count("\n"), text)
    text = _LICENSE.sub("", text)
    text = _PROGRAM.sub(lambda match: "static __always_inline" + "\n" * match[0].count("\n") + " ", text)
    for name in names:
        text = re.sub(rf"(?<![&\w)])&{name}\b(?!\s*(?:->|\.|\[|\())", f"VEDETTE_MAP({name})", text)
    return text


def _expand(path: Path, replacements: Path, done: set[Path]) -> str:
    """One file with its quoted includes in place. libbpf's headers are taken in bcc/compat.h alone."""
    done.add(path.resolve())

    source = _WITHOUT_BTF.sub(lambda match: "\n" * match[0].count("\n"), path.read_text())

    def included(match: re.Match[str]) -> str:
        line = source.count("\n", 0, match.start()) + 2
        found = _find(path, match[1], match[2], replacements)
        body = "" if found is None or found.resolve() in done else _expand(found, replacements, done)
        return f'{body}#line {line} "{_shown(path)}"' if body else ""

    text = _INCLUDE.sub(included, source)
    return f'#line 1 "{_shown(path)}"\n{text}\n'


def _find(path: Path, local: str | None, libbpf: str | None, replacements: Path) -> Path | None:
    if libbpf:
        return Path("/usr/include", libbpf) if path.parent == replacements else None
    assert local is not None
    if Path(local).name in _REPLACED:
        return replacements / "compat.h"
    return path.parent / local


def _shown(path: Path) -> str:
    """A name without the machine it was built on."""
    parts = path.resolve().parts
    return "/".join(parts[parts.index("bpf") :]) if "bpf" in parts else path.name


if __name__ == "__main__":
    sys.stdout.write(flatten(Path(sys.argv[1])))
