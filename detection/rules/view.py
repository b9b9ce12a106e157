"""One event as the predicates see it: each field fetched once, lower-cased at most once."""

from collections.abc import Iterable
from typing import Any, Protocol

Text = str | tuple[str, ...] | None


class Document(Protocol):
    """An event under Sigma's field names; any `dict` is one.

    Values are text, numbers, truth values, None (absent), or a list of these: a list passes a test when
    one of its values does.
    """

    def get(self, field: str, /) -> Any:
        """The value of a field, None where the event has none."""

    def keys(self) -> Iterable[str]:
        """Every field the event may have."""


class Raw(dict[str, Text]):
    """Field → its value as text, computed on first use."""

    __slots__ = ("_doc",)

    def __init__(self, doc: Document) -> None:
        super().__init__()
        self._doc = doc

    def __missing__(self, field: str) -> Text:
        value = text_of(self._doc.get(field))
        self[field] = value
        return value

    def all_text(self) -> tuple[str, ...]:
        """Every value of the event: what a keyword searches."""
        return tuple(t for field in self._doc.keys() for t in each(self[field]))  # noqa: SIM118


class Lowered(dict[str, Text]):
    """Field → its value as lower-case text, computed on first use; `raw` has the text as it came."""

    __slots__ = ("_doc", "raw")

    def __init__(self, doc: Document) -> None:
        super().__init__()
        self._doc = doc
        self.raw = Raw(doc)

    def __missing__(self, field: str) -> Text:
        value = self._doc.get(field)
        kind = value.__class__
        text: Text
        if kind is bool:
            text = "true" if value else "false"
        elif kind is str:
            text = value.lower()
        else:
            text = _lower(text_of(value))
        self[field] = text
        return text


def _lower(value: Text) -> Text:
    if isinstance(value, tuple):
        return tuple([v.lower() for v in value])  # a list: quicker than a generator
    return None if value is None else value.lower()


def text_of(value: Any) -> Text:
    """A value as rules compare it: truth values as true/false, whole numbers without a point."""
    if value is None or value.__class__ is str:
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return tuple([v if v.__class__ is str else _scalar(v) for v in value if v is not None])
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def each(value: Text) -> tuple[str, ...]:
    """The values of a field, none when it is absent."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value
