"""Detections as data: Sigma YAML below `runtime/` and `audit/`, compiled into `runtime.json` and `audit.json`."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

KINDS = ("runtime", "audit")


def compiled(kind: str) -> bytes:
    """The compiled rules of a kind; `detection.rules.load_compiled` reads them."""
    return files(__name__).joinpath(f"{kind}.json").read_bytes()


def runtime_rules() -> bytes:
    """The compiled rules over runtime events."""
    return compiled("runtime")


def audit_rules() -> bytes:
    """The compiled rules over control-plane audit logs."""
    return compiled("audit")


def sources(kind: str) -> tuple[tuple[str, str], ...]:
    """(path below this package, YAML text) of every rule of a kind, in order of path."""
    return tuple(sorted(_walk(files(__name__).joinpath(kind), kind)))


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        below = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, below)
        elif entry.name.endswith((".yml", ".yaml")):
            yield below, entry.read_text(encoding="utf-8")
