"""AWS CloudTrail events.

Format: "CloudTrail record contents" of the AWS CloudTrail user guide, event versions 1.0 to 1.11. They come as
`Records` (trail files), as the `detail` of an EventBridge event, as the `message` of a CloudWatch Logs event, and
as the text `CloudTrailEvent` of lookup-events.
"""

from typing import Any

import orjson

from collector.audit.aws.access import access_of
from collector.audit.aws.facts import facts_of
from collector.audit.record import AuditRecord, Facts, Problem
from collector.audit.values import mapping, own_id, parse_time
from detection.finding import Source
from detection.principals.access import Access

RULE_KEY = "aws/cloudtrail"


class CloudTrail:
    """A Format."""

    source = Source.AWS_CLOUDTRAIL
    lists = ("Records", "Events", "logEvents")

    def unwrap(self, value: Any) -> Any:
        """The event inside an EventBridge event, a log event or a lookup answer."""
        if not isinstance(value, dict) or "eventName" in value:
            return value
        if isinstance(value.get("detail"), dict):
            return value["detail"]
        carried = value.get("CloudTrailEvent", value.get("message"))
        if not isinstance(carried, str):
            return value
        try:
            return orjson.loads(carried)
        except orjson.JSONDecodeError:
            return value

    def record_of(self, value: Any, position: str) -> AuditRecord | Problem:
        """One decoded value as an event, or what is wrong with it."""
        if not isinstance(value, dict):
            return Problem(position, f"a CloudTrail event is a JSON object, this is {type(value).__name__}")
        if not isinstance(value.get("eventName"), str) or not isinstance(value.get("eventSource"), str):
            return Problem(position, "no eventName and eventSource: not a CloudTrail event")
        time_ns = parse_time(value.get("eventTime"))
        if time_ns is None:
            return Problem(position, "no eventTime in RFC 3339 form")
        shared = mapping(value).get("sharedEventID")  # the same event in the trails of two accounts
        return AuditRecord(own_id(shared or value.get("eventID"), value), time_ns, RULE_KEY, value)

    def facts_of(self, record: AuditRecord) -> Facts:
        """Who called what, with which credential, from where."""
        return facts_of(record)

    def access_of(self, record: AuditRecord) -> Access | None:
        """Who, which call, with what, from where, when."""
        return access_of(record)
