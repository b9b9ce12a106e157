"""Baseline files: what a team decided about its workloads, in YAML, one file each, reviewed in git.

`read_baseline` is the one way in, for the agent and the command line. The YAML that is taken is plain: mappings, lists,
text and true/false; anchors, aliases, tags and repeated keys are errors. Every error names file, line and field.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from detection.baseline.decision import DecisionError, Decisions, dotted, parse

MAX_BYTES = 1 << 20
MAX_FILES = 500
_DEPTH = 6
_SUFFIXES = (".yaml", ".yml")
_TRUTH = {"true": True, "false": False}
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_Path = tuple[str | int, ...]


class BaselineFileError(AgentError):
    """A file that is no baseline file; nothing of it is used."""


def read_baseline(path: Path) -> Decisions:
    """The decisions in a file. Raises: BaselineFileError."""
    try:
        return parse_baseline(_read(path))
    except BaselineFileError as error:
        raise BaselineFileError(f"{path}{error}; nothing was changed") from error
    except OSError as error:
        raise BaselineFileError(f"{path}: {error.strerror}; nothing was changed") from error


def parse_baseline(data: bytes) -> Decisions:
    """The decisions in a file's content. Raises: BaselineFileError, whose message begins with ":LINE: "."""
    import yaml  # noqa: PLC0415  (costs 10 MB that an agent without baseline files does not need)

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lines: dict[_Path, int] = {}
    try:
        document = _document(yaml.parse(data.decode(), Loader=loader), lines)
        return parse(document)
    except UnicodeDecodeError as error:
        raise BaselineFileError(": is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BaselineFileError(f":{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BaselineFileError(f": {_one_line(str(error))}") from error
    except DecisionError as error:
        where = f"{dotted(error.path)}: " if error.path else ""
        raise BaselineFileError(f":{_line(error.path, lines)}: {where}{error.problem}") from error


def _read(path: Path) -> bytes:
    fd = os.open(path, _OPEN)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BaselineFileError(": is not a regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BaselineFileError(f": is larger than {MAX_BYTES >> 10} KiB")
    return data


def _document(events: Iterator[Any], lines: dict[_Path, int]) -> Any:
    """Plain data of the one document in a stream of YAML events."""
    found: list[Any] = []
    for event in events:
        kind = type(event).__name__
        if kind in ("StreamStartEvent", "StreamEndEvent", "DocumentStartEvent", "DocumentEndEvent"):
            continue
        if found:
            raise DecisionError((), "more than one document; write one workload per file")
        found.append(_node(event, events, (), lines))
    return found[0] if found else None


def _node(event: Any, events: Iterator[Any], path: _Path, lines: dict[_Path, int]) -> Any:
    lines[path] = event.start_mark.line + 1
    kind = type(event).__name__
    if kind == "AliasEvent" or event.anchor is not None:
        raise DecisionError(path, "anchors and aliases are not taken here")
    if event.tag is not None:
        raise DecisionError(path, "tags are not taken here")
    if len(path) > _DEPTH:
        raise DecisionError(path[:2], "nested too deeply")
    if kind == "MappingStartEvent":
        return _mapping(events, path, lines)
    if kind == "SequenceStartEvent":
        return _sequence(events, path, lines)
    return _scalar(event)


def _scalar(event: Any) -> Any:
    if event.style:  # quoted, or a block
        return event.value
    return _TRUTH.get(event.value.lower(), None if event.value in ("", "~", "null") else event.value)


def _mapping(events: Iterator[Any], path: _Path, lines: dict[_Path, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while type(event := next(events)).__name__ != "MappingEndEvent":
        if type(event).__name__ != "ScalarEvent":
            raise DecisionError(path, "a field's name is text")
        key = event.value
        lines[*path, key] = event.start_mark.line + 1
        if key in found:
            raise DecisionError((*path, key), "is there twice")
        found[key] = _node(next(events), events, (*path, key), lines)
    return found


def _sequence(events: Iterator[Any], path: _Path, lines: dict[_Path, int]) -> list[Any]:
    found: list[Any] = []
    while type(event := next(events)).__name__ != "SequenceEndEvent":
        found.append(_node(event, events, (*path, len(found)), lines))
    return found


def _line(path: _Path, lines: dict[_Path, int]) -> int:
    """The line of the part a path leads to, or of what it lies in."""
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]


class BaselineFiles:
    """The baseline files of a directory. A file that breaks keeps what it said before; its error is told once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._decided: dict[str, Decisions] = {}

    def changed(self) -> tuple[bool, list[BaselineFileError]]:
        """Look again: whether anything changed, and what is wrong with files that are new or changed."""
        present = self._present()
        if present == self._seen:
            return False, []
        problems = []
        for name, mark in present.items():
            if self._seen.get(name) == mark:
                continue
            try:
                self._decided[name] = read_baseline(self._directory / name)
            except BaselineFileError as error:
                problems.append(error)
        self._decided = {name: decided for name, decided in self._decided.items() if name in present}
        self._seen = present
        return True, problems

    def decisions(self) -> list[Decisions]:
        """What the files say now."""
        return list(self._decided.values())

    def named(self) -> dict[str, Decisions]:
        """The same by the file's name."""
        return dict(self._decided)

    def _present(self) -> dict[str, tuple[int, int, int]]:
        try:
            with os.scandir(self._directory) as entries:
                names = sorted(e.name for e in entries if e.name.endswith(_SUFFIXES))[:MAX_FILES]
        except OSError:
            return {}
        found = {}
        for name in names:
            try:
                status = (self._directory / name).lstat()
            except OSError:
                continue
            found[name] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found
