"""Privileged and telling system calls as rules see them, mounts included."""

import errno
from collections.abc import Callable, Mapping
from typing import Any, cast

from agent.detect.changes import absolute
from agent.detect.field import (
    KERNEL,
    NAMESPACE,
    PRIVILEGE,
    PROCESS_ACCESS,
    Extract,
    Field,
    Source,
)
from agent.events import Call, CallKind, PathChange, PathOp
from agent.names import (
    ANONYMOUS,
    BPF,
    KEYCTL,
    MEMFD,
    MOUNT,
    NAMESPACES,
    PERF,
    PROTECTION,
    PTRACE,
    capability_names,
    named,
    set_names,
    signal_name,
)
from agent.workload import Process
from detection.redact import command_line

_CALLS = (PROCESS_ACCESS, KERNEL, PRIVILEGE, NAMESPACE)
_NAMES = {
    **{kind: kind.name.lower() for kind in CallKind},
    CallKind.PROCESS_VM_READ: "process_vm_readv",
    CallKind.PROCESS_VM_WRITE: "process_vm_writev",
    CallKind.MODULE_LOAD: "init_module",
    CallKind.MODULE_DELETE: "delete_module",
    CallKind.MMAP_WX: "mmap",
    CallKind.MPROTECT_WX: "mprotect",
}
_CATEGORY = {
    CallKind.SETUID: PRIVILEGE,
    CallKind.SETGID: PRIVILEGE,
    CallKind.CAPSET: PRIVILEGE,
    CallKind.SETNS: NAMESPACE,
    CallKind.UNSHARE: NAMESPACE,
    CallKind.CHROOT: NAMESPACE,
    CallKind.SETHOSTNAME: NAMESPACE,
    CallKind.PTRACE: PROCESS_ACCESS,
    CallKind.PROCESS_VM_READ: PROCESS_ACCESS,
    CallKind.PROCESS_VM_WRITE: PROCESS_ACCESS,
    CallKind.KILL: PROCESS_ACCESS,
}
_OPERATIONS: dict[CallKind, Mapping[int, str] | tuple[str, ...]] = {
    CallKind.PTRACE: PTRACE,
    CallKind.BPF: BPF,
    CallKind.PERF_EVENT_OPEN: PERF,
    CallKind.KEYCTL: KEYCTL,
}
_FLAGS: dict[CallKind, tuple[int, dict[int, str]]] = {  # which argument holds them, and their names
    CallKind.MEMFD_CREATE: (0, MEMFD),
    CallKind.MMAP_WX: (2, PROTECTION),
    CallKind.MPROTECT_WX: (2, PROTECTION),
    CallKind.UNSHARE: (0, NAMESPACES),
    CallKind.SETNS: (0, NAMESPACES),
}


def categories_of_call(event: Call) -> tuple[str, ...]:
    """The kind of event a call is."""
    return (_CATEGORY.get(event.call, KERNEL),)


def name_of(event: Call | PathChange) -> str:
    """The system call's name."""
    return _NAMES[event.call] if isinstance(event, Call) else event.op.name.lower()


def operation_of(event: Call | PathChange) -> str | None:
    """What a call with many uses was used for; its number where it has no name here."""
    if not isinstance(event, Call):
        return None
    if event.call is CallKind.KILL:
        return signal_name(event.args[0])
    table = _OPERATIONS.get(event.call)
    return None if table is None else named(table, event.args[0])


def _event(source: Source) -> Call | PathChange:
    return cast(Call | PathChange, source.identified.event)


def _call(get: Callable[[Call], Any]) -> Extract:
    """Of a call; absent for a mount."""

    def extract(source: Source) -> Any:
        event = source.identified.event
        return get(event) if isinstance(event, Call) else None

    return extract


def _mount(get: Callable[[PathChange], Any]) -> Extract:
    def extract(source: Source) -> Any:
        event = source.identified.event
        return get(event) if isinstance(event, PathChange) and event.op is PathOp.MOUNT else None

    return extract


def _target(get: Callable[[Process], Any]) -> Extract:
    def extract(source: Source) -> Any:
        target = source.identified.target
        return None if target is None else get(target) or None

    return extract


def _flags(source: Source) -> tuple[str, ...]:
    event = _event(source)
    if isinstance(event, PathChange):
        return set_names(MOUNT, event.args[0]) if event.op is PathOp.MOUNT else ()
    index, names = _FLAGS.get(event.call, (0, {}))
    return set_names(names, event.args[index])


def _kinds(event: Call) -> tuple[str, ...]:
    return set_names(NAMESPACES, event.args[0]) if event.call in (CallKind.SETNS, CallKind.UNSHARE) else ()


def _text(source: Source) -> str | None:
    event = _event(source)
    if not isinstance(event, Call) or not event.text:
        return None
    return absolute(source.identified.process, event.text) if event.call is CallKind.CHROOT else event.text


def _result(event: Call | PathChange) -> int:
    return event.result if isinstance(event, Call) else 0


def _error(source: Source) -> str | None:
    result = _result(_event(source))
    return errno.errorcode.get(-result, str(-result)) if result < 0 else None


def _before(kind: CallKind, index: int) -> Extract:
    return _call(lambda event: event.args[index] if event.call is kind else None)


def _to_root(source: Source) -> bool:
    event = _event(source)
    if not isinstance(event, Call) or event.call is not CallKind.SETUID:
        return False
    return 0 not in event.args[:2] and event.head.task.euid == 0


