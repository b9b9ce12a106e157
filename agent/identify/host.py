"""The port to the machine identify asks: files, links, inode numbers, directories. A recording can stand in for it."""

import os
from collections import Counter
from itertools import islice
from typing import Any, NamedTuple, Protocol

import orjson

from agent.identify.files import TooLargeError, read_proc, read_regular, text

MOST_ENTRIES = 1 << 20  # of one directory


class Entry(NamedTuple):
    """One name in a directory, made printable."""

    name: str
    is_dir: bool
    inode: int


class HostFiles(Protocol):
    """What the host says now. Every verb raises OSError where there is nothing to say."""

    def read(self, path: str, limit: int, regular: bool = False) -> bytes:
        """At most `limit` bytes; with `regular` as `files.read_regular`, which raises ValueError too."""

    def link(self, path: str) -> str:
        """What a symbolic link names, made printable."""

    def inode(self, path: str, follow: bool = False) -> int:
        """The inode number; with `follow` that of what a link names."""

    def entries(self, path: str) -> list[Entry]:
        """What a directory holds, at most MOST_ENTRIES of it."""


class LocalFiles:
    """This machine's own."""

    def read(self, path: str, limit: int, regular: bool = False) -> bytes:
        return read_regular(path, limit) if regular else read_proc(path, limit)

    def link(self, path: str) -> str:
        return text(os.fsencode(os.readlink(path)))  # noqa: PTH115  (Path would fold "//" and "/./")

    def inode(self, path: str, follow: bool = False) -> int:
        return os.stat(path, follow_symlinks=follow).st_ino  # noqa: PTH116  (Path costs as much as the call)

    def entries(self, path: str) -> list[Entry]:
        with os.scandir(path) as found:
            some = islice(found, MOST_ENTRIES)
            return [Entry(text(os.fsencode(e.name)), e.is_dir(follow_symlinks=False), e.inode()) for e in some]


HERE = LocalFiles()


def exists(files: HostFiles, path: str) -> bool:
    """Whether there is such a name."""
    try:
        files.inode(path)
    except (OSError, ValueError):
        return False
    return True


def read_json(path: str, limit: int, counts: Counter[str], files: HostFiles = HERE) -> Any:
    """A JSON document, or None when the file is absent; anything wrong with it is counted and gives None too."""
    try:
        found = orjson.loads(files.read(path, limit, regular=True))
        if found is not None:
            return found
        counts["state_unreadable"] += 1
    except TooLargeError:
        counts["state_too_large"] += 1
    except FileNotFoundError:
        pass
    except (OSError, ValueError):  # JSONDecodeError is a ValueError
        counts["state_unreadable"] += 1
    return None
