"""The correlator: findings in, changed incidents out. No I/O, no clock; the same findings give the same incidents."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from collector.correlate.build import build
from collector.correlate.config import Config
from collector.correlate.graph import Graph, incident_id
from collector.correlate.node import Component, Node
from collector.incident import Incident
from detection.finding import Finding


class Correlator:
    """Joins findings into incidents, whatever the order in which they come; repeats by id change nothing.

    `incidents()` is a function of the set of findings taken in, as long as no bound was reached (`counters` tells).
    Revisions count what was given out, so they depend on the order. Not thread-safe.
    """

    def __init__(self, config: Config | None = None) -> None:
        self._config = config or Config()
        self._graph = Graph(self._config)
        self._dirty: dict[Component, None] = {}
        self._given: dict[str, Incident] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def add(self, finding: Finding) -> list[Incident]:
        """Take one finding in; the incidents it opened, changed or merged away (those name `superseded_by`)."""
        return self.add_many((finding,))

    def add_many(self, findings: Iterable[Finding]) -> list[Incident]:
        """Like `add`, but each changed incident is built once, however many of its findings came."""
        for finding in findings:
            self._take(finding)
        self._bound()
        return self._changed()

    def restore(self, findings: Iterable[Finding], incidents: Iterable[Incident]) -> None:
        """Start from what a store holds: nothing is given out, and revisions go on from where they were."""
        for finding in findings:
            self._take(finding)
        self._bound()
        for incident in incidents:
            known = self._given.get(incident.id)
            if known is None or known.revision < incident.revision:
                self._given[incident.id] = incident
        for component in self._graph.components:
            component.ids |= {i for m in component.members if (i := incident_id(m)) in self._given}
        placed = {i for component in self._graph.components for i in component.ids}
        for unplaced in self._given.keys() - placed:
            del self._given[unplaced]
        self._dirty.clear()

    def incidents(self) -> list[Incident]:
        """Every incident that stands, by id, as it is now."""
        matter = [component for component in self._graph.components if component.matters]
        return sorted((self._build(component) for component in matter), key=lambda incident: incident.id)

    def expire(self, now_ns: int) -> int:
        """Forget what nothing has joined for a whole window before `now_ns`; how many findings that were."""
        old = [c for c in self._graph.components if c.last_ns < now_ns - self._config.window_ns]
        forgotten = sum(self._drop(component) for component in old)
        self._counts["expired"] += forgotten
        return forgotten

    def counters(self) -> Mapping[str, int]:
        """findings, repeats, folded, expired, evicted (quiet and not), keys cut; and what is kept now."""
        kept = {"kept_findings": len(self._graph.nodes), "kept_components": len(self._graph.components)}
        dropped = {f"dropped_{cause}": number for cause, number in self._graph.dropped.items()}
        return dict(self._counts) | dropped | kept

    def _take(self, finding: Finding) -> None:
        if finding.id in self._seen:
            self._counts["repeats"] += 1
            self._update(finding)
            return
        self._seen[finding.id] = None
        if len(self._seen) > self._config.remember_ids:
            self._seen.popitem(last=False)
        self._counts["findings"] += 1
        for component in self._graph.insert(finding):
            self._dirty[component] = None
            if len(component.members) > self._config.max_members:
                self._fold(component)

    def _update(self, finding: Finding) -> None:
        """The same finding again: its count may have grown."""
        node = self._graph.nodes.get(finding.id)
        if node is None:
            return
        known = node.finding
        last_ns = max(known.last_ns, finding.last_ns)
        count = max(known.count, finding.count)
        if finding.corrects(known):
            for component in self._graph.correct(replace(finding, count=count, last_ns=last_ns)):
                self._dirty[component] = None
            return
        if (count, last_ns) != (known.count, known.last_ns):
            component = self._graph.replace(replace(known, count=count, last_ns=last_ns))
            self._dirty[component] = None

    def _fold(self, component: Component) -> None:
        """Make room in an incident: repeats of one rule in one place fold into their first, oldest repeats first."""
        groups: defaultdict[tuple[str, str], list[Node]] = defaultdict(list)
        for node in component.members.values():
            groups[node.finding.rule_id, node.home].append(node)
        spare = len(component.members) - self._config.max_members * 3 // 4
        anchor = component.anchor[-1]
        for key in sorted(groups, key=lambda k: (-len(groups[k]), k)):
            first, *repeats = sorted(groups[key], key=lambda node: node.stamp)
            for repeat in repeats[: min(spare, max(0, len(repeats) - 2))]:
                if repeat.finding.id != anchor:
                    self._graph.fold(component, first, repeat)
                    self._counts["folded"] += 1
                    spare -= 1
        self._shed(component, anchor, len(component.members) - self._config.max_members)

    def _shed(self, component: Component, anchor: str, spare: int) -> None:
        """Nothing left to fold: the mildest and oldest go."""
        if spare <= 0:
            return
        mildest = sorted(component.members.values(), key=lambda node: (node.finding.severity, node.stamp))
        for node in [node for node in mildest if node.finding.id != anchor][: spare + self._config.max_members // 8]:
            self._graph.forget(node)
            self._counts["shed"] += 1

    def _bound(self) -> None:
        """Keep memory bounded: components in which nothing happens go first, quiet ones before incidents."""
        over = len(self._graph.nodes) - self._config.max_findings
        if over <= 0:
            return
        over += self._config.max_findings // 20
        for component in sorted(self._graph.components, key=lambda c: (c.matters, c.last_ns, min(c.members))):
            if over <= 0:
                break
            cause = "evicted_incident" if component.matters else "evicted_quiet"
            number = self._drop(component)
            self._counts[cause] += number
            over -= number

    def _drop(self, component: Component) -> int:
        nodes = list(component.members.values())
        for node in nodes:
            self._graph.forget(node)
        for given in component.ids:
            self._given.pop(given, None)
        self._dirty.pop(component, None)
        return len(nodes)

    def _changed(self) -> list[Incident]:
        changed: dict[str, Incident] = {}
        for component in self._dirty:
            if component.members and (component.matters or component.ids):
                self._give(component, changed)
        self._dirty.clear()
        return sorted(changed.values(), key=lambda i: (bool(i.superseded_by), i.id))

    def _give(self, component: Component, changed: dict[str, Incident]) -> None:
        incident = self._build(component)
        known = self._given.get(incident.id)
        if known is None or replace(known, revision=0) != replace(incident, revision=0):
            revision = known.revision + 1 if known else 1
            changed[incident.id] = self._given[incident.id] = replace(incident, revision=revision)
        for other in sorted(component.ids - {incident.id}):
            merged = self._given.get(other)
            if merged is not None and merged.superseded_by != incident.id:
                merged = replace(merged, revision=merged.revision + 1, superseded_by=incident.id)
                changed[other] = self._given[other] = merged
        component.ids.add(incident.id)

    def _build(self, component: Component) -> Incident:
        known = self._given.get(incident_id(component.anchor[-1]))
        return build(self._graph, component, known.revision if known else 1)
