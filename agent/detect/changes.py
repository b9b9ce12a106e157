"""Changes of the file tree as rules see them."""

import posixpath

from agent.decode.layout import EV_F_USER_PATH
from agent.detect.field import DELETE, FILE, NAMESPACE, RENAME, Field, Source
from agent.events import PathChange, PathOp
from agent.workload import Identified, Process

_ACTIONS = {
    PathOp.RENAME: "rename",
    PathOp.LINK: "link",
    PathOp.SYMLINK: "symlink",
    PathOp.UNLINK: "delete",
    PathOp.RMDIR: "rmdir",
    PathOp.MKDIR: "mkdir",
    PathOp.TRUNCATE: "truncate",
    PathOp.CHOWN: "chown",
    PathOp.SETXATTR: "setxattr",
    PathOp.MKNOD: "mknod",
    PathOp.MOUNT: "mount",
    PathOp.UMOUNT: "umount",
    PathOp.PIVOT_ROOT: "pivot_root",
}
_CATEGORIES = {
    PathOp.RENAME: (RENAME, FILE),
    PathOp.UNLINK: (DELETE,),
    PathOp.RMDIR: (DELETE,),
    PathOp.MOUNT: (NAMESPACE,),
    PathOp.UMOUNT: (NAMESPACE,),
    PathOp.PIVOT_ROOT: (NAMESPACE,),
}
_NEW_NAME = (PathOp.RENAME, PathOp.LINK)
_UNCHANGED = 0xFFFFFFFF  # of chown: -1


def categories_of_change(event: PathChange) -> tuple[str, ...]:
    """The kinds of event a change is."""
    return _CATEGORIES.get(event.op, (FILE,))


def action_of(event: PathChange) -> str:
    """`file.action` of a change."""
    return _ACTIONS[event.op]


def absolute(process: Process, path: str) -> str:
    """A path as its process meant it; "" for none."""
    return posixpath.normpath(posixpath.join(process.cwd or "/", path)) if path else ""


def changed_path(identified: Identified, event: PathChange) -> str:
    """The file's path after the change."""
    return _resolved(identified, event, event.target if event.op in _NEW_NAME else event.path)


def source_path(identified: Identified, event: PathChange) -> str:
    """What the file was called before, or what a link leads to; "" for other changes."""
    if event.op is PathOp.SYMLINK:
        return event.text
    return _resolved(identified, event, event.path) if event.op in _NEW_NAME else ""


def made_mode(event: PathChange) -> int:
    """The mode of a node just made, 0 for other changes."""
    return event.args[0] if event.op is PathOp.MKNOD else 0


def _resolved(identified: Identified, event: PathChange, path: str) -> str:
    if event.head.flags & EV_F_USER_PATH:
        return absolute(identified.process, path)
    return path


def _change(source: Source) -> PathChange | None:
    event = source.identified.event
    return event if isinstance(event, PathChange) else None


def _source(source: Source) -> str | None:
    event = _change(source)
    return (source_path(source.identified, event) or None) if event else None


def _owner(index: int, source: Source) -> int | None:
    event = _change(source)
    if event is None or event.op is not PathOp.CHOWN:
        return None
    value = event.args[index] & _UNCHANGED
    return None if value == _UNCHANGED else value


def _attribute(source: Source) -> str | None:
    event = _change(source)
    return event.text if event and event.op is PathOp.SETXATTR else None


CHANGE_FIELDS = (
    Field("SourceFilename", (FILE, RENAME), "path", "its old name, or what a link leads to", _source),
    Field("file.owner", (FILE,), "integer", "the new owner's user id, when that was changed", lambda s: _owner(0, s)),
    Field("file.group", (FILE,), "integer", "the new group's id, when that was changed", lambda s: _owner(1, s)),
    Field("file.attribute", (FILE,), "text", "the extended attribute that was set", _attribute),
)
