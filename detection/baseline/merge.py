"""Profiles of many agents as one: what replicas know together, and how far one of them may be believed.

State, not messages. Every agent tells what its own containers showed (a snapshot); of each agent the newest counts.
`merge` takes the newest of each agent: commutative, associative and idempotent, whatever the order, however often.
`total` then adds up. Whoever gets the total has his own part in it: he judges by his own profile or by the total,
and never adds the two.

**Why the bound stays valid.** `unseen_upper` counts, since some start s fixed in advance, how many of n units brought
something new, and needs only that each of them did so with probability at least today's θ, the chance that the next
unit shows a behaviour which is *not in the set of known ones*. An agent counts novelty against what it had seen
itself, a subset of what all have seen, so its novelty is at least as likely as the fleet's: whichever way the units of
agents are interleaved, each is such a trial, and windows (units, novel) simply add. One thing breaks this: a behaviour
an agent has learned but the fleet does not take over (one replica's alone). Units that showed it are outside of the
known set and count as novel, all of them; since it is not known which units those were, they are put into the agent's
last windows, where every start that counts any unit of it counts them. The bound is for units drawn alike, from any
of these agents.

Replicas that move together (a nightly job on all of them) are not independent trials. As a class does for its own
replicas, units are divided by b, the number of agents that tend to meet something new within the same slot: first
sightings by agent and slot over first sightings by slot, starting from "all of them as one" (`_together`).

**One agent that lies** can tell at most what its own snapshot holds. It cannot teach (a behaviour needs a second agent
where there is one), nor unlearn (a behaviour others have established stays, whoever condemns it), nor make the fleet
look more complete than the others do: of the eight agents with the most units, the one is left out without whom the
bound is worst. It can take the fleet's head start away, by showing novelty without end: others then learn alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import ceil
from typing import NamedTuple

from detection.baseline.completeness import Incidence, unseen_upper
from detection.baseline.folding import Exact, covers
from detection.baseline.snapshot import ClassSnapshot, Shown, Snapshot, Window
from detection.baseline.templates import read_is_exact, write_is_exact

_FOLDED: dict[str, Exact] = {"write": write_is_exact, "read": read_is_exact}
_SUSPECTS = 8  # agents that may be left out: the others weigh less than an eighth


class Share(NamedTuple):
    """What one agent told. `order` grows with every snapshot that is taken from it; equal order means equal content."""

    order: int
    seen_ns: int  # Unix time it was heard of last
    snapshot: Snapshot


Shares = Mapping[str, Share]  # by agent


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """When a behaviour counts as the fleet's.

    A learned one: shown by `agents` agents (all of them, where fewer watched at least `min_units` units) and by
    `instances` containers (all, where there are fewer). A held one: by at least two agents and by `share` of those that
    watch. An agent not heard of for `gone_s` no longer counts among those that watch; what it showed stays.
    """

    agents: int = 2
    instances: int = 2
    share: float = 0.5
    min_units: int = 30
    gone_s: float = 7 * 86_400.0
    max_members: int = 5000
    max_held: int = 256
    max_condemned: int = 1024
    max_condemned_per_agent: int = 256
    confidence: float = 0.95
    slot_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Approved:
    """What people decided about one class, for `total`: these need no quorum, those are never known."""

    accepted: frozenset[str] = frozenset()
    condemned: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Tally:
    """One behaviour over all agents."""

    known: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    times: int = 0
    units: int = 0
    slots: int = 0
    instances: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def add(self, agent: str, shown: Shown) -> None:
        (self.held if shown.held else self.known).add(agent)
        self.times += shown.times
        self.units += shown.units
        self.slots += shown.slots
        self.instances += shown.instances
        self.first_ns = min(self.first_ns or shown.first_ns, shown.first_ns)
        self.last_ns = max(self.last_ns, shown.last_ns)

    def shown(self, held: bool) -> Shown:
        agents = len(self.known | self.held)
        # Of a behaviour that is held, an agent is one voice, however many containers it claims to have seen it in.
        instances = agents if held else self.instances
        units, slots = (0, 0) if held else (self.units, self.slots)
        return Shown(self.times, units, self.first_ns, self.last_ns, instances, held, slots, agents)


def merge(*parts: Shares) -> dict[str, Share]:
    """The newest share of every agent: a join of any number of states, in any order, any of them repeated."""
    newest: dict[str, Share] = {}
    for part in parts:
        for agent, share in part.items():
            known = newest.get(agent)
            if known is None or known[:2] < share[:2]:
                newest[agent] = share
    return newest


def total(
    shares: Shares,
    config: FleetConfig,
    *,
    now_ns: int = 0,
    people: Mapping[str, Approved] | None = None,
) -> dict[str, ClassSnapshot]:
    """All agents' profiles as one, by class name. Independent of the order of `shares`."""
    others = {agent: shares[agent] for agent in sorted(shares)}
    gone_before = now_ns - int(config.gone_s * 1e9)
    names = sorted({name for share in others.values() for name in share.snapshot.classes})
    merged = {}
    for name in names:
        told = {a: s.snapshot.classes[name] for a, s in others.items() if name in s.snapshot.classes}
        present = {a for a in told if others[a].seen_ns >= gone_before}
        exact = _FOLDED.get(name.partition("/")[0])
        merged[name] = _class(told, present, config, (people or {}).get(name, Approved()), exact)
    return merged


