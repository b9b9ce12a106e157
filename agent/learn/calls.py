"""Changes of identity, capabilities and privileged calls, as behaviours."""

from collections.abc import Callable
from functools import partial

from agent.events import Call, CallKind, Exec, PathChange, PathOp
from agent.learn.actor import Behaviour, Touches, actor_of
from agent.learn.files import resolved
from agent.names import BPF, KEYCTL, NAMESPACES, PERF, PTRACE, capability_names, named, set_names, signal_name
from agent.workload import Identified
from detection.baseline.priors import OUTSIDE, Touch
from detection.baseline.privileges import call_touches, capability_touches, credential_touches
from detection.baseline.templates import deed_member, file_path, path_template, program

CREDENTIAL, CAPABILITY, CALL = "credential", "capability", "call"
_FIRST_USER = 1000  # ids from here on are people's, or drawn at random
_NOBODY = 0xFFFFFFFF
_USUAL = 0xA80425FB  # what container runtimes give by default
_ALL = (1 << 36) - 1  # every kernel has more than these, and only "all" has all of these
_MAPPED = {CallKind.MMAP_WX: "mmap writable and executable", CallKind.MPROTECT_WX: "mprotect writable and executable"}
_CALLED = {
    CallKind.PROCESS_VM_READ: "process_vm_readv", CallKind.PROCESS_VM_WRITE: "process_vm_writev",
    CallKind.MODULE_LOAD: "init_module", CallKind.MODULE_DELETE: "delete_module",
}  # fmt: skip
_OF_A_PROCESS = (CallKind.PTRACE, CallKind.PROCESS_VM_READ, CallKind.PROCESS_VM_WRITE)
_MOUNTS = {PathOp.MOUNT: "mount", PathOp.UMOUNT: "umount", PathOp.PIVOT_ROOT: "pivot_root", PathOp.MKNOD: "mknod"}
_DEVICE = 0o020000  # S_IFCHR; S_IFBLK has its bit, too


def called(identified: Identified, event: Call) -> Behaviour:
    """A privileged or telling call."""
    if event.call in (CallKind.SETUID, CallKind.SETGID):
        return _identity(identified, event)
    if event.call is CallKind.CAPSET:
        return _capset(identified, event)
    deed = _deed(identified, event)
    weigh = partial(_called_touches, deed, identified.host_namespace)
    return _behaviour(CALL, identified, deed if event.result >= 0 else f"{deed} (refused)", weigh)


def _called_touches(deed: str, host_namespace: bool) -> Touches:
    name, _, rest = deed.partition(" ")
    touches = call_touches(name, rest.partition(" ")[0])
    return (*touches, Touch(1.0, "it is one of the host's own namespaces")) if host_namespace else touches


def started_with(identified: Identified, event: Exec) -> Behaviour | None:
    """The capabilities a container's program starts with; None for none, and on the host."""
    if identified.container is None or not event.cap_effective:
        return None
    who = OUTSIDE if identified.process.entry_id else "own"
    deed = f"starts with {capability_text(event.cap_effective)}"
    sentence = f"no program of this workload ever {deed.replace('starts', 'started', 1)}"
    if identified.process.entry_id:
        sentence += " when it came from outside"
    return Behaviour(CAPABILITY, deed_member(who, deed), sentence, partial(_strongest, event.cap_effective & ~_USUAL))


def mounted(identified: Identified, event: PathChange) -> Behaviour | None:
    """Mounts, and devices made; None for other changes of the tree."""
    name = _MOUNTS.get(event.op)
    if name is None or (event.op is PathOp.MKNOD and not event.args[0] & _DEVICE):
        return None
    path = file_path(resolved(identified.process, event, event.path))
    what = path_template(event.text) if event.op is PathOp.MOUNT else ""
    deed = " ".join(part for part in (name, what, path) if part)
    return _behaviour(CALL, identified, deed, partial(call_touches, name, what))


