"""An identified event as a document of Sigma fields: nothing is computed before a rule asks for it."""

from collections.abc import KeysView, Mapping
from typing import Any

from agent.detect.field import CATEGORIES, Extract, Field, Source
from agent.detect.fields import FIELDS
from agent.workload import Identified
from detection.finding import FieldValue
from detection.redact import redact_text

MAX_VALUE = 1024  # bytes of one evidence value
MAX_FIELDS = 40
_MAX_ITEMS = 16

_BY_CATEGORY: Mapping[str, Mapping[str, Extract]] = {
    category: {f.name: f.extract for f in FIELDS if category in f.categories} for category in CATEGORIES
}
_EVIDENCE: Mapping[str, tuple[Field, ...]] = {
    category: tuple(f for f in FIELDS if category in f.categories and f.evidence) for category in CATEGORIES
}
_NONE: Mapping[str, Extract] = {}


class RuntimeDocument:
    """Lazy mapping from field name to value for one event of one category."""

    __slots__ = ("_extractors", "_source")

    def __init__(self, identified: Identified, category: str, node: str) -> None:
        self._source = Source(identified, node)
        self._extractors = _BY_CATEGORY.get(category, _NONE)

    def get(self, field: str) -> Any:
        """The field's value; None where this event has none."""
        extract = self._extractors.get(field)
        return None if extract is None else extract(self._source)

    def keys(self) -> KeysView[str]:
        """The fields events of this category may have."""
        return self._extractors.keys()


def fields_of_category(category: str) -> frozenset[str]:
    """The fields events of a category carry: what `vedette rules check` compares rules with."""
    return frozenset(_BY_CATEGORY.get(category, _NONE))


def evidence(identified: Identified, category: str, node: str) -> dict[str, FieldValue]:
    """The event's fields for a finding: redacted, bounded, without what is empty or false."""
    source = Source(identified, node)
    out: dict[str, FieldValue] = {}
    for field in _EVIDENCE.get(category, ()):
        value = (field.shown or field.extract)(source)
        if value and len(out) < MAX_FIELDS:
            out[field.name] = _shown(value, redacted=field.shown is not None)
    if category == "network_connection":
        out["Initiated"] = bool(_BY_CATEGORY[category]["Initiated"](source))  # false says "accepted"
    return out


def _shown(value: Any, redacted: bool) -> FieldValue:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple):
        return tuple(bounded(redact_text(str(v)), MAX_VALUE // _MAX_ITEMS) for v in value[:_MAX_ITEMS])
    return bounded(str(value) if redacted else redact_text(str(value)))


def bounded(text: str, limit: int = MAX_VALUE) -> str:
    """The text cut to `limit` bytes of UTF-8, with "…" where it was cut."""
    if len(text) * 4 <= limit or len(encoded := text.encode("utf-8", "replace")) <= limit:
        return text
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"
