"""From an identified event to the behaviours it shows: class, member, and what each touches."""

from collections.abc import Mapping
from functools import partial

from agent.events import Call, Chmod, Connection, Event, Exec, FileFlag, Open, PathChange, Socket
from agent.learn.actor import Behaviour, Touches, actor_of, parent_marker
from agent.learn.calls import called, mounted, started_with
from agent.learn.files import mode_changed, opened, path_changed
from agent.learn.network import connected, is_socket_behaviour, socket_used
from agent.workload import Identified
from detection.baseline.priors import Touch, program_touches
from detection.baseline.templates import exec_member, program

EXEC = "exec"
_SHOWN_BY = (Open, Exec, Connection, Call, PathChange, Chmod)


def is_behaviour(event: Event) -> bool:
    """Whether the event shows a behaviour that profiles hold."""
    return isinstance(event, _SHOWN_BY) or (isinstance(event, Socket) and is_socket_behaviour(event))


def behaviours_of(identified: Identified, homes: Mapping[str, str] | None = None) -> tuple[Behaviour, ...]:
    """The behaviours an event shows, none for events that profiles do not hold. Costs tens of microseconds.

    `homes`: address as text → key of the workload that has it.
    """
    event = identified.event
    found: Behaviour | None = None
    if isinstance(event, Exec):
        held = started_with(identified, event)
        return (_exec(identified, event), held) if held else (_exec(identified, event),)
    if isinstance(event, Open):
        found = opened(identified, event)
    elif isinstance(event, Connection):
        found = connected(identified, event, homes or {})
    elif isinstance(event, Socket):
        found = socket_used(identified, event) if is_socket_behaviour(event) else None
    elif isinstance(event, Call):
        found = called(identified, event)
    elif isinstance(event, PathChange):
        found = mounted(identified, event) or path_changed(identified, event)
    elif isinstance(event, Chmod):
        found = mode_changed(identified, event)
    return (found,) if found else ()


def _exec(identified: Identified, event: Exec) -> Behaviour:
    marker = parent_marker(identified)
    parent = marker or actor_of(identified.ancestors[0])
    name = program(event.path, event.argv[0] if event.argv else "")
    later = bool(event.exe_flags & FileFlag.UPPER_LAYER) and identified.container is not None
    weigh = partial(_exec_touches, name, later, bool(identified.process.entry_id))
    member = exec_member(parent, name, event.argv)
    return Behaviour(EXEC, member, f"{name} was never started like this by {parent}", weigh)


def _exec_touches(name: str, later: bool, entered: bool) -> Touches:
    touches = program_touches(name)
    if later:
        touches += (Touch(1.0, f"{name} was written in the container; it is not part of its image"),)
    if entered:
        touches += (Touch(0.5, "its process tree entered the container from outside"),)
    return touches
