"""The graph of findings: who meets whom under which key, and which findings hang together."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from collector.correlate.bucket import Bucket
from collector.correlate.config import Config
from collector.correlate.execs import ExecMatcher, Match, Pair
from collector.correlate.node import Component, Node
from collector.correlate.rules import RANK, RULES, Half
from detection.finding import Finding

EXEC = "exec_audit_event"


class Edge(NamedTuple):
    """Two findings, the earlier first, and the key under which they meet."""

    rule: str
    value: str
    earlier: str
    later: str
    confidence: float
    confirms: bool = False
    match: Match | None = None

    @property
    def order(self) -> tuple[float, int, str]:
        """Surest first, then by the kind of key."""
        return (-self.confidence, RANK[self.rule], self.value)


class Graph:
    """Keeps components up to date while findings come and go, in any order."""

    def __init__(self, config: Config) -> None:
        self.nodes: dict[str, Node] = {}
        self.components: set[Component] = set()
        self.dropped: Counter[str] = Counter()
        self._config = config
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._execs = ExecMatcher()

    def insert(self, finding: Finding) -> set[Component]:
        """Add a finding; the components that changed. Those that were merged away have no members any more."""
        node = Node.of(finding, self._config.max_slots)
        self.dropped["findings_with_many_keys"] += len(node.slots) >= self._config.max_slots
        self.nodes[finding.id] = node
        self.components.add(node.component)
        broken = self._fill_buckets(node)
        pairs, unpaired = self._execs.add(finding, node.places) if node.places else ([], [])
        self._union_all(self._key_edges(node, arriving=True))
        self._union_all(self._exec_edge(pair) for pair in pairs)
        broken += unpaired
        return self._resplit(node, broken) if broken else {node.component}

    def replace(self, finding: Finding) -> Component:
        """Put a newer form (a higher count) in the place of the same finding."""
        node = self.nodes[finding.id]
        node.finding = finding
        node.component.take(node)
        return node.component

    def edges(self, component: Component) -> list[Edge]:
        """Edges within a component: of every two findings the surest, and all that confirm it."""
        surest: dict[tuple[str, str], Edge] = {}
        confirming: dict[tuple[str, str, str, str], Edge] = {}
        members = component.members
        for node in members.values():
            for edge in self._edges_of(node):
                # What was forgotten at a bound may leave an exec to pair elsewhere.
                if edge.earlier not in members or edge.later not in members:
                    continue
                pair = (edge.earlier, edge.later)
                if edge.confirms:
                    confirming[edge.rule, edge.value, *pair] = edge
                elif pair not in surest or edge.order < surest[pair].order:
                    surest[pair] = edge
        return [*surest.values(), *confirming.values()]

    def crowded(self, component: Component) -> list[tuple[str, str]]:
        """Keys of these findings that join nothing because too many homes share them."""
        keys = {slot[:2] for node in component.members.values() for slot in node.slots}
        return sorted(key for key in keys if self._buckets[key].dead)

    def fold(self, component: Component, keeper: Node, repeat: Node) -> None:
        """Count a repeat in the earlier finding of the same rule and place, and forget it."""
        first, second = keeper.finding, repeat.finding
        keeper.end = max(keeper.end, repeat.end)
        keeper.finding = replace(
            first, count=first.count + second.count, last_ns=max(keeper.end, first.last_ns, second.last_ns)
        )
        self.forget(repeat)

    def forget(self, node: Node) -> None:
        """Take a finding out of the graph; its component stays together without it."""
        finding_id = node.finding.id
        del self.nodes[finding_id]
        del node.component.members[finding_id]
        for slot in node.slots:
            if self._buckets[slot[:2]].discard(slot[2:], node.stamp):
                del self._buckets[slot[:2]]
        self._execs.remove(node.finding, node.places)
        if not node.component.members:
            self.components.discard(node.component)

    def _fill_buckets(self, node: Node) -> list[str]:
        """Enter every key; ids of findings whose key lost its joining power by this."""
        broken: list[str] = []
        for slot in node.slots:
            bucket = self._buckets.get(slot[:2])
            if bucket is None:
                bucket = self._buckets[slot[:2]] = Bucket(RULES[slot.rule], slot.value)
            if bucket.add(slot[2:], node.stamp):
                broken += bucket.ids()
        return broken

    def _edges_of(self, node: Node) -> Iterator[Edge]:
        yield from self._key_edges(node)
        if node.places:
            for pair in self._execs.pairs(node.finding, node.places):
                yield self._exec_edge(pair)

    def _key_edges(self, node: Node, arriving: bool = False) -> Iterator[Edge]:
        """Edges to neighbours; for a finding that arrives also those that others have because of it."""
        stamp, window, nodes = node.stamp, self._config.window_ns, self.nodes
        for slot in node.slots:
            bucket = self._buckets[slot[:2]]
            if bucket.lone():
                continue
            half: Half = slot[2:]
            near = bucket.affected(half, stamp) if arriving else bucket.neighbours(half, stamp)
            for other_half, other, before in near:
                earlier, later = (other, stamp) if before else (stamp, other)
                gap = later[0] - nodes[earlier[1]].end
                if gap > window:
                    continue
                halves = (other_half, half) if before else (half, other_half)
                confidence = bucket.rule.confidence(*halves, max(gap, 0))
                if confidence > 0:
                    confirms = bucket.rule.confirms and half != other_half
                    yield Edge(slot.rule, slot.value, earlier[1], later[1], confidence, confirms)

    def _exec_edge(self, pair: Pair) -> Edge:
        first, second = sorted((pair.of_exec, pair.of_entry), key=lambda name: self.nodes[name].stamp)
        return Edge(EXEC, pair.match.audit_id, first, second, pair.match.confidence, True, pair.match)

    def _union_all(self, edges: Iterable[Edge]) -> None:
        for edge in edges:
            self._union(self.nodes[edge.earlier].component, self.nodes[edge.later].component)

    def _union(self, one: Component, two: Component) -> Component:
        if one is two:
            return one
        big, small = (one, two) if len(one.members) >= len(two.members) else (two, one)
        for node in small.members.values():
            big.take(node)
        big.ids |= small.ids
        small.members = {}
        self.components.discard(small)
        return big

    def _resplit(self, node: Node, broken: Iterable[str]) -> set[Component]:
        """Edges went away: find anew what hangs together among all that may have hung on them."""
        touched = {node.component} | {self.nodes[name].component for name in broken if name in self.nodes}
        members = [member for component in touched for member in component.members.values()]
        self.components -= touched
        for old in touched:
            old.members = {}
        for member in members:
            alone = Component()
            alone.take(member)
            self.components.add(alone)
        for member in members:
            self._union_all(self._edges_of(member))
        for old in touched:
            self._hand_on(old.ids, members)
        return {member.component for member in members}

    def _hand_on(self, ids: set[str], members: list[Node]) -> None:
        by_anchor = {incident_id(m.finding.id): m.component for m in members}
        for given in ids:
            by_anchor.get(given, members[0].component).ids.add(given)


def incident_id(anchor: str) -> str:
    """The id of the incident whose anchor is this finding."""
    return f"inc-{hashlib.sha256(anchor.encode('utf-8', 'replace')).hexdigest()[:16]}"
