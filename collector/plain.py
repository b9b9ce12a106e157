"""Foreign text made fit for a line on a screen, in a log or in an alert."""

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: object, limit: int = 256) -> str:
    """At most `limit` characters, without control, direction and other invisible characters ("�" instead)."""
    whole = text if isinstance(text, str) else str(text)
    cut = whole[: limit + 1]
    if not cut.isprintable() or not cut.isascii():
        cut = "".join("�" if unicodedata.category(c) in _UNSAFE else c for c in cut)
    return cut if len(whole) <= limit else cut[: limit - 1] + "…"
