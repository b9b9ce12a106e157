"""Files written, read and otherwise changed, as behaviours."""

import posixpath
from functools import partial

from agent.decode.layout import EV_F_USER_PATH
from agent.events import Chmod, FileFlag, Open, PathChange, PathOp
from agent.learn.actor import Behaviour, Touches, actor_of
from agent.workload import Identified, Process
from detection.baseline.priors import Touch, path_touches, read_touches
from detection.baseline.templates import file_member, file_path, is_installation

READ, WRITE = "read", "write"
_WRITES = FileFlag.WRITE | FileFlag.CREATED
_SET_ID = 0o6000
_DEEDS = {
    PathOp.RENAME: "", PathOp.TRUNCATE: "", PathOp.MKNOD: "", PathOp.LINK: "link", PathOp.SYMLINK: "link",
    PathOp.UNLINK: "delete", PathOp.RMDIR: "delete", PathOp.MKDIR: "mkdir", PathOp.CHOWN: "chown",
}  # fmt: skip
_SENTENCES = {
    "": "written", "link": "linked to", "delete": "deleted", "mkdir": "made", "chown": "given to another owner",
    "chmod +s": "made to run as its owner", "chmod +x": "made executable",
}  # fmt: skip
_UPPER = Touch(0.5, "the file was put into the container after it began; it is not part of its image")


def opened(identified: Identified, event: Open) -> Behaviour | None:
    """A file opened for writing is written, any other read; None for one that came with the software that reads it."""
    path = "memfd:" if event.file_flags & FileFlag.MEMFD else event.path
    if event.file_flags & _WRITES:
        return changed(identified, path, "")
    later = identified.container is not None and bool(event.file_flags & FileFlag.UPPER_LAYER)
    if not later and is_installation(path):
        return None
    actor, template = actor_of(identified.process), file_path(path)
    weigh = partial(_read_touches, path, later)
    return Behaviour(READ, file_member(actor, template), f"{template} was never read by {actor}", weigh)


def _read_touches(path: str, later: bool) -> Touches:
    return (*read_touches(path), _UPPER) if later else read_touches(path)


def changed(identified: Identified, path: str, deed: str) -> Behaviour:
    """A file was changed at this path, as `deed` says: "" written, else "delete", "chmod +x", "link" …"""
    actor, template = actor_of(identified.process), file_path(path)
    how = _SENTENCES.get(deed) or f"changed ({deed})"
    sentence = f"{template} was never {how} by {actor}"
    return Behaviour(WRITE, file_member(actor, template, deed), sentence, partial(path_touches, template))


def path_changed(identified: Identified, event: PathChange) -> Behaviour | None:
    """Changes of the tree; None for those that are calls (mounts, devices)."""
    deed = f"setxattr {event.text[:64]}" if event.op is PathOp.SETXATTR else _DEEDS.get(event.op)
    if deed is None:
        return None
    path = event.target if event.op in (PathOp.RENAME, PathOp.LINK) else event.path
    return changed(identified, resolved(identified.process, event, path), deed)


def mode_changed(identified: Identified, event: Chmod) -> Behaviour:
    """A set-id or execute bit was set."""
    path = posixpath.normpath(posixpath.join(identified.process.cwd or "/", event.path)) if event.path else "?"
    return changed(identified, path, "chmod +s" if event.mode & _SET_ID else "chmod +x")


def resolved(process: Process, event: PathChange, path: str) -> str:
    """A change's path as the process meant it."""
    if path and event.head.flags & EV_F_USER_PATH:
        return posixpath.normpath(posixpath.join(process.cwd or "/", path))
    return path