def _class(
    told: Mapping[str, ClassSnapshot], present: set[str], config: FleetConfig, people: Approved, exact: Exact | None
) -> ClassSnapshot:
    watching = {a for a in present if told[a].units >= config.min_units}
    replicas = sum(told[agent].instances for agent in watching or told)
    quorum = _Quorum(len(watching), replicas, config)
    tallies: dict[str, _Tally] = {}
    for agent, known in told.items():
        for name, shown in known.members.items():
            tallies.setdefault(name, _Tally()).add(agent, shown)
    if exact is not None:
        _support(tallies, exact)
    condemned = _condemned(told, config)
    members, refused = _members(tallies, condemned, quorum, people)
    slot_ns = int(config.slot_s * 1e9)
    evidence = {agent: _evidence(known, refused, slot_ns) for agent, known in told.items()}
    windows = _worst(evidence, config.confidence)
    return ClassSnapshot(
        windows=windows,
        members=_bounded(members, config),
        condemned=_shunned(members, condemned, config) | people.condemned,
        instances=sum(known.instances for known in told.values()),
        overflow=min((known.overflow for known in told.values()), default=0),
        loss_left=0,
        slots=max((known.slots for known in told.values()), default=0),
    )


def _support(tallies: Mapping[str, _Tally], exact: Exact) -> None:
    """Who knows a whole directory knows what lies in it. Not the other way round: one agent may claim any directory."""
    knowing = {name: frozenset(tally.known) for name, tally in tallies.items() if "*" in name}
    for name, tally in tallies.items() if knowing else ():
        for wider in covers(name, exact):
            if wider in knowing and wider != name:
                tally.known |= knowing[wider]
                tally.instances += len(knowing[wider])


class _Quorum:
    """Whether enough agents and instances have shown a behaviour."""

    def __init__(self, watching: int, replicas: int, config: FleetConfig) -> None:
        self._agents = min(config.agents, max(1, watching))
        self._instances = min(config.instances, max(1, replicas))
        self._majority = max(2, self._agents, ceil(config.share * watching))

    def learned(self, tally: _Tally, condemning: frozenset[str]) -> bool:
        """Agents that condemned it do not count; where there are any, the others must be two at least, and more."""
        agents = len(tally.known - condemning)
        if condemning and (agents < 2 or agents <= len(condemning)):
            return False
        return agents >= self._agents and tally.instances >= self._instances

    def agreed(self, tally: _Tally) -> bool:
        """A behaviour that alarmed, on so many agents that it is a change."""
        return len(tally.known | tally.held) >= self._majority


def _members(
    tallies: Mapping[str, _Tally], condemned: Mapping[str, frozenset[str]], quorum: _Quorum, people: Approved
) -> tuple[dict[str, Shown], set[str]]:
    """Members of the fleet, known and held; and the names that are not known to it."""
    members: dict[str, Shown] = {}
    refused: set[str] = set()
    for name, tally in tallies.items():
        against = condemned.get(name, frozenset())
        known = quorum.learned(tally, against) or (not against and quorum.agreed(tally)) or name in people.accepted
        if name in people.condemned or not known:
            refused.add(name)
        if name not in people.condemned and (known or not against):
            members[name] = tally.shown(held=not known)
    return members, refused


def _condemned(told: Mapping[str, ClassSnapshot], config: FleetConfig) -> dict[str, frozenset[str]]:
    """Who condemned what; of one agent only so much is taken."""
    found: dict[str, set[str]] = {}
    for agent, known in told.items():
        for name in sorted(known.condemned)[: config.max_condemned_per_agent]:
            found.setdefault(name, set()).add(agent)
    return {name: frozenset(agents) for name, agents in found.items()}


def _shunned(
    members: Mapping[str, Shown], condemned: Mapping[str, frozenset[str]], config: FleetConfig
) -> frozenset[str]:
    """What any agent condemned and the fleet does not know as normal; what most condemned first."""
    known = {name for name, shown in members.items() if not shown.held}
    order = sorted(condemned.keys() - known, key=lambda name: (-len(condemned[name]), name))
    return frozenset(order[: config.max_condemned])


