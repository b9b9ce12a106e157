"""Strings out of profiles, fit for a terminal or a file: they come from containers, and may be hostile."""

from datetime import UTC, datetime

TITLES = {
    "exec": "Programs started", "write": "Files written", "read": "Files read", "egress": "Connections made",
    "ingress": "Connections taken", "listen": "Ports and sockets listened on", "credential": "Identities taken",
    "capability": "Capabilities held or gained", "call": "Privileged calls",
}  # fmt: skip
STYLES = {"stable": "green", "learning": "yellow", "churning": "magenta", "lossy": "red"}


def clean(text: str) -> str:
    """No control, no invisible and no direction-changing characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def quoted(text: str) -> str:
    """A YAML (and JSON) string that gives `text` back; what cannot be seen is escaped.

    Raises: ValueError for half of a surrogate pair, which neither can express.
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    code = ord(char)
    if 0xD800 <= code < 0xE000:
        raise ValueError(f"holds U+{code:04X}, which no file can express")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def day(ns: int) -> str:
    """A date in UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d") if ns else "?"


def minute(ns: int) -> str:
    """A time in UTC, to the minute."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC") if ns else "never"


def count(number: int, what: str) -> str:
    """1 start, 2 starts."""
    plural = f"{what[:-1]}ies" if what.endswith("y") and what[-2] not in "aeiou" else f"{what}s"
    return f"{number} {what if number == 1 else plural}"
