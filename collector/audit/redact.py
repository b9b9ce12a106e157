"""Secrets taken out of command lines and addresses before they become evidence."""

import re

HIDDEN = "***"
_WORD = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*"
)
_FLAG = re.compile(rf"--?{_WORD}", re.IGNORECASE)
_RULES = (
    (re.compile(rf"(?i)\b({_WORD}[\"']?\s*[=:]\s*[\"']?)[^\s\"'&;|]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(--?{_WORD}\s+)[^\s-][^\s]*"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[=:]\s*(?:basic|bearer|token)?\s*)[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[\w-]{10,}|sk-[A-Za-z0-9]{20,})"), HIDDEN),
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*"), HIDDEN),
)


def redact(text: str) -> str:
    """The text without values that look like passwords, tokens or keys."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_arguments(arguments: list[str]) -> tuple[str, ...]:
    """Arguments of a command, one by one; what follows `--password` and the like is hidden whole."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        shown.append(HIDDEN if hide_next else redact(argument))
        hide_next = _FLAG.fullmatch(argument) is not None
    return tuple(shown)
