"""YAML with the line of every key, so that an error can say where it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str, ...]
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Source:
    """One YAML document: its value, and the line (from 1) of each key by its path; () is the document itself."""

    value: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of a key, or of the nearest key above it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def sources(text: str) -> Iterator[Source]:
    """Every document of a text; empty ones are left out. Raises: yaml.YAMLError, ValueError, RecursionError."""
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            value = loader.construct_document(node) if node is not None else None
            if node is not None and value is not None:
                lines: dict[Path, int] = {(): node.start_mark.line + 1}
                _walk(node, (), lines)
                yield Source(value, lines)
    finally:
        loader.dispose()


def _walk(node: Any, path: Path, lines: dict[Path, int]) -> None:
    if not isinstance(node, yaml.MappingNode) or len(path) >= _DEEPEST:
        return
    for key, value in node.value:
        below = (*path, str(key.value))
        lines.setdefault(below, key.start_mark.line + 1)
        _walk(value, below, lines)