def capability_text(bits: int) -> str:
    """A set of capabilities in a few words."""
    if bits & _ALL == _ALL:
        return "all capabilities"
    if bits == _USUAL:
        return "a container's usual capabilities"
    if bits & _USUAL == _USUAL:
        return f"the usual capabilities and {','.join(capability_names(bits & ~_USUAL))}"
    return ",".join(capability_names(bits)) or f"0x{bits:x}"


def _strongest(bits: int) -> Touches:
    """What the most telling capability of a set allows."""
    found = [touch for name in capability_names(bits) for touch in capability_touches(name)]
    return (max(found),) if found else ()


def _behaviour(kind: str, identified: Identified, deed: str, weigh: Callable[[], Touches]) -> Behaviour:
    actor = actor_of(identified.process)
    return Behaviour(kind, deed_member(actor, deed), f"{actor} never did {deed}", weigh)


def _identity(identified: Identified, event: Call) -> Behaviour:
    task = event.head.task
    if event.call is CallKind.SETUID:
        kind, before, after = "uid", event.args[:2], (task.uid, task.euid)
    else:
        kind, before, after = "gid", event.args[:2], (task.gid, task.egid)
    weigh = partial(_identity_touches, kind, before[1], after[1])
    return _behaviour(CREDENTIAL, identified, f"{kind} {_ids(*before)} → {_ids(*after)}", weigh)


def _identity_touches(kind: str, before: int, after: int) -> Touches:
    return credential_touches(before, after) if kind == "uid" and before != after else ()


def _ids(real: int, effective: int) -> str:
    one, other = _id(real), _id(effective)
    return one if one == other else f"{one}/{other}"


def _id(number: int) -> str:
    """root, a service's number, or any user."""
    return "root" if number == 0 else str(number) if number < _FIRST_USER or number == _NOBODY else "user"


def _capset(identified: Identified, event: Call) -> Behaviour:
    gained = event.args[1] & ~event.args[0]
    deed = f"gains {capability_text(gained)}" if gained else "gives up capabilities"
    return _behaviour(CAPABILITY, identified, deed, partial(_strongest, gained))


def _deed(identified: Identified, event: Call) -> str:  # noqa: PLR0911 - one case for each call
    call, number = event.call, event.args[0]
    name = _MAPPED.get(call) or _CALLED.get(call) or call.name.lower()
    if call in (CallKind.SETNS, CallKind.UNSHARE):
        return f"{name} {','.join(set_names(NAMESPACES, number))}" + (
            " of the host" if identified.host_namespace else ""
        )
    if call is CallKind.KILL:
        return f"kill {signal_name(number)} {_whom(identified)}"
    if call is CallKind.PTRACE:
        return f"ptrace {named(PTRACE, number)} {_whom(identified)}"
    if call in _OF_A_PROCESS:
        return f"{name} {_whom(identified)}"
    if call is CallKind.BPF:
        return f"bpf {named(BPF, number)} {event.args[1]}"
    if call in (CallKind.PERF_EVENT_OPEN, CallKind.KEYCTL):
        return f"{name} {named(PERF if call is CallKind.PERF_EVENT_OPEN else KEYCTL, number)}"
    if call in (
        CallKind.CHROOT,
        CallKind.MODULE_LOAD,
        CallKind.MODULE_DELETE,
        CallKind.KEXEC_LOAD,
        CallKind.MEMFD_CREATE,
    ):
        return f"{name} {path_template(event.text[:256])}".rstrip()
    return name


def _whom(identified: Identified) -> str:
    """To whom it was done: a program of the same workload, or who else's."""
    target = identified.target
    if target is None:
        return "(unknown)"
    name = program(target.path, target.argv[0] if target.argv else "") if target.path else "(unknown)"
    same = target.container_id == identified.process.container_id
    return name if same else "of another container" if target.container_id else "of the host"
