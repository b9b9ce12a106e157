"""A nested record as rules read it, without flattening what no rule asks for."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from detection.rules.flatten import SHORT_NAMES, Flat, flatten
from detection.rules.taxonomy import Aliases

_MOST_LEAVES = 2000
_MOST_TEXT = 16_384


class Nested:
    """A Document over a JSON-like record: every leaf as `flatten` would give it, found when it is asked for.

    A record has hundreds of leaves and rules read a dozen of them. Keywords, which read everything, and names
    without a path have the record flattened once. `aliases` are other names for paths.
    """

    __slots__ = ("_aliases", "_flat", "_raw")

    def __init__(self, raw: Any, aliases: Aliases | None = None) -> None:
        self._raw = raw
        self._aliases = aliases or {}
        self._flat: Flat | None = None

    def get(self, field: str, /) -> Any:
        """The value under a path joined by dots: one leaf, or a tuple of all of them; None where there is none.

        An object is given as its JSON text, so that rules can look for something anywhere in a request.
        """
        if field in SHORT_NAMES:
            return self._whole().get(field)
        found: list[Any] = []
        _collect(self._raw, field, found)
        for path in self._aliases.get(field, ()) if not found else ():
            _collect(self._raw, path, found)
            if found:
                break
        if not found:
            return None
        return found[0] if len(found) == 1 else tuple(found)

    def keys(self) -> Iterable[str]:
        """Every field the record has."""
        return self._whole().keys()

    def _whole(self) -> Flat:
        if self._flat is None:
            self._flat = flatten(self._raw)
        return self._flat


def _collect(value: Any, path: str, found: list[Any]) -> None:
    if isinstance(value, dict):
        for key, rest in _splits(path):
            if key in value:
                below = value[key]
                if rest or isinstance(below, list):
                    _collect(below, rest, found)
                else:
                    _leaf(below, found)
    elif isinstance(value, list):
        for item in value:
            if path or isinstance(item, list):
                _collect(item, path, found)
            else:
                _leaf(item, found)
        if not value and not path:
            _leaf("", found)


def _leaf(value: Any, found: list[Any]) -> None:
    if isinstance(value, dict):
        value = orjson.dumps(value)[:_MOST_TEXT].decode("utf-8", "ignore") if value else ""
    if value is not None and len(found) < _MOST_LEAVES:
        found.append(value)


@lru_cache(maxsize=16_384)
def _splits(path: str) -> tuple[tuple[str, str], ...]:
    """Ways to read the path's beginning as one key, since keys may have dots in them: a.b.c → a, a.b, a.b.c."""
    parts = path.split(".")[:16]
    return tuple((".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts) + 1))
