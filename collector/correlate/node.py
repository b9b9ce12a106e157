"""A finding in the graph, with everything about it that is worked out once; and a set of them that hangs together."""

from dataclasses import dataclass, field

from collector.correlate.bucket import Stamp
from collector.correlate.edge import Edge
from collector.correlate.execs import Place, places_of
from collector.correlate.slots import Slot, home_of, slots_of
from collector.incident import Join
from detection.finding import Entity, EntityKind, Finding, Role, Severity, Source

Ranked = tuple[int, Entity]
Rank = tuple[bool, bool, int, str]
_LAST: Rank = (True, True, 1 << 63, "")


@dataclass(slots=True, eq=False)
class Node:
    """`end` is the last moment, later than the finding's time where repeats were folded into it.

    `edges` are those its keys give it with its neighbours now, None when they have to be worked out. `told` keeps
    the sentences of joins that end here, so that a growing incident does not write them again.
    """

    finding: Finding
    slots: tuple[Slot, ...]
    places: tuple[Place, ...]
    stamp: Stamp
    home: str
    end: int
    actors: tuple[Ranked, ...]
    rank: Rank
    component: "Component"
    told: dict[tuple[str, str, str, float], Join] = field(default_factory=dict)
    edges: list[Edge] | None = None

    @classmethod
    def of(cls, finding: Finding, max_slots: int) -> "Node":
        """The node of a finding, alone in a component of its own."""
        home = home_of(finding)
        slots = slots_of(finding, home)[:max_slots]
        stamp = (finding.time_ns, finding.id)
        actors = tuple(_ranked(finding))
        rank = (finding.severity < Severity.MEDIUM, finding.source is not Source.RUNTIME, *stamp)
        node = cls(finding, slots, places_of(finding), stamp, home, finding.time_ns, actors, rank, Component())
        node.component.take(node)
        return node


@dataclass(slots=True, eq=False)
class Component:
    """Findings that hang together. `ids` are the incident ids under which they were ever given out.

    `anchor` ranks the finding that gives the incident its id: the first of medium severity, at run time if any is.
    Runtime findings come first because they come in first: an audit record of the same moment, delivered seconds
    later, then does not rename the incident.
    """

    members: dict[str, Node] = field(default_factory=dict)
    anchor: Rank = _LAST
    last_ns: int = 0
    worst: Severity = Severity.INFORMATIONAL
    tactics: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)

    def take(self, node: Node) -> None:
        """Make a node a member."""
        node.component = self
        finding = node.finding
        self.members[finding.id] = node
        self.anchor = min(self.anchor, node.rank)
        self.last_ns = max(self.last_ns, node.end, finding.last_ns)
        self.worst = max(self.worst, finding.severity)
        if finding.severity > Severity.INFORMATIONAL:
            self.tactics.update(t.tactic for t in finding.techniques)

    @property
    def matters(self) -> bool:
        """Worth a person's time: something of medium severity, or low signs of three different tactics."""
        return self.worst >= Severity.MEDIUM or len(self.tactics) >= 3


def _ranked(finding: Finding) -> list[Ranked]:
    """Who acted, with a rank: people, accounts that called the API, the control plane's own, entries, processes."""
    found: list[Ranked] = []
    for entity in finding.entities:
        rank = _rank(entity, finding)
        if rank is not None:
            found.append((rank, Entity(entity.kind, entity.id, Role.ACTOR, entity.name)))
    return found


def _rank(entity: Entity, finding: Finding) -> int | None:
    kind, role = entity.kind, entity.role
    if kind is EntityKind.PROCESS:
        if finding.severity <= Severity.INFORMATIONAL:
            return None
        return 3 if role is Role.ENTRY else 4 if role is Role.ACTOR else None
    if role is not Role.ACTOR or finding.source is Source.RUNTIME:
        # At run time a service account is only the pod's: whether it was used is for the audit log to say.
        return None
    if kind is EntityKind.USER:
        return 2 if entity.id.startswith("system:") else 0
    return 1 if kind is EntityKind.SERVICE_ACCOUNT else None
