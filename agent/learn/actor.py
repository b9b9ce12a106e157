"""Who did it, as profiles name it."""

from collections.abc import Callable
from typing import NamedTuple

from agent.workload import Identified, Process
from detection.baseline.priors import OUTSIDE, Touch
from detection.baseline.templates import program

RUNTIME = "runtime"  # parent marker of a container's first process: whatever the runtime is called


_UNKNOWN = "(unknown program)"  # its start was not seen

Touches = tuple[Touch, ...]


class Behaviour(NamedTuple):
    """One behaviour as a profile sees it: its class, its member. `sentence` says that it never happened before.

    What it touches is asked only of what is new: `weigh` finds it out.
    """

    kind: str
    member: str
    sentence: str
    weigh: Callable[[], Touches] | None = None

    @property
    def touches(self) -> Touches:
        """What it touches, with prior weights."""
        return () if self.weigh is None else self.weigh()


def actor_of(process: Process) -> str:
    """The program, marked when its tree entered from outside: hands-on work never mixes with the workload's own."""
    name = program(process.path, process.argv[0] if process.argv else "") or _UNKNOWN
    return f"{OUTSIDE}:{name}" if process.entry_id else name


def parent_marker(identified: Identified) -> str:
    """OUTSIDE or RUNTIME where the parent is not part of the workload, else ""."""
    process = identified.process
    if process.entry_id and process.entry_id == process.exec_id:
        return OUTSIDE
    if not identified.ancestors or identified.ancestors[0].container_id != process.container_id:
        return RUNTIME
    return ""
