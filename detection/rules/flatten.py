"""A nested record as the flat document rules read: `a.b.c` → value, lists → every value."""

from typing import Any

Flat = dict[str, Any]

# SigmaHQ's Kubernetes rules name these without their path; they read them wherever they stand.
SHORT_NAMES = frozenset({"apiGroup", "capabilities", "hostPath"})


def flatten(obj: Any, max_fields: int = 2000, max_depth: int = 32, short_names: frozenset[str] = SHORT_NAMES) -> Flat:
    """Every leaf of a JSON-like value under its path, joined by dots.

    Lists add no path component: the leaves of their items come together as a tuple, in order, so a rule on
    `spec.containers.securityContext.privileged` sees every container's. An empty mapping or list is present as "".
    A short name stands for every place it occurs. What lies beyond the bounds is left out and the field
    `flatten.truncated` is set.
    """
    walk = _Walk(max_fields, max_depth, short_names)
    walk.visit(obj, "", (), 0)
    flat: Flat = {field: values[0] if len(values) == 1 else tuple(values) for field, values in walk.found.items()}
    if walk.truncated:
        flat["flatten.truncated"] = True
    return flat


class _Walk:
    """State of one flattening: what was found and how much room is left."""

    def __init__(self, max_fields: int, max_depth: int, short_names: frozenset[str]) -> None:
        self.found: dict[str, list[Any]] = {}
        self.truncated = False
        self._left = max_fields
        self._max_depth = max_depth
        self._short = short_names

    def visit(self, value: Any, path: str, aliases: tuple[str, ...], depth: int) -> None:
        if depth > self._max_depth or self._left <= 0:
            self.truncated = True
        elif isinstance(value, dict) and value:
            for key, item in value.items():
                name = str(key)
                under = (*aliases, name) if name in self._short and depth else aliases
                self.visit(item, f"{path}.{name}" if path else name, under, depth + 1)
        elif isinstance(value, list | tuple) and value:
            for item in value:
                self.visit(item, path, aliases, depth + 1)
        elif value is not None and path:
            self._leaf("" if isinstance(value, dict | list | tuple) else value, path, aliases)

    def _leaf(self, value: Any, path: str, aliases: tuple[str, ...]) -> None:
        self._left -= 1
        for field in (path, *aliases):
            self.found.setdefault(field, []).append(value)
