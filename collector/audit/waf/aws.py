"""AWS WAF logs.

Format: "Log fields" of the AWS WAF developer guide, as delivered by Kinesis Firehose, S3 and CloudWatch Logs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import mapping, mappings, own_id, text
from collector.audit.waf import request as waf
from detection.finding import Source
from detection.principals.access import Access

_ACTIONS = {"block": "blocked", "captcha": "blocked", "challenge": "blocked", "count": "counted"}


class AwsWaf:
    """A Format."""

    source = Source.WAF_AWS
    lists = ("Records", "logEvents")

    def unwrap(self, value: Any) -> Any:
        """The record inside a log event."""
        carried = mapping(value).get("message")
        if not isinstance(carried, str):
            return value
        try:
            return orjson.loads(carried)
        except orjson.JSONDecodeError:
            return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem:
        """One decoded value as a request, or what is wrong with it."""
        asked = mapping(mapping(value).get("httpRequest"))
        if not asked:
            return Problem(position, "no httpRequest: not a log record of AWS WAF")
        stamp = value.get("timestamp")
        if not isinstance(stamp, int) or not 0 < stamp < 1 << 43:
            return Problem(position, "no timestamp in milliseconds")
        return waf.record_of(_request(value, asked), own_id(asked.get("requestId"), value), stamp * 1_000_000)

    def facts_of(self, record: AuditRecord) -> Facts:
        """Who asked what, and what was said of it."""
        return waf.facts_of(record)

    def access_of(self, record: AuditRecord) -> Access | None:
        """None: clients of a web application are no principals."""
        return None


def _request(value: Mapping[str, Any], asked: Mapping[str, Any]) -> waf.Request:
    headers = [(text(h.get("name"), 128), text(h.get("value"))) for h in mappings(asked.get("headers"))]
    named = {name.lower(): content for name, content in headers}
    rules = tuple(dict.fromkeys(r for r in _rules(value) if r and r != "Default_Action"))
    labels = [text(label.get("name"), 256) for label in mappings(value.get("labels"))]
    return waf.Request(
        action=_ACTIONS.get(text(value.get("action")).lower(), "counted" if rules else "passed"),
        client=text(asked.get("clientIp"), 64),
        host=named.get("host", text(asked.get("host")))[:253],
        server="",
        method=text(asked.get("httpMethod"), 16),
        path=waf.decoded(text(asked.get("uri"), 8192)),
        query=waf.decoded(text(asked.get("args"), 8192)),
        headers=waf.plain_headers(headers),
        agent=named.get("user-agent", "")[:512],
        status=waf.number(value.get("responseCodeSent")),
        rules=rules,
        kinds=waf.kinds_of((), (*rules, *(label.rpartition(":")[2] for label in labels), *labels)),
        messages=tuple(label for label in labels if label),
    )


def _rules(value: Mapping[str, Any]) -> Iterator[str]:
    """Names of all rules that matched: the one that ended it, those that only counted, and inside rule groups."""
    yield text(value.get("terminatingRuleId"), 128)
    for match in mappings(value.get("nonTerminatingMatchingRules")):
        yield text(match.get("ruleId"), 128)
    for group in mappings(value.get("ruleGroupList")):
        yield text(mapping(group.get("terminatingRule")).get("ruleId"), 128)
        for match in (*mappings(group.get("nonTerminatingMatchingRules")), *mappings(group.get("excludedRules"))):
            yield text(match.get("ruleId"), 128)
    for match in mappings(value.get("rateBasedRuleList")):
        yield text(match.get("rateBasedRuleName"), 128)
