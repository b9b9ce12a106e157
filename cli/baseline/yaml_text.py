"""Baseline files as YAML: fixed order, one member a line, nothing that changes by itself: diffs in git read well."""

from collections.abc import Iterable, Mapping, Sequence

from cli.baseline.text import quoted
from detection.baseline.decision import Decisions
from detection.baseline.keys import CLASSES, ClassKey, Phase

_PHASES = list(Phase)

Remarks = Mapping[str, Sequence[tuple[str, str]]]  # class → (member, why it is not in the list)


def yaml_of(decided: Decisions, remarks: Remarks | None = None, heading: Iterable[str] = ()) -> str:
    """The file `agent.baseline_files.read_baseline` reads. `remarks` stand below their class as comments.

    Members that no file can express are left out, with a comment that says so.
    """
    lines = [f"# {line}" for line in heading]
    lines.append(f"workload: {quoted(decided.workload)}")
    if decided.version:
        lines.append(f"version: {quoted(decided.version)}")
    if decided.lock:
        lines.append("lock: true")
    told = remarks or {}
    if decided.accepted or told:
        lines.append("accepted:")
        for name in _ordered({*decided.accepted, *told}):
            lines += _class(name, decided.accepted.get(name), told.get(name, ()))
    if decided.condemned:
        lines.append("condemned:")
        for name in _ordered(decided.condemned):
            lines += _class(name, decided.condemned[name], ())
    return "\n".join(lines) + "\n"


def _class(name: str, members: frozenset[str] | None, remarks: Sequence[tuple[str, str]]) -> list[str]:
    entries, problems = _entries(sorted(members or ()))
    asides = [f"    # - {text}  # {why}" for member, why in remarks for text in _entries([member])[0]]
    if members is None:
        return [f"  # {name}:", *asides]
    head = f"  {name}:" if entries else f"  {name}: []"
    return [head, *(f"    - {entry}" for entry in entries), *asides, *problems]


def _entries(members: Iterable[str]) -> tuple[list[str], list[str]]:
    entries, problems = [], []
    for member in members:
        try:
            entries.append(quoted(member))
        except ValueError as error:
            problems.append(f"    # left out: a member that {error}")
    return entries, problems


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=order_of)


def order_of(name: str) -> tuple[int, int]:
    """Where a class stands: as in CLASSES, startup before steady before shutdown."""
    key = ClassKey.parse(name)
    return CLASSES.index(key.behaviour), _PHASES.index(key.phase)
