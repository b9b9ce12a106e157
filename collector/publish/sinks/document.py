"""A YAML document of plain mappings, strictly: every key has a line, and none is there twice."""

from typing import Any, NamedTuple

import yaml

from collector.errors import ConfigError
from collector.plain import plain


class Key(NamedTuple):
    """A value of the document and the line it begins at, from 1."""

    value: Any
    line: int


class Section:
    """One mapping; what is asked for is taken out, `end` refuses the rest. All raise ConfigError with the line."""

    def __init__(self, place: str, keys: dict[str, Key], line: int) -> None:
        self.place = place
        self.line = line
        self._keys = keys

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        key = self._take(name, default is None)
        if key is None:
            return default or ""
        if not isinstance(key.value, str) or not key.value or not key.value.isprintable():
            raise self.wrong(name, "give a text", key.line)
        return key.value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        key = self._take(name)
        if key is None:
            return default
        if isinstance(key.value, bool) or not isinstance(key.value, int | float) or not low <= key.value <= high:
            raise self.wrong(name, f"give a number from {low:g} to {high:g}", key.line)
        return key.value

    def choice(self, name: str, default: str | None, among: tuple[str, ...]) -> str:
        """One word of several; without a default it must be there."""
        key = self._take(name, default is None)
        if key is None:
            return default or ""
        if key.value not in among:
            raise self.wrong(name, f"give one of {', '.join(among)}", key.line)
        return str(key.value)

    def choices(self, name: str, among: tuple[str, ...]) -> frozenset[str]:
        """Some words of several; all of them by default."""
        key = self._take(name)
        if key is None:
            return frozenset(among)
        if not isinstance(key.value, list) or not key.value or not all(v in among for v in key.value):
            raise self.wrong(name, f"give a list of {', '.join(among)}", key.line)
        return frozenset(key.value)

    def end(self) -> None:
        """Refuse what nobody asked for."""
        for name, key in self._keys.items():
            raise ConfigError(f"{self.place}:{key.line}: {plain(name, 64)!r} is not known here")

    def wrong(self, name: str, what: str, line: int = 0) -> ConfigError:
        """The error for one key."""
        return ConfigError(f"{self.place}:{line or self.line}: {name}: {what}")

    def _take(self, name: str, needed: bool = False) -> Key | None:
        key = self._keys.pop(name, None)
        if key is None and needed:
            raise ConfigError(f"{self.place}:{self.line}: {name} is missing")
        return key


def sections(text: str, place: str, name: str) -> list[Section]:
    """The list of mappings under the document's only key. Raises: ConfigError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise ConfigError(f"{place}:{line}: not YAML: {plain(getattr(error, 'problem', '') or 'bad text')}") from error
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{place}:1: give `{name}:` and a list below it")
    keys = dict(_keys(root, place))
    listed = keys.pop(name, None)
    for other, node in keys.items():
        raise ConfigError(f"{place}:{node.start_mark.line + 1}: {plain(other, 64)!r} is not known here")
    if not isinstance(listed, yaml.SequenceNode):
        raise ConfigError(f"{place}:1: give `{name}:` and a list below it")
    return [_section(node, place) for node in listed.value]


def _section(node: yaml.Node, place: str) -> Section:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{place}:{line}: give names and values")
    found = {
        name: Key(_value(value, place), value.start_mark.line + 1)
        for name, value in _keys(node, place)
    }  # fmt: skip
    return Section(place, found, line)


def _keys(node: yaml.MappingNode, place: str) -> list[tuple[str, yaml.Node]]:
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise ConfigError(f"{place}:{line}: a name must be a text")
        if key.value in found:
            raise ConfigError(f"{place}:{line}: {plain(key.value, 64)!r} is here twice")
        found[key.value] = value
    return list(found.items())


def _value(node: yaml.Node, place: str) -> Any:
    """Scalars and lists of them; anchors and deeper things have no use here."""
    if isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{place}:{node.start_mark.line + 1}: no mapping is expected here")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, place) for item in node.value[:64] if isinstance(item, yaml.ScalarNode)]
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{place}:{node.start_mark.line + 1}: a plain value is expected here") from error
    finally:
        loader.dispose()
