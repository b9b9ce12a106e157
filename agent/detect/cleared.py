"""Execs that met every rule and broke none: the same exec again need not meet them all again.

Services, builds and health checks run the same few programs over and over, from the same parents. What the rules say
of an exec follows from its `key`, so it is remembered, for as long as nothing in the key changes.
"""

from collections.abc import Iterable
from typing import Any

from agent.detect.field import PROCESS
from agent.events import Exec
from agent.workload import Identified
from detection.rules.ir import And, Condition, Named, Not, Or, Rule, Test, fields_of

# Fields of an exec that differ each time, so that no key holds them. A rule that reads one ends the remembering.
UNIQUE_FIELDS = frozenset({"ProcessId", "process.exec_id"})
_ROOM = 2048
_ARGV_BYTES = 2048  # longer ones rarely repeat and would make the memory heavy


class Cleared:
    """The execs some rule set has nothing to say about. Forgets all of them when it is full. Not thread-safe."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._usable = not any(_reads_unique(rule.condition) for rule in rules if rule.key == PROCESS)
        self._known: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def key(self, identified: Identified, event: Exec) -> tuple[Any, ...] | None:
        """All of an exec that a rule can read; None for one that is not to be remembered.

        Ancestors and container are immutable values, each told by its identity: `add` keeps them alive, so no other
        can take their place.
        """
        if not self._usable or event.argv_total > _ARGV_BYTES:
            return None
        process, entry_id = identified.process, identified.process.entry_id
        return (
            process.path,
            process.argv,
            process.cwd,
            event.filename,
            process.exe_flags,
            process.uid,
            event.cap_effective,
            event.cap_permitted,
            process.tty != 0,
            entry_id != "" and (entry_id == process.exec_id) + 1,
            identified.workload.key,
            id(identified.container),
            *map(id, identified.ancestors),
        )

    def __contains__(self, key: tuple[Any, ...]) -> bool:
        return key in self._known

    def add(self, key: tuple[Any, ...], identified: Identified) -> None:
        """No rule held for this exec."""
        if len(self._known) >= _ROOM:
            self._known.clear()
        self._known[key] = (identified.container, identified.ancestors)


def _reads_unique(condition: Condition) -> bool:
    return _has_keyword(condition) or not UNIQUE_FIELDS.isdisjoint(fields_of(condition))


def _has_keyword(condition: Condition) -> bool:
    """Whether some test searches all fields at once, so unique ones too."""
    match condition:
        case Test(field=field):
            return not field
        case Not(part=part) | Named(part=part):
            return _has_keyword(part)
        case And(parts=parts) | Or(parts=parts):
            return any(_has_keyword(part) for part in parts)
