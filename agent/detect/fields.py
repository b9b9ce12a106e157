"""Every field a rule may read, in one table: name, kinds of event, type, meaning, where it comes from.

docs/events.md is generated from it. Sigma's standard names where the taxonomy has one, else
`process.*`, `file.*`, `container.*`, `k8s.*`.
"""

import posixpath
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from agent.detect.calls import CALL_FIELDS, categories_of_call
from agent.detect.changes import CHANGE_FIELDS, absolute, action_of, categories_of_change, changed_path, made_mode
from agent.detect.field import (
    ACCESS,
    CATEGORIES,
    DELETE,
    DNS,
    FILE,
    NAMESPACE,
    NETWORK,
    PRIVILEGE,
    PROCESS,
    RENAME,
    Extract,
    Field,
    Source,
)
from agent.detect.sockets import SOCKET_FIELDS, categories_of_socket
from agent.events import Call, Chmod, Connection, Dns, Exec, FileFlag, Open, PathChange, Socket
from agent.names import capability_names
from agent.workload import Container, Identified, Process
from detection.redact import command_line

_ALL = tuple(CATEGORIES)

_SECURE, _SCRIPT = int(FileFlag.SECURE), int(FileFlag.SCRIPT)
_UPPER, _MEMFD, _TMPFS, _UNLINKED = (
    int(f) for f in (FileFlag.UPPER_LAYER, FileFlag.MEMFD, FileFlag.TMPFS, FileFlag.UNLINKED)
)
_CHANGES = FileFlag.WRITE | FileFlag.CREATED
_MANY_IN_ONE = ("busybox", "toybox", "coreutils", "kmod")

_FIXED: dict[type, tuple[str, ...]] = {Exec: (PROCESS,), Connection: (NETWORK,), Chmod: (FILE,), Dns: (DNS,)}
_READ, _CHANGED = (ACCESS,), (FILE,)


def categories_of(identified: Identified) -> tuple[str, ...]:
    """The kinds of event rules know this as; none for events no rule looks at."""
    event = identified.event
    fixed = _FIXED.get(type(event))
    if fixed is not None:
        return fixed
    if isinstance(event, Open):
        return _CHANGED if event.file_flags & _CHANGES else _READ
    if isinstance(event, Call):
        return categories_of_call(event)
    if isinstance(event, PathChange):
        return categories_of_change(event)
    return categories_of_socket(event) if isinstance(event, Socket) else ()


def target_path(identified: Identified) -> str:
    """The absolute path of the file an event is about, by its new name; "" for none or when nobody could say."""
    event = identified.event
    if isinstance(event, Open):
        return event.path
    if isinstance(event, Chmod):
        return absolute(identified.process, event.path)
    if isinstance(event, PathChange):
        return changed_path(identified, event)
    if isinstance(event, Socket):
        return event.name if event.name.startswith("/") else ""
    return ""


@lru_cache(maxsize=4096)
def _applet(path: str, argv: tuple[str, ...]) -> str:
    if not posixpath.basename(path).startswith(_MANY_IN_ONE) or not argv:
        return ""
    asked = posixpath.basename(argv[0]).lstrip("-")
    if asked.startswith(_MANY_IN_ONE):  # "busybox wget …": the applet is the first argument
        asked = posixpath.basename(argv[1]) if len(argv) > 1 else ""
    return "" if asked.startswith("-") else asked


def applet(process: Process) -> str:
    """What a many-in-one binary (busybox, toybox, coreutils, kmod) was run as, "" for any other program."""
    return _applet(process.path, process.argv[:2])


