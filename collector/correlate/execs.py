"""Which audit event opened which shell: `kubectl exec` in the log ↔ a process tree that entered from outside."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from collector.correlate.bucket import Stamp
from collector.correlate.config import MINUTE, SECOND
from detection.finding import EntityKind, Finding, Role, Source

BEFORE, AFTER = 2 * SECOND, MINUTE
_WRONG_COMMAND, _UNKNOWN_COMMAND = 20 * SECOND, SECOND
_MAX_SIDES = 128


Place = tuple[str, bool, str]  # pod, whether it is an exec event, id of that event or entry


class Match(NamedTuple):
    """An audit event and the entry it explains; `gap_ns` from the request to the entry."""

    audit_id: str
    entry_id: str
    confidence: float
    gap_ns: int


@dataclass(slots=True)
class _Side:
    """An exec event or an entry, with the findings about it. `told` is the finding the command was taken from."""

    stamps: list[Stamp] = field(default_factory=list)
    container: str = ""
    command: str = ""
    user: str = ""
    told: Stamp | None = None

    @property
    def first(self) -> Stamp:
        return self.stamps[0]


class Pair(NamedTuple):
    """A match, and the first finding of each of its sides."""

    match: Match
    of_exec: str
    of_entry: str


@dataclass(slots=True)
class _Pod:
    execs: dict[str, _Side] = field(default_factory=dict)
    entries: dict[str, _Side] = field(default_factory=dict)
    matches: dict[str, Match] = field(default_factory=dict)

    def pair(self, match: Match) -> Pair:
        return Pair(match, self.execs[match.audit_id].first[1], self.entries[match.entry_id].first[1])


class ExecMatcher:
    """Pairs exec events with entries, pod by pod: nearest in time, same container, same command; one to one.

    A better pair may replace another when more is known, so `add` says what was undone.
    """

    def __init__(self) -> None:
        self._pods: dict[str, _Pod] = {}

    def add(self, finding: Finding, places: tuple[Place, ...]) -> tuple[list[Pair], list[str]]:
        """Take a finding in: (pairs of its pod, if they changed; ids of findings whose pair no longer holds)."""
        pairs: list[Pair] = []
        gone: list[str] = []
        for pod_key, is_exec, side_id in places:
            pod = self._pods.setdefault(pod_key, _Pod())
            if _grow(pod.execs if is_exec else pod.entries, side_id, finding) and pod.execs and pod.entries:
                before, pod.matches = pod.matches, _match(pod)
                pairs += [pod.pair(match) for match in pod.matches.values()]
                for match in before.values():
                    if not _still(pod.matches.get(match.entry_id), match):
                        sides = (pod.execs.get(match.audit_id), pod.entries.get(match.entry_id))
                        gone += [side.first[1] for side in sides if side is not None]
        return pairs, gone

    def remove(self, finding: Finding, places: tuple[Place, ...]) -> None:
        """Forget a finding; pairs it alone stood for go with it."""
        for pod_key, is_exec, side_id in places:
            pod = self._pods.get(pod_key)
            sides = {} if pod is None else pod.execs if is_exec else pod.entries
            side = sides.get(side_id)
            if pod is None or side is None:
                continue
            side.stamps = [s for s in side.stamps if s[1] != finding.id]
            if not side.stamps:
                del sides[side_id]
                pod.matches = _match(pod)
            if not pod.execs and not pod.entries:
                del self._pods[pod_key]

    def pairs(self, finding: Finding, places: tuple[Place, ...]) -> list[Pair]:
        """Pairs for which this finding stands: it is the first of its audit event or of its entry."""
        found = []
        for pod_key, is_exec, side_id in places:
            pod = self._pods.get(pod_key)
            if pod is None or not pod.matches:
                continue
            for match in pod.matches.values():
                if side_id == (match.audit_id if is_exec else match.entry_id):
                    pair = pod.pair(match)
                    found += [pair] if finding.id in (pair.of_exec, pair.of_entry) else []
        return found


def is_exec_event(finding: Finding) -> bool:
    """An exec that was let through; attach starts no process of its own."""
    if finding.source is not Source.KUBERNETES_AUDIT or finding.fields.get("objectRef.subresource") != "exec":
        return False
    code = finding.fields.get("responseStatus.code", 0)
    return not (isinstance(code, int) and code >= 400)


def places_of(finding: Finding) -> tuple[Place, ...]:
    """Where a finding stands in the matching: the pod by its name, by its UID where that is all."""
    if finding.source is Source.RUNTIME:
        entry = finding.entity(EntityKind.PROCESS, Role.ENTRY)
        pod = finding.entity(EntityKind.POD_NAME, Role.ACTOR) or finding.entity(EntityKind.POD, Role.ACTOR)
        return ((pod.id, False, entry.id),) if entry and pod else ()
    event = finding.entity(EntityKind.AUDIT_EVENT)
    if event is None or not is_exec_event(finding):
        return ()
    kinds = (EntityKind.POD_NAME, EntityKind.POD)
    pods = {e.id for e in finding.entities if e.kind in kinds and e.role is Role.TARGET}
    return tuple((pod_id, True, event.id) for pod_id in sorted(pods))


def _grow(sides: dict[str, _Side], side_id: str, finding: Finding) -> bool:
    """Add a finding to its side; True when that may change the pairs."""
    side = sides.get(side_id)
    if side is None:
        if len(sides) >= _MAX_SIDES:
            del sides[min(sides, key=lambda key: sides[key].first)]
        side = sides[side_id] = _Side()
    stamp = (finding.time_ns, finding.id)
    insort(side.stamps, stamp)
    return _learn(side, finding, stamp) or stamp == side.first


def _learn(side: _Side, finding: Finding, stamp: Stamp) -> bool:
    """Container, command and user, from the earliest finding that knows them; True when something changed."""
    fields = finding.fields
    if finding.source is Source.KUBERNETES_AUDIT:
        command = fields.get("exec.command", ())
        told = " ".join(command) if isinstance(command, tuple) else str(command)
        container, user = str(fields.get("exec.container", "")), str(fields.get("user.username", ""))
    elif fields.get("process.entry") is True:
        told, user = str(fields.get("CommandLine", "")), ""
        container = next((e.name for e in finding.entities if e.kind is EntityKind.CONTAINER), "")
    else:
        return False
    if side.told is not None and side.told <= stamp:
        return False
    side.told, side.command, side.container, side.user = stamp, told, container, user
    return True


def _match(pod: _Pod) -> dict[str, Match]:
    """Entry → its pair: the cheapest pairs first, each event and each entry once."""
    candidates = sorted(_candidates(pod))
    taken: dict[str, Match] = {}
    used: set[str] = set()
    for cost, audit_id, entry_id, gap in candidates:
        if entry_id in taken or audit_id in used:
            continue
        used.add(audit_id)
        rivals = [a for c, a, e, _ in candidates if e == entry_id and c - cost < SECOND and a != audit_id]
        doubtful = any(pod.execs[a].user != pod.execs[audit_id].user for a in rivals)
        taken[entry_id] = Match(audit_id, entry_id, _confidence(cost, doubtful), gap)
    return taken


def _candidates(pod: _Pod) -> Iterable[tuple[int, str, str, int]]:
    for audit_id, event in pod.execs.items():
        for entry_id, entry in pod.entries.items():
            gap = entry.first[0] - event.first[0]
            apart = event.container and entry.container and event.container != entry.container
            if -BEFORE <= gap <= AFTER and not apart:
                yield _cost(gap, event.command, entry.command), audit_id, entry_id, gap


def _cost(gap: int, asked: str, seen: str) -> int:
    distance = gap if gap >= 0 else -5 * gap
    if not asked or not seen:
        return distance + _UNKNOWN_COMMAND
    return distance if _program(asked) == _program(seen) else distance + _WRONG_COMMAND


def _program(command: str) -> str:
    return command.partition(" ")[0].rpartition("/")[2]


def _confidence(cost: int, doubtful: bool) -> float:
    sure = 0.95 if cost <= 5 * SECOND else 0.85 if cost <= 15 * SECOND else 0.7
    return round(sure - 0.2, 2) if doubtful else sure


def _still(match: Match | None, before: Match) -> bool:
    return match is not None and match.audit_id == before.audit_id
