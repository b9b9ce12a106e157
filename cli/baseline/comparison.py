"""Two baselines held against each other. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

Members = Mapping[str, frozenset[str]]
_ALIKE = 0.75  # of a name's characters: then it is the same behaviour, changed
_MOST_PAIRED = 300  # of each side: pairing costs their product
_ARROW = " → "


@dataclass(frozen=True, slots=True)
class View:
    """One side: a baseline file, or a profile and what was decided about it. A file has no `waiting`, no `states`."""

    name: str
    workload: str
    lock: bool
    known: Members
    condemned: Members
    waiting: Members
    states: Mapping[str, str]


class Difference(NamedTuple):
    """One difference. `kind` is added, gone or changed; `behaviour` the class as text, "" for the whole."""

    kind: str
    behaviour: str
    text: str


def differences(old: View, new: View) -> list[Difference]:
    """All differences, in order of class, kind and name."""
    found = []
    if old.workload != new.workload:
        found.append(Difference("changed", "", f"these are two workloads: {old.workload}, {new.workload}"))
    if old.lock != new.lock:
        found.append(Difference("changed", "", "now locked" if new.lock else "no longer locked"))
    names = {*old.known, *new.known, *old.condemned, *new.condemned, *old.waiting, *new.waiting, *new.states}
    for name in sorted(names):
        found += sorted(_of_class(name, old, new))
    return found


def _of_class(name: str, old: View, new: View) -> Iterator[Difference]:
    nothing: frozenset[str] = frozenset()
    before, after = old.known.get(name, nothing), new.known.get(name, nothing)
    was, now = _standing(name, old), _standing(name, new)
    moved = {m for m in was.keys() & now.keys() if was[m] != now[m]}
    for member in sorted(moved):
        yield Difference("changed", name, f"{member}: was {was[member]}, is {now[member]}")
    gone, added = set(before) - now.keys(), set(after) - was.keys()
    for one, other in _pairs(gone, added):
        gone.discard(one)
        added.discard(other)
        yield Difference("changed", name, f"{one}  is now  {other}")
    yield from (Difference("gone", name, member) for member in sorted(gone))
    yield from (Difference("added", name, member) for member in sorted(added))
    for member in sorted(now.keys() - was.keys() - after):
        yield Difference("added", name, f"{member} ({now[member]})")
    for member in sorted(was.keys() - now.keys() - before):
        yield Difference("gone", name, f"{member} (was {was[member]})")
    states = old.states.get(name, ""), new.states.get(name, "")
    if all(states) and states[0] != states[1]:
        yield Difference("changed", name, f"was {states[0]}, is {states[1]}")


def _standing(name: str, view: View) -> dict[str, str]:
    """Every member of a class with what is thought of it."""
    nothing: frozenset[str] = frozenset()
    return {
        **dict.fromkeys(view.waiting.get(name, nothing), "waiting for others or a person"),
        **dict.fromkeys(view.known.get(name, nothing), "normal"),
        **dict.fromkeys(view.condemned.get(name, nothing), "condemned"),
    }


def _pairs(gone: set[str], added: set[str]) -> list[tuple[str, str]]:
    """Members of one program so alike that one became the other: other arguments, another directory."""
    if not gone or not added or len(gone) > _MOST_PAIRED or len(added) > _MOST_PAIRED:
        return []
    pairs = []
    free = set(added)
    for one in sorted(gone):
        actor, _, rest = one.partition(_ARROW)
        alike = [
            (_likeness(rest, other.partition(_ARROW)[2]), other) for other in free if other.startswith(actor + _ARROW)
        ]
        if alike and max(alike)[0] >= _ALIKE:
            free.discard(max(alike)[1])
            pairs.append((one, max(alike)[1]))
    return pairs


def _likeness(one: str, other: str) -> float:
    """0..1. Two that begin with different words are not alike, however long they are: other program, other host."""
    first, second = (text.split(" ", maxsplit=1)[0] for text in (one, other))
    if "/" in first and first.rpartition("/")[0] != second.rpartition("/")[0]:
        return 0.0
    return SequenceMatcher(None, one[:512], other[:512], autojunk=False).ratio()