@lru_cache(maxsize=4096)
def _images(path: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    name = _applet(path, argv)
    return (path, f"{posixpath.dirname(path)}/{name}") if name else (path,)


def images(process: Process) -> tuple[str, ...]:
    """A program's path; for a many-in-one binary also the path its applet would have by itself, so that a
    rule on `/bin/wget` sees busybox's.
    """
    return _images(process.path, process.argv[:2])


def _ancestors(source: Source) -> tuple[str, ...]:
    found: list[str] = []
    for process in source.identified.ancestors:
        found += images(process)
    return tuple(found)


def _process(source: Source) -> Process:
    return source.identified.process


def _parent(source: Source) -> Process | None:
    ancestors = source.identified.ancestors
    return ancestors[0] if ancestors else None


def _of_parent(get: Callable[[Process], Any]) -> Extract:
    def extract(source: Source) -> Any:
        parent = _parent(source)
        return None if parent is None else get(parent)

    return extract


def _of_container(get: Callable[[Container], Any]) -> Extract:
    """Unknown strings are absent, not empty: `exists` then means what it says."""

    def extract(source: Source) -> Any:
        container = source.identified.container
        return None if container is None else get(container) or None

    return extract


def _of_event(name: str) -> Extract:
    return lambda source: getattr(source.identified.event, name, None)


def _exe_flag(bit: int) -> Extract:
    return lambda source: bool(source.identified.process.exe_flags & bit)


def _file_flag(bit: int) -> Extract:
    return lambda source: bool(getattr(source.identified.event, "file_flags", 0) & bit)


def _user(uid: int) -> str:
    return "root" if uid == 0 else str(uid)


def _capabilities(source: Source) -> tuple[str, ...]:
    return capability_names(cast(Exec, source.identified.event).cap_effective)


def _mode(source: Source) -> int:
    event = source.identified.event
    return made_mode(event) if isinstance(event, PathChange) else int(getattr(event, "mode", 0))


def _action(source: Source) -> str:
    event = source.identified.event
    if isinstance(event, PathChange):
        return action_of(event)
    if isinstance(event, Chmod):
        return "chmod"
    flags = cast(Open, event).file_flags
    return "create" if flags & FileFlag.CREATED else "write" if flags & FileFlag.WRITE else "read"


def _pod_name(container: Container) -> str:
    return container.pod_name


def _owner(container: Container) -> str:
    return "/".join(container.owner) if container.owner.kind else ""


_FILES = (FILE, ACCESS, DELETE, RENAME, NAMESPACE)
FIELDS: tuple[Field, ...] = (
    Field(
        "Image",
        _ALL,
        "path",
        "the program's file, as the container sees it; for busybox and the like also the applet's own path",
        lambda s: images(_process(s)),
        shown=lambda s: _process(s).path,
    ),
    Field("process.applet", _ALL, "text", "what busybox and the like were run as", lambda s: applet(_process(s))),
    Field(
        "CommandLine",
        _ALL,
        "text",
        "the arguments, joined by blanks",
        lambda s: " ".join(_process(s).argv),
        shown=lambda s: command_line(_process(s).argv),
    ),
    Field("CurrentDirectory", (PROCESS,), "path", "working directory at exec", lambda s: _process(s).cwd),
    Field("User", _ALL, "text", "`root`, else the numeric user id", lambda s: _user(_process(s).uid)),
    Field("ProcessId", _ALL, "integer", "process id as the host sees it", lambda s: _process(s).pid),
    Field(
        "ParentImage",
        _ALL,
        "path",
        "the parent's program, in the same way",
        _of_parent(images),
        shown=_of_parent(lambda p: p.path),
    ),
    Field(
        "ParentCommandLine",
        _ALL,
        "text",
        "the parent's arguments",
        _of_parent(lambda p: " ".join(p.argv)),
        shown=_of_parent(lambda p: command_line(p.argv)),
    ),
    Field("ParentProcessId", _ALL, "integer", "the parent's process id", _of_parent(lambda p: p.pid)),
    Field("ParentUser", (PROCESS,), "text", "the parent's user", _of_parent(lambda p: _user(p.uid)), evidence=False),
    Field("process.exec_id", _ALL, "text", "id of the process, safe against reuse", lambda s: _process(s).exec_id),
    Field("process.uid", _ALL, "integer", "numeric user id", lambda s: _process(s).uid, evidence=False),
    Field("process.filename", (PROCESS,), "path", "what was given to execve: a script's name", _of_event("filename")),
    Field("process.tty", _ALL, "boolean", "has a controlling terminal", lambda s: _process(s).tty != 0),
    Field(
        "process.entered",
        _ALL,
        "boolean",
        "its process tree was put into the container from outside",
        lambda s: bool(_process(s).entry_id),
    ),
    Field(
        "process.entry",
        _ALL,
        "boolean",
        "it is the process that entered the container",
        lambda s: _process(s).entry_id == _process(s).exec_id,
    ),
    Field(
        "process.upper_layer",
        _ALL,
        "boolean",
        "the program is not from the image: written in the container",
        _exe_flag(_UPPER),
    ),
    Field("process.tmpfs", _ALL, "boolean", "the program lies on a tmpfs", _exe_flag(_TMPFS)),
    Field("process.memfd", _ALL, "boolean", "the program is a memfd: it never had a file name", _exe_flag(_MEMFD)),
    Field("process.unlinked", _ALL, "boolean", "the program's file has no name any more", _exe_flag(_UNLINKED)),
    Field("process.script", (PROCESS,), "boolean", "the kernel ran an interpreter for a script", _exe_flag(_SCRIPT)),
    Field(
        "process.secure", (PROCESS, PRIVILEGE), "boolean", "the exec gained privilege (AT_SECURE)", _exe_flag(_SECURE)
    ),
    Field("process.capabilities", (PROCESS,), "list", "effective capabilities", _capabilities, evidence=False),
    Field("process.ancestors", _ALL, "list", "programs from the parent upwards", _ancestors),
    Field("TargetFilename", _FILES, "path", "the file, by its new name", lambda s: target_path(s.identified) or None),
    Field(
        "file.action",
        (FILE, ACCESS, DELETE, RENAME),
        "text",
        "create, write, read, chmod, chown, rename, link, symlink, truncate, setxattr, mkdir, mknod, delete or rmdir",
        _action,
    ),
    Field("file.created", (FILE,), "boolean", "this open created it", _file_flag(int(FileFlag.CREATED))),
    Field(
        "file.upper_layer",
        (FILE, ACCESS, DELETE, RENAME),
        "boolean",
        "the file is not from the image",
        _file_flag(_UPPER),
    ),
    Field("file.mode", (FILE, ACCESS), "text", "permission bits in octal (4755)", lambda s: f"{_mode(s) & 0o7777:04o}"),
    Field("file.setuid", (FILE,), "boolean", "has the set-user-id bit", lambda s: bool(_mode(s) & 0o4000)),
    Field("file.setgid", (FILE,), "boolean", "has the set-group-id bit", lambda s: bool(_mode(s) & 0o2000)),
    Field("file.executable", (FILE,), "boolean", "has an execute bit", lambda s: bool(_mode(s) & 0o111)),
    Field("file.device", (FILE, ACCESS), "text", "block or char for a device file", lambda s: _device(_mode(s))),
    Field("container.id", _ALL, "text", "the runtime's id; absent on the host", _of_container(lambda c: c.id)),
    Field("container.name", _ALL, "text", "the container's name", _of_container(lambda c: c.name)),
    Field("container.image", _ALL, "text", "the image reference", _of_container(lambda c: c.image)),
    Field("container.image_digest", _ALL, "text", "the image's digest", _of_container(lambda c: c.image_digest)),
    Field("container.runtime", _ALL, "text", "runc, containerd, cri-o, …", _of_container(lambda c: c.runtime)),
    Field("k8s.namespace", _ALL, "text", "namespace", _of_container(lambda c: c.namespace)),
    Field("k8s.pod", _ALL, "text", "pod name", _of_container(_pod_name)),
    Field("k8s.pod_uid", _ALL, "text", "pod UID", _of_container(lambda c: c.pod_uid)),
    Field("k8s.service_account", _ALL, "text", "service account", _of_container(lambda c: c.service_account)),
    Field("k8s.owner", _ALL, "text", "controller: deployment/shop", _of_container(_owner)),
    Field("workload", _ALL, "text", "what the profile belongs to", lambda s: s.identified.workload.key),
    Field("Hostname", _ALL, "text", "the node", lambda s: s.node),
    *CHANGE_FIELDS,
    *SOCKET_FIELDS,
    *CALL_FIELDS,
)


def _device(mode: int) -> str | None:
    return {0o060000: "block", 0o020000: "char"}.get(mode & 0o170000)
