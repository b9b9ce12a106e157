"""ModSecurity v3 and Coraza audit logs.

Format: `SecAuditLogFormat JSON` of libmodsecurity 3 (`transaction` with `messages` inside) and of Coraza 3 (`messages`
beside it, addresses and times under other names).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import items, mapping, mappings, own_id, text
from collector.audit.waf import request as waf
from detection.finding import Source
from detection.principals.access import Access

# The rules that block: what they say is the sum of what the others said.
_VERDICTS = frozenset({"949110", "959100", "980130", "980140", "980170"})
_SKIPPED_TAGS = ("application-", "language-", "platform-", "paranoia", "owasp", "capec", "pci", "attack-protocol")
_FORMS = ("%a %b %d %H:%M:%S %Y", "%Y/%m/%d %H:%M:%S", "%d/%b/%Y:%H:%M:%S %z")


class ModSecurity:
    """A Format."""

    source = Source.WAF_MODSECURITY
    lists = ("records", "transactions")

    def unwrap(self, value: Any) -> Any:
        """An item as it is."""
        return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem:
        """One decoded value as a request, or what is wrong with it."""
        transaction = mapping(mapping(value).get("transaction"))
        if not transaction:
            return Problem(position, "no transaction: not an audit record of ModSecurity or Coraza")
        time_ns = _time(transaction)
        if time_ns is None:
            return Problem(position, "transaction without a time_stamp or unix_timestamp that can be read")
        event_id = own_id(transaction.get("unique_id") or transaction.get("id"), value)
        return waf.record_of(_request(transaction, _messages(value, transaction)), event_id, time_ns)

    def facts_of(self, record: AuditRecord) -> Facts:
        """Who asked what, and what was said of it."""
        return waf.facts_of(record)

    def access_of(self, record: AuditRecord) -> Access | None:
        """None: clients of a web application are no principals."""
        return None


def _request(transaction: Mapping[str, Any], messages: list[Mapping[str, Any]]) -> waf.Request:
    asked, answered = mapping(transaction.get("request")), mapping(transaction.get("response"))
    headers = waf.pairs(mapping(asked.get("headers")))
    named = {name.lower(): value for name, value in headers}
    path, query = waf.split_uri(text(asked.get("uri"), 8192))
    details = [mapping(m.get("details")) or mapping(m.get("data")) for m in messages]
    rules = [text(d.get("ruleId")) or str(d.get("id") or "") for d in details]
    tags = [t for d in details for t in items(d.get("tags")) if isinstance(t, str) and not _is_common(t)]
    status = waf.number(answered.get("http_code") or answered.get("status"))
    said = [text(m.get("message"), 256) for m in messages]
    return waf.Request(
        action=_action(transaction, status, rules),
        client=text(transaction.get("client_ip"), 64),
        host=named.get("host", "")[:253],
        server=text(transaction.get("host_ip"), 64) or text(transaction.get("server_ip"), 64),
        method=text(asked.get("method"), 16),
        path=path,
        query=query,
        headers=waf.plain_headers(headers),
        agent=named.get("user-agent", "")[:512],
        status=status,
        rules=tuple(dict.fromkeys(r for r in rules if r and r not in _VERDICTS)),
        kinds=waf.kinds_of(rules, tags),
        messages=tuple(dict.fromkeys(s for s in said if s)),
    )


def _is_common(tag: str) -> bool:
    return tag.lower().startswith(_SKIPPED_TAGS)


def _action(transaction: Mapping[str, Any], status: int, rules: list[str]) -> str:
    """Coraza says that it interrupted; of ModSecurity the verdict's rule and the status tell."""
    if transaction.get("is_interrupted") is True:
        return "blocked"
    engine = text(mapping(transaction.get("producer")).get("secrules_engine")).lower()
    judged = not _VERDICTS.isdisjoint(rules)
    if judged and engine == "detectiononly":
        return "counted"
    return "blocked" if judged and status in (0, 302, 400, 401, 403, 404, 406, 429) else "passed"


def _messages(value: Any, transaction: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return mappings(transaction.get("messages")) or mappings(mapping(value).get("messages"))


def _time(transaction: Mapping[str, Any]) -> int | None:
    """Coraza's Unix nanoseconds, or a local time of the firewall's machine, taken for UTC as containers have it."""
    exact = transaction.get("unix_timestamp")
    if isinstance(exact, int) and 0 < exact < 1 << 63:
        return exact if exact > 1 << 53 else exact * 1_000_000_000
    stamp = text(transaction.get("time_stamp") or transaction.get("timestamp"), 64)
    for form in _FORMS:
        try:
            moment = datetime.strptime(stamp, form)
        except ValueError:
            continue
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000
    return None
