"""The graph of findings: who meets whom under which key, and which findings hang together."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from collector.correlate.bucket import Bucket, Neighbour, Stamp
from collector.correlate.config import Config
from collector.correlate.edge import EXEC, Edge
from collector.correlate.execs import ExecMatcher, Pair
from collector.correlate.node import Component, Node
from collector.correlate.rules import RANK, RULES, Half
from collector.correlate.slots import Slot
from detection.finding import Finding

_MAY_DIE = frozenset(rule.name for rule in RULES.values() if rule.homes)


class Graph:
    """Keeps components up to date while findings come and go, in any order."""

    def __init__(self, config: Config) -> None:
        self.nodes: dict[str, Node] = {}
        self.components: set[Component] = set()
        self.dropped: Counter[str] = Counter()
        self._config = config
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._dead: set[tuple[str, str]] = set()
        self._execs = ExecMatcher()

    def insert(self, finding: Finding) -> set[Component]:
        """Add a finding; the components that changed. Those that were merged away have no members any more."""
        node = Node.of(finding, self._config.max_slots)
        self.dropped["findings_with_many_keys"] += len(node.slots) >= self._config.max_slots
        self.nodes[finding.id] = node
        self.components.add(node.component)
        broken = self._fill_buckets(node)
        pairs, unpaired = self._execs.add(finding, node.places) if node.places else ([], [])
        for name in broken:
            self.nodes[name].edges = None
        self._union_all(self._arriving(node))
        self._union_all(self._exec_edge(pair) for pair in pairs)
        broken += unpaired
        return self._resplit(node, broken) if broken else {node.component}

    def replace(self, finding: Finding) -> Component:
        """Put a newer form (a higher count) in the place of the same finding."""
        node = self.nodes[finding.id]
        node.finding = finding
        node.component.take(node)
        return node.component

    def correct(self, finding: Finding) -> set[Component]:
        """Put a fuller form, with other keys, in the place of the same finding; the components that changed."""
        before = self.nodes[finding.id]
        old, end = before.component, before.end
        self.forget(before)
        alone = not old.members
        self.insert(finding)
        node = self.nodes[finding.id]
        node.end = max(node.end, end)
        changed = self._resplit(node, list(old.members))
        if alone:
            node.component.ids |= old.ids  # what is given out next supersedes what this was given out as
        return changed

    def edges(self, component: Component) -> list[Edge]:
        """Edges within a component: of every two findings the surest, and all that confirm it."""
        found: dict[Edge, None] = {}
        members = component.members
        for node in members.values():
            for edge in self._edges_of(node):
                # What was forgotten at a bound may leave an exec to pair elsewhere.
                if edge.earlier in members and edge.later in members:
                    found[edge] = None
        return list(found)

    def crowded(self, component: Component) -> list[tuple[str, str]]:
        """Keys of these findings that join nothing because too many homes share them."""
        if not self._dead:
            return []
        slots = {slot for node in component.members.values() for slot in node.slots if slot.rule in _MAY_DIE}
        return sorted(self._dead & {slot[:2] for slot in slots})

    def fold(self, component: Component, keeper: Node, repeat: Node) -> None:
        """Count a repeat in the earlier finding of the same rule and place, and forget it."""
        first, second = keeper.finding, repeat.finding
        keeper.end = max(keeper.end, repeat.end)
        keeper.edges = None
        for slot in keeper.slots:
            self._unsettle(self._buckets[slot[:2]].neighbours(slot[2:], keeper.stamp))
        keeper.finding = replace(
            first, count=first.count + second.count, last_ns=max(keeper.end, first.last_ns, second.last_ns)
        )
        self.forget(repeat)

    def forget(self, node: Node) -> None:
        """Take a finding out of the graph; its component stays together without it."""
        finding_id = node.finding.id
        del node.component.members[finding_id]
        for slot in node.slots:
            self._unsettle(self._buckets[slot[:2]].affected(slot[2:], node.stamp))
            if self._buckets[slot[:2]].discard(slot[2:], node.stamp):
                del self._buckets[slot[:2]]
                self._dead.discard(slot[:2])
        self._execs.remove(node.finding, node.places)
        del self.nodes[finding_id]
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
                self._dead.add(slot[:2])
        return broken

    def _edges_of(self, node: Node) -> list[Edge]:
        """Edges to its neighbours, worked out anew only when these have changed."""
        if node.edges is None:
            node.edges = _surest([edge for slot in node.slots for edge in self._slot_edges(slot, node.stamp)])
        if not node.places:
            return node.edges
        return [*node.edges, *map(self._exec_edge, self._execs.pairs(node.finding, node.places))]

    def _arriving(self, node: Node) -> list[Edge]:
        """Edges of a finding that has just come, those included that others have because of it."""
        found: list[Edge] = []
        for slot in node.slots:
            bucket = self._buckets[slot[:2]]
            if bucket.size > 1:
                near = bucket.affected(slot[2:], node.stamp)
                for _, (_, name), _ in near:
                    self.nodes[name].edges = None
                found += self._made(bucket, slot[2:], node.stamp, near)
        return found

    def _slot_edges(self, slot: Slot, stamp: Stamp) -> list[Edge]:
        bucket = self._buckets[slot[:2]]
        if bucket.size == 1:
            return []
        # Within a half, the later of two neighbours has the edge.
        near = [n for n in bucket.neighbours(slot[2:], stamp) if n[2] or n[0] != slot[2:]]
        return self._made(bucket, slot[2:], stamp, near)

    def _made(self, bucket: Bucket, half: Half, stamp: Stamp, near: list[Neighbour]) -> list[Edge]:
        """Edges to those of the neighbours that are near enough and may meet."""
        found: list[Edge] = []
        rule, window, nodes = bucket.rule, self._config.window_ns, self.nodes
        for other_half, other, before in near:
            earlier, later = (other, stamp) if before else (stamp, other)
            gap = later[0] - nodes[earlier[1]].end
            if gap > window:
                continue
            halves = (other_half, half) if before else (half, other_half)
            confidence = rule.confidence(*halves, max(gap, 0))
            if confidence > 0:
                order = (-confidence, RANK[rule.name], later, earlier, bucket.value)
                confirms = rule.confirms and half != other_half
                found.append(Edge(rule.name, bucket.value, earlier[1], later[1], confidence, order, confirms))
        return found

    def _unsettle(self, near: list[Neighbour]) -> None:
        for _, (_, name), _ in near:
            self.nodes[name].edges = None

    def _exec_edge(self, pair: Pair) -> Edge:
        match = pair.match
        earlier, later = sorted((self.nodes[pair.of_exec].stamp, self.nodes[pair.of_entry].stamp))
        order = (-match.confidence, RANK[EXEC], later, earlier, match.audit_id)
        return Edge(EXEC, match.audit_id, earlier[1], later[1], match.confidence, order, True, match)

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


def _surest(edges: list[Edge]) -> list[Edge]:
    """Of every two findings the surest edge, and all that confirm it."""
    best: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        pair = (edge.earlier, edge.later)
        if not edge.confirms and (pair not in best or edge.order < best[pair].order):
            best[pair] = edge
    return [*best.values(), *(edge for edge in edges if edge.confirms)]


def incident_id(anchor: str) -> str:
    """The id of the incident whose anchor is this finding."""
    return f"inc-{hashlib.sha256(anchor.encode('utf-8', 'replace')).hexdigest()[:16]}"
