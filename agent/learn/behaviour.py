"""From an identified event to the behaviour it shows: class, member, and what it touches."""

from typing import NamedTuple

from agent.events import Connection, Event, EventType, Exec, FileFlag, Open, Socket, SocketOp
from agent.workload import Identified, Process
from detection.baseline.priors import OUTSIDE, Touch, path_touches, peer_touches, program_touches
from detection.baseline.templates import egress_member, exec_member, path_template, program, write_member

EXEC, WRITE, EGRESS = "exec", "write", "egress"
RUNTIME = "runtime"  # parent marker of a container's first process: whatever the runtime is called
_WRITES = FileFlag.WRITE | FileFlag.CREATED
_TALKS = (SocketOp.CONNECT, SocketOp.SEND)
_UDP = 17
_EPHEMERAL_PORT = 32768  # bpf/include/sockets.h: from here on the kernel takes all UDP ports for one


class Behaviour(NamedTuple):
    """One behaviour as a profile sees it. `sentence` says that it never happened before."""

    kind: str
    member: str
    sentence: str
    touches: tuple[Touch, ...]


def is_behaviour(event: Event) -> bool:
    """Whether the event shows a behaviour that profiles hold."""
    if isinstance(event, Open):
        return bool(event.file_flags & _WRITES)
    return isinstance(event, Exec) or _is_egress(event)


def _is_egress(event: Event) -> bool:
    """A TCP connection attempted, or a UDP peer connected or sent to."""
    if isinstance(event, Socket):
        return event.op in _TALKS and event.protocol == _UDP and event.peer is not None
    return isinstance(event, Connection) and event.head.type == EventType.CONNECT


def behaviour_of(identified: Identified) -> Behaviour | None:
    """The behaviour an event shows, or None for events that profiles do not hold. Costs tens of microseconds."""
    event = identified.event
    if isinstance(event, Exec):
        return _exec(identified, event)
    if isinstance(event, Open):
        return _write(identified, event) if event.file_flags & _WRITES else None
    if isinstance(event, Connection | Socket) and _is_egress(event):
        return _egress(identified, event)
    return None


def parent_marker(identified: Identified) -> str:
    """OUTSIDE or RUNTIME where the parent is not part of the workload, else ""."""
    process = identified.process
    if process.entry_id and process.entry_id == process.exec_id:
        return OUTSIDE
    if not identified.ancestors or identified.ancestors[0].container_id != process.container_id:
        return RUNTIME
    return ""


def _actor(process: Process) -> str:
    """The program, marked when its tree entered from outside: hands-on work never mixes with the workload's own."""
    name = program(process.path, process.argv[0] if process.argv else "")
    return f"{OUTSIDE}:{name}" if process.entry_id else name


def _exec(identified: Identified, event: Exec) -> Behaviour:
    marker = parent_marker(identified)
    parent = marker or _actor(identified.ancestors[0])
    name = program(event.path, event.argv[0] if event.argv else "")
    touches = program_touches(name)
    if event.exe_flags & FileFlag.UPPER_LAYER and identified.container is not None:
        touches += (Touch(1.0, f"{name} was written in the container; it is not part of its image"),)
    if identified.process.entry_id:
        touches += (Touch(0.5, "its process tree entered the container from outside"),)
    member = exec_member(parent, name, event.argv)
    return Behaviour(EXEC, member, f"{name} was never started like this by {parent}", touches)


def _write(identified: Identified, event: Open) -> Behaviour:
    actor = _actor(identified.process)
    path = path_template(event.path)
    return Behaviour(WRITE, write_member(actor, event.path), f"{path} was never written by {actor}", path_touches(path))


def _egress(identified: Identified, event: Connection | Socket) -> Behaviour:
    assert event.peer is not None
    actor, port = _actor(identified.process), event.peer_port
    if event.protocol == _UDP and port >= _EPHEMERAL_PORT:
        port = 0
    member = egress_member(actor, event.protocol, event.peer, port, identified.peer_name)
    target = member.rpartition(" → ")[2]
    touches = peer_touches(event.peer, event.peer_port)
    return Behaviour(EGRESS, member, f"{actor} never connected to {target}", touches)