def _bounded(members: Mapping[str, Shown], config: FleetConfig) -> dict[str, Shown]:
    """The members most agents have shown, most often; what has been seen by few makes room."""
    order = sorted(members.items(), key=lambda item: (-item[1].agents, -item[1].units, -item[1].times, item[0]))
    known = [item for item in order if not item[1].held][: config.max_members]
    return dict(known + [item for item in order if item[1].held][: config.max_held])


class _Evidence(NamedTuple):
    """What one agent adds to the bound: its windows, and the slots in which it met something new."""

    windows: tuple[Window, ...]
    novel_slots: frozenset[int]


def _evidence(known: ClassSnapshot, refused: set[str], slot_ns: int) -> _Evidence:
    """Every unit that showed what the agent learned and the fleet does not know counts as novel."""
    learned = {name: shown for name, shown in known.members.items() if not shown.held}
    extra = sum(shown.units for name, shown in learned.items() if name in refused)
    filled: list[Window] = []
    for units, novel in reversed(known.windows):
        taken = min(units - novel, extra)
        extra -= taken
        filled.append(Window(units, novel + taken))
    slots = frozenset(shown.first_ns // slot_ns for shown in learned.values())
    return _Evidence(tuple(reversed(filled)), slots)


def _worst(evidence: Mapping[str, _Evidence], confidence: float) -> tuple[Window, ...]:
    """All agents' windows but those of the one, of those with the most units, without whom the bound is worst."""
    everyone = _pooled(evidence.values())
    if len(evidence) < 2:
        return everyone
    weights = Counter({agent: sum(w.units for w in told.windows) for agent, told in evidence.items()})
    suspects = sorted(agent for agent, _ in weights.most_common(_SUSPECTS))
    sums = [everyone, *(_pooled(e for a, e in evidence.items() if a != suspect) for suspect in suspects)]
    return max(sums, key=lambda told: upper(told, confidence))


def _pooled(evidence: Iterable[_Evidence]) -> tuple[Window, ...]:
    """The sum of windows, as if agents that meet everything together were one."""
    told = [one for one in evidence if one.windows]
    together = _together(told)
    pooled = add_windows(one.windows for one in told)
    return tuple(
        Window(max(int(w.units / together), ceil(w.novel / together)), ceil(w.novel / together)) for w in pooled
    )


def _together(told: Sequence[_Evidence]) -> float:
    """How many agents tend to meet something new in the same slot, 1 to all of them."""
    agents = len(told)
    apart = sum(len(one.novel_slots) for one in told)
    slots = len(frozenset[int]().union(*(one.novel_slots for one in told)))
    return min(max((apart + agents) / (slots + 1), 1.0), float(max(agents, 1)))


def inherited(
    own: Mapping[str, ClassSnapshot], before: Mapping[str, ClassSnapshot], weight: float
) -> dict[str, ClassSnapshot]:
    """A version's classes with those of the version before it at reduced weight.

    What the predecessor did is known; its units count for `weight` of what they were, its novelty in full. That
    units of both versions are drawn alike is an assumption, the weaker the smaller the weight.
    """
    return {
        name: _inherit(own.get(name, ClassSnapshot()), before.get(name, ClassSnapshot()), weight)
        for name in sorted({*own, *before})
    }


def _inherit(own: ClassSnapshot, before: ClassSnapshot, weight: float) -> ClassSnapshot:
    lighter = {
        name: shown._replace(units=int(shown.units * weight), slots=int(shown.slots * weight))
        for name, shown in before.members.items()
        if name not in own.condemned
    }
    own_held = {name for name, shown in own.members.items() if shown.held and name in lighter}
    return replace(
        own,
        windows=add_windows((own.windows, scaled(before.windows, weight))),
        members={**lighter, **{n: s for n, s in own.members.items() if n not in own_held or lighter[n].held}},
        condemned=own.condemned | (before.condemned - own.members.keys()),
        instances=own.instances + before.instances,
        slots=own.slots + int(before.slots * weight),
    )


def add_windows(told: Iterable[Sequence[Window]]) -> tuple[Window, ...]:
    """Window by window, units and novel units added up."""
    zero = Window(0, 0)
    return tuple(
        Window(sum(w.units for w in column), sum(w.novel for w in column))
        for column in zip_longest(*told, fillvalue=zero)
    )


def scaled(windows: Sequence[Window], weight: float) -> tuple[Window, ...]:
    """So many of the units, with all of the novelty they brought: evidence that counts for less."""
    return tuple(Window(max(int(w.units * weight), w.novel), w.novel) for w in windows)


def upper(windows: Sequence[Window], confidence: float) -> float:
    """`unseen_upper` of summed windows."""
    units = sum(w.units for w in windows)
    spans = tuple(w.units for w in windows)
    return unseen_upper(Incidence(units=units, novel=tuple(w.novel for w in windows), spans=spans), confidence)
