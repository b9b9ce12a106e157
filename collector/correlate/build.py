"""A component → an incident: its findings in order, the joins worth showing, who acted, how bad."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

from collector.correlate.edge import Edge
from collector.correlate.graph import Graph, incident_id
from collector.correlate.node import Component, Node
from collector.correlate.reasons import join_of, person_of
from collector.correlate.rules import RANK
from collector.correlate.score import score_of
from collector.correlate.tactics import in_order
from collector.correlate.title import title_of
from collector.incident import Incident, Join
from detection.finding import Entity, EntityKind, Finding, Role, Source

_MAX_ACTORS = 16
_MAX_CONFIRMING = 64
_MAX_TOLD = 16


def build(graph: Graph, component: Component, revision: int) -> Incident:
    """The incident of a component; equal whatever the order in which its findings came."""
    nodes = sorted(component.members.values(), key=lambda node: node.stamp)
    by_id = {node.finding.id: node for node in nodes}
    edges = graph.edges(component)
    joins = tuple(_told(edge, by_id) for edge in _chosen(edges, by_id))
    findings = tuple(_with_person(node.finding, people) for people in (_people(edges, by_id),) for node in nodes)
    tactics = in_order((*(t.tactic for f in findings for t in f.techniques), *_shown_by(joins)))
    score = score_of(findings, joins, tactics)
    actors = _actors(nodes)
    return Incident(
        id=incident_id(component.anchor[-1]),
        revision=revision,
        title=title_of(findings, joins, actors),
        severity=score.severity,
        score=score.points,
        score_parts=(*score.parts, *_crowded(graph, component)),
        findings=findings,
        joins=joins,
        actors=actors,
        tactics=tactics,
        sources=tuple(sorted({f.source.value for f in findings})),
    )


def _shown_by(joins: Sequence[Join]) -> Iterable[str]:
    """Tactics no single finding shows: what went over a connection from one place to another moved laterally."""
    return ("lateral-movement",) if any(join.key == "peer_address" for join in joins) else ()


def _chosen(edges: Iterable[Edge], nodes: dict[str, Node]) -> list[Edge]:
    """The surest edges that connect everything, and for every other key that confirms them, its surest edge."""

    root = {finding_id: finding_id for finding_id in nodes}
    chosen: list[Edge] = []
    shown: set[tuple[str, str]] = set()
    confirming: list[Edge] = []
    for edge in sorted(edges, key=attrgetter("order")):
        one, two = _find(root, edge.earlier), _find(root, edge.later)
        if one != two:
            root[one] = two
            chosen.append(edge)
            shown.add((edge.rule, edge.value))
        elif edge.confirms:
            confirming.append(edge)
    for edge in confirming[:_MAX_CONFIRMING]:
        if (edge.rule, edge.value) not in shown:
            shown.add((edge.rule, edge.value))
            chosen.append(edge)
    return sorted(chosen, key=lambda e: (nodes[e.later].stamp, nodes[e.earlier].stamp, RANK[e.rule], e.value))


def _told(edge: Edge, nodes: dict[str, Node]) -> Join:
    """The join of an edge, written once."""
    later = nodes[edge.later]
    key = (edge.rule, edge.value, edge.earlier, edge.confidence)
    join = later.told.get(key)
    if join is None:
        join = later.told[key] = join_of(edge, nodes[edge.earlier].finding, later.finding)
        if len(later.told) > _MAX_TOLD:
            del later.told[next(iter(later.told))]
    return join


def _find(root: dict[str, str], name: str) -> str:
    while root[name] != name:
        root[name] = name = root[root[name]]
    return name


def _people(edges: Iterable[Edge], nodes: dict[str, Node]) -> dict[str, Entity]:
    """Entry process → the person whose exec opened it."""
    people = {}
    matched = [edge for edge in edges if edge.match is not None]
    for edge in sorted(matched, key=lambda e: (e.confidence, e.value)):
        assert edge.match is not None
        for name in (edge.earlier, edge.later):
            audit = nodes[name].finding
            user = audit.entity(EntityKind.USER, Role.ACTOR) or audit.entity(EntityKind.SERVICE_ACCOUNT, Role.ACTOR)
            if audit.source is Source.KUBERNETES_AUDIT and user:
                text = f"{person_of(audit)}, by exec {edge.match.audit_id} (confidence {edge.match.confidence})"
                people[edge.match.entry_id] = Entity(user.kind, user.id, Role.ACTOR, text)
    return people


def _with_person(finding: Finding, people: dict[str, Entity]) -> Finding:
    """Everything below an entry has the person who opened it as an actor."""
    entry = finding.entity(EntityKind.PROCESS, Role.ENTRY) if people and finding.source is Source.RUNTIME else None
    person = people.get(entry.id) if entry else None
    return finding if person is None else replace(finding, entities=(*finding.entities, person))


def _actors(nodes: Sequence[Node]) -> tuple[Entity, ...]:
    """Each once, by rank, then by when they first acted."""
    ranked: dict[tuple[EntityKind, str], tuple[int, int, Entity]] = {}
    for place, node in enumerate(nodes):
        for rank, entity in node.actors:
            key = (entity.kind, entity.id)
            if key not in ranked or rank < ranked[key][0]:
                ranked[key] = (rank, place, entity)
    ordered = sorted(ranked.values(), key=lambda r: (r[0], r[1], r[2].id))
    return tuple(entity for _, _, entity in ordered[:_MAX_ACTORS])


def _crowded(graph: Graph, component: Component) -> tuple[str, ...]:
    keys = graph.crowded(component)[:8]
    return tuple(f"0: {rule} {value} joins nothing: it is shared by too many places" for rule, value in keys)