def _gained(old: int, new: int) -> Extract:
    def get(event: Call) -> tuple[str, ...]:
        return capability_names(event.args[new] & ~event.args[old]) if event.call is CallKind.CAPSET else ()

    return _call(get)


def _is_same_container(source: Source) -> bool | None:
    target = source.identified.target
    return None if target is None else target.container_id == source.identified.process.container_id


def _is_same_program(source: Source) -> bool | None:
    target = source.identified.target
    return None if target is None or not target.path else target.path == source.identified.process.path


def _is_anonymous(event: Call) -> bool | None:
    return bool(event.args[3] & ANONYMOUS) if event.call is CallKind.MMAP_WX else None


def _length(event: Call) -> int | None:
    return event.args[1] if event.call in (CallKind.MMAP_WX, CallKind.MPROTECT_WX) else None


CALL_FIELDS = (
    Field(
        "call",
        _CALLS,
        "text",
        "the system call: ptrace, bpf, init_module, setns, mount, …",
        lambda s: name_of(_event(s)),
    ),
    Field("call.succeeded", _CALLS, "boolean", "it did what was asked", lambda s: _result(_event(s)) >= 0),
    Field("call.error", _CALLS, "text", "why not: EPERM, …", _error),
    Field(
        "call.operation",
        (PROCESS_ACCESS, KERNEL),
        "text",
        "what it was used for: a ptrace request (attach), a bpf command (prog_load), a signal (SIGKILL), …",
        lambda s: operation_of(_event(s)),
    ),
    Field("call.flags", (KERNEL, NAMESPACE), "list", "its flags by name; of memory: read, write, exec", _flags),
    Field(
        "call.text",
        (KERNEL, NAMESPACE),
        "text",
        "module, memfd or host name, new root, kernel command line",
        _text,
    ),
    Field("call.memory_bytes", (KERNEL,), "integer", "mmap, mprotect: how much memory", _call(_length)),
    Field("call.anonymous", (KERNEL,), "boolean", "mmap: memory that is of no file", _call(_is_anonymous)),
    Field(
        "SourceImage",
        (PROCESS_ACCESS,),
        "path",
        "the program that did it",
        lambda s: s.identified.process.path,
        evidence=False,
    ),
    Field(
        "TargetImage", (PROCESS_ACCESS,), "path", "the program it was done to, where known", _target(lambda p: p.path)
    ),
    Field(
        "TargetCommandLine",
        (PROCESS_ACCESS,),
        "text",
        "its arguments",
        _target(lambda p: " ".join(p.argv)),
        shown=_target(lambda p: command_line(p.argv)),
    ),
    Field(
        "TargetProcessId",
        (PROCESS_ACCESS,),
        "integer",
        "its process id as the host sees it",
        _call(lambda event: event.target_pid or None),
    ),
    Field("target.exec_id", (PROCESS_ACCESS,), "text", "its id, safe against reuse", _target(lambda p: p.exec_id)),
    Field(
        "target.container.id",
        (PROCESS_ACCESS,),
        "text",
        "its container; absent on the host",
        _target(lambda p: p.container_id),
    ),
    Field(
        "target.same_container",
        (PROCESS_ACCESS,),
        "boolean",
        "both are in one container, or on the host",
        _is_same_container,
    ),
    Field("target.same_program", (PROCESS_ACCESS,), "boolean", "both run the same program", _is_same_program),
    Field("namespace.kinds", (NAMESPACE,), "list", "mnt, pid, net, user, uts, ipc, cgroup, time", _call(_kinds)),
    Field(
        "namespace.host",
        (NAMESPACE,),
        "boolean",
        "setns: the host's own namespace was entered or asked for",
        lambda s: s.identified.host_namespace,
    ),
    Field(
        "mount.source",
        (NAMESPACE,),
        "path",
        "what was mounted: a device, a directory, a name",
        _mount(lambda e: e.target or None),
    ),
    Field("mount.type", (NAMESPACE,), "text", "file system type", _mount(lambda e: e.text or None)),
    Field("privilege.uid_before", (PRIVILEGE,), "integer", "setuid: real user id before", _before(CallKind.SETUID, 0)),
    Field(
        "privilege.euid_before",
        (PRIVILEGE,),
        "integer",
        "setuid: effective user id before",
        _before(CallKind.SETUID, 1),
    ),
    Field("privilege.gid_before", (PRIVILEGE,), "integer", "setgid: real group id before", _before(CallKind.SETGID, 0)),
    Field("privilege.uid", (PRIVILEGE,), "integer", "real user id now", lambda s: _event(s).head.task.uid),
    Field("privilege.euid", (PRIVILEGE,), "integer", "effective user id now", lambda s: _event(s).head.task.euid),
    Field("privilege.gid", (PRIVILEGE,), "integer", "real group id now", lambda s: _event(s).head.task.gid),
    Field(
        "privilege.to_root",
        (PRIVILEGE,),
        "boolean",
        "neither user id was root's before, the effective one is now",
        _to_root,
    ),
    Field(
        "capabilities.gained",
        (PRIVILEGE,),
        "list",
        "capset: effective capabilities it did not have before",
        _gained(0, 1),
    ),
    Field("capabilities.lost", (PRIVILEGE,), "list", "capset: effective capabilities it gave up", _gained(1, 0)),
)
