"""Findings and incidents as JSON, without losing anything; and repeats merged."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import orjson

from collector.incident import Incident, Join
from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source, Technique

_INT63 = (1 << 63) - 1


def plain_json(value: Mapping[str, Any]) -> bytes:
    """Raises: TypeError, ValueError where JSON cannot carry it."""
    return orjson.dumps(value)


def finding_json(finding: Finding) -> bytes:
    """Raises: TypeError, ValueError where JSON cannot carry it."""
    return orjson.dumps(finding, default=_as_dict)


def finding_from(data: bytes) -> Finding:
    """What `finding_json` made."""
    raw: dict[str, Any] = orjson.loads(data)
    raw.update(
        source=Source(raw["source"]),
        kind=Kind(raw["kind"]),
        severity=Severity(raw["severity"]),
        techniques=tuple(Technique(**technique) for technique in raw["techniques"]),
        entities=_entities(raw["entities"]),
        fields={k: tuple(v) if isinstance(v, list) else v for k, v in raw["fields"].items()},
        matched=tuple(raw["matched"]),
    )
    return Finding(**raw)


def incident_json(incident: Incident) -> bytes:
    """Everything but the findings, of which id, count and last time are kept. Raises: TypeError, ValueError."""
    body: dict[str, Any] = {field.name: getattr(incident, field.name) for field in fields(incident)}
    body["findings"] = [(finding.id, finding.count, finding.last_ns) for finding in incident.findings]
    return orjson.dumps(body)


def incident_from(data: bytes, findings: Mapping[str, Finding]) -> Incident | None:
    """What `incident_json` made, with those of its findings that are given; None when none is."""
    raw: dict[str, Any] = orjson.loads(data)
    # An incident may count more than its finding: others that were folded into it.
    found = tuple(
        replace(f, count=max(f.count, count), last_ns=max(f.last_ns, last_ns))
        for id_, count, last_ns in raw["findings"]
        if (f := findings.get(id_)) is not None
    )
    if not found:
        return None
    raw.update(
        severity=Severity(raw["severity"]),
        findings=found,
        joins=tuple(Join(**join) for join in raw["joins"]),
        actors=_entities(raw["actors"]),
    )
    for name in ("score_parts", "tactics", "sources"):
        raw[name] = tuple(raw[name])
    return Incident(**raw)


def finding_ids(data: bytes) -> list[str]:
    """Ids of the findings of a stored incident."""
    return [id_ for id_, _, _ in orjson.loads(data)["findings"]]


def merge_repeat(known: Finding, again: Finding) -> Finding:
    """A finding and a later report of it. Counts are cumulative, so receiving one twice changes nothing."""
    fuller = again if again.corrects(known) else known
    return replace(
        fuller,
        id=known.id,
        count=min(max(known.count, again.count), _INT63),
        last_ns=max(known.last_ns or known.time_ns, again.last_ns or again.time_ns),
        severity=max(known.severity, again.severity),
        lossy=known.lossy or again.lossy,
    )


def is_news(known: Finding, merged: Finding) -> bool:
    """Whether a repeat changed anything."""
    return replace(known, last_ns=known.last_ns or known.time_ns) != merged


def _entities(raw: list[dict[str, str]]) -> tuple[Entity, ...]:
    return tuple(Entity(EntityKind(e["kind"]), e["id"], Role(e["role"]), e["name"]) for e in raw)


def _as_dict(value: object) -> dict[str, Any]:
    """For mappings that are not dicts."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
