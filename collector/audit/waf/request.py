"""One request as a firewall saw it, whichever firewall: the record that rules over `waf/request` read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote_plus

from collector.audit.record import AuditRecord, Facts
from collector.audit.values import address, present, shown, shown_all
from collector.plain import plain
from detection.finding import Entity, EntityKind, Role

RULE_KEY = "waf/request"
_MOST_HEADERS = 64
_MOST_TEXT = 8192
_SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key", "set-cookie")

# OWASP Core Rule Set: the first three digits of a rule's id name its file, and with it the kind of attack.
_CRS = {
    "913": "scanner", "930": "lfi", "931": "rfi", "932": "rce", "933": "php", "934": "code", "941": "xss",
    "942": "sqli", "943": "session", "944": "java", "921": "protocol",
}  # fmt: skip
_WORDS = (
    ("sqli", "sqli"), ("sql-injection", "sqli"), ("xss", "xss"), ("crosssitescripting", "xss"), ("lfi", "lfi"),
    ("rfi", "rfi"), ("rce", "rce"), ("command", "rce"), ("php", "php"), ("java", "java"), ("log4j", "java"),
    ("nodejs", "code"), ("ssrf", "ssrf"), ("scanner", "scanner"), ("badbot", "scanner"), ("reputation", "reputation"),
    ("anonymous", "reputation"), ("hostingprovider", "reputation"), ("rate", "rate"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """`action`: blocked, passed, or counted (seen, but the firewall was only watching).

    `query` and `headers` are decoded twice, as attackers encode twice. `kinds` are kinds of attack the firewall named:
    sqli, xss, lfi, rfi, rce, php, java, code, ssrf, protocol, scanner, session, reputation, rate.
    """

    action: str
    client: str
    host: str
    server: str  # address of the machine that served it
    method: str
    path: str
    query: str
    headers: tuple[str, ...]  # "name: value", of all but those that carry secrets
    agent: str
    status: int
    rules: tuple[str, ...]
    kinds: tuple[str, ...]
    messages: tuple[str, ...]


def record_of(request: Request, event_id: str, time_ns: int) -> AuditRecord:
    """The record rules read."""
    return AuditRecord(event_id, time_ns, RULE_KEY, asdict(request))


def facts_of(record: AuditRecord) -> Facts:
    """Who asked what of which server, and what the firewall said of it."""
    raw = record.raw
    client, server = address(raw["client"]), address(raw["server"])
    entities = [Entity(EntityKind.AUDIT_EVENT, record.event_id)]
    entities += [client] if client is not None else []
    if server is not None:
        entities.append(Entity(EntityKind.ADDRESS, server.id, Role.TARGET))
    if host := plain(raw["host"].partition(":")[0], 253):
        entities.append(Entity(EntityKind.DOMAIN, host.lower(), Role.TARGET))
    fields: dict[str, Any] = {name: shown(raw[name], 512) for name in ("action", "client", "host", "method", "path")}
    fields |= {"query": shown(raw["query"], 512), "userAgent": shown(raw["agent"]), "status": raw["status"]}
    fields |= {name: shown_all(list(raw[name])) for name in ("rules", "kinds", "messages")}
    kinds = ", ".join(raw["kinds"]) or "nothing"
    summary = (
        f"{raw['client']}: {raw['method']} {raw['path'][:200]} {raw['action']} ({raw['status']}), said of it: {kinds}"
    )
    return Facts(tuple(entities), present(fields), plain(summary, 512))


def decoded(text: str) -> str:
    """Percent-decoding, twice, bounded."""
    return unquote_plus(unquote_plus(text[:_MOST_TEXT], errors="replace"), errors="replace")


def split_uri(uri: str) -> tuple[str, str]:
    """Path and query, each decoded."""
    path, _, query = uri[:_MOST_TEXT].partition("?")
    return decoded(path), decoded(query)


def plain_headers(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Headers rules may look into: cookies and credentials stay out."""
    pairs = [(n, v) for n, v in list(headers)[:_MOST_HEADERS] if n.lower() not in _SECRET_HEADERS]
    return tuple(f"{name}: {decoded(value)}"[:1024] for name, value in pairs)


def kinds_of(rules: Iterable[str], labels: Iterable[str]) -> tuple[str, ...]:
    """Kinds of attack from ids of the Core Rule Set, tags and managed rules' names."""
    found = [_CRS[rule[:3]] for rule in rules if len(rule) == 6 and rule[:3] in _CRS]
    for label in labels:
        name = re.sub(r"[^a-z0-9-]", "", label.lower())
        found += [kind for word, kind in _WORDS if word in name]
    return tuple(dict.fromkeys(found))


def number(value: Any) -> int:
    """A status code; 0 for anything else."""
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def pairs(headers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Headers of an object whose values are texts or lists of texts."""
    found: list[tuple[str, str]] = []
    for name, value in headers.items():
        found += [(name, v) for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
    return found
