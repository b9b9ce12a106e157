"""Profiles on a terminal."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from agent.learn.examples import would_raise
from cli.baseline.facts import budget_of, label_of, new_a_week, slot_s
from cli.baseline.places import ClassLine, Summary
from cli.baseline.recordings import Recording
from cli.baseline.text import STYLES, TITLES, clean, count, day, minute
from cli.baseline.yaml_text import order_of
from detection.baseline.decision import Decisions
from detection.baseline.interval import sample_coverage
from detection.baseline.keys import ClassKey, Phase
from detection.baseline.members import INSTANCE_BITS
from detection.baseline.profile import ClassProfile, Held, Member, Profile

_ARROW = " → "
_LEGEND = (
    "  A unit is one instance during one slot of {:g} s. runtime: who starts a container; outside: came in from\n"
    "  outside, as by kubectl exec; own: the workload's own programs; <n>, <hex>, *: what varies."
)
_UNITS = {Phase.STEADY: "unit", Phase.STARTUP: "start", Phase.SHUTDOWN: "stop"}


def print_list(console: Console, found: Sequence[Summary]) -> None:
    """Every profile: what is known of each class; classes in which nothing happened in one line."""
    for summary in found:
        title = _title(summary.workload, summary.version).append(f"  {summary.watchers}", style="dim")
        console.print(title.append("  locked", style="bold cyan") if summary.locked else title)
        busy = [line for line in summary.classes if line.members or line.held or line.condemned]
        if busy:
            console.print(_classes(sorted(busy, key=lambda line: order_of(line.name))))
        for state, names in _idle(line for line in summary.classes if line not in busy):
            console.print(Text(f"  nothing seen, {state}: ", style="dim").append(", ".join(names), style="dim"))


def _idle(lines: Iterable[ClassLine]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.units:
            found.setdefault(line.state, []).append(line.name)
    return sorted(found.items())


def _classes(lines: Sequence[ClassLine]) -> Text:
    wide = max(len(line.name) for line in lines)
    text = Text(f"  {'class':{wide}}  state     complete  unseen ≤   units  members  waiting  condemned", style="dim")
    for line in lines:
        text.append(f"\n  {line.name:{wide}}  ", style="default")
        text.append(f"{line.state:8}", style=STYLES.get(line.state, "default"))
        figures = (
            f"{100 * line.completeness:6.1f} %  {100 * line.unseen_upper:6.2f} %  {line.units:6}  {line.members:7}"
        )
        text.append(f"  {figures}  {line.held or '–':>7}  {line.condemned or '–':>9}", style="default")
    return text


def print_profile(
    console: Console, profile: Profile, decided: Decisions, recording: Recording | None, limit: int
) -> None:
    """One profile, for a person."""
    console.print(_title(profile.workload, profile.version))
    _head(console, profile, decided, recording)
    classes = sorted(profile.classes.items(), key=lambda item: order_of(str(item[0])))
    idle = []
    for key, known in classes:
        if known.members or known.quarantine or known.condemned or str(key) in decided.condemned:
            _class(console, key, known, decided, limit, slot_s(profile))
        elif known.units:
            idle.append((key, known))
    _nothing(console, idle)
    console.print(Text("\nWhat would raise an alarm now", style="bold"))
    for kind, member, surprise, severity in would_raise(profile):
        console.print(Text(f"  {label_of(severity):14} surprise {surprise:4.1f}  {kind:10} {clean(member)}"))


def _head(console: Console, profile: Profile, decided: Decisions, recording: Recording | None) -> None:
    instances = max((len(known.instances) for known in profile.classes.values()), default=0)
    console.print(f"  {count(instances, 'instance')} watched, last seen {minute(profile.last_ns)}", style="dim")
    if told := budget_of(profile):
        line = Text(f"  Budget of {told['per_week']:g} false anomalies a week ")
        console.print(line.append(told["sentence"]))
    if decided.lock:
        names = ", ".join(sorted(decided.accepted, key=order_of)) or "none"
        console.print(Text(f"  Locked: {names}. What is not accepted there raises HIGH.", style="bold cyan"))
    if recording is not None:
        console.print(Text(f"  System calls: {recording.sentence}"))
    console.print(Text(_LEGEND.format(slot_s(profile)), style="dim"))


def _title(workload: str, version: str) -> Text:
    return Text(clean(workload), style="bold").append(f"  {clean(version)}", style="dim")


def _class(
    console: Console, key: ClassKey, known: ClassProfile, decided: Decisions, limit: int, seconds: float
) -> None:
    console.print()
    state = known.state.value
    when = "" if key.phase is Phase.STEADY else f" during {key.phase.value}"
    console.print(Text(f"{TITLES[key.behaviour]}{when}: ", style="bold").append(state, style=STYLES[state]))
    console.print(_standing(key, known, seconds))
    accepted = decided.accepted.get(str(key), frozenset())
    unit = _UNITS[key.phase]
    ordered = sorted(known.members.values(), key=lambda m: (-m.units, -m.count, m.name))
    _table(console, ordered, limit, lambda m: _seen(m, known, unit, accepted))
    held = sorted(known.quarantine.values(), key=lambda h: (-len(h.instances), -h.count, h.name))
    waiting = [h for h in held if h.name not in accepted and not decided.condemns(key, h.name)]
    if waiting:
        console.print(
            Text("  waits, not learned, until enough others show it or a person approves it:", style="yellow")
        )
        _table(console, waiting, limit, lambda m: _seen(m, known, unit, accepted))
    against = sorted({*known.condemned, *decided.condemned.get(str(key), ())})
    if against:
        console.print(Text("  condemned, never learned:", style="red"))
        by = decided.condemned.get(str(key), frozenset())
        for name in against[:limit]:
            who = "a person" if name in by else f"a rule, seen {count(known.condemned[name], 'time')} since"
            console.print(Text(f"    by {who}: {clean(name)}"))
        _more(console, len(against), limit)


def _standing(key: ClassKey, known: ClassProfile, seconds: float) -> Text:
    covered, unit = sample_coverage(known.slot_incidence), _UNITS[key.phase]
    between = f" ({100 * covered.low:.1f}-{100 * covered.high:.1f} %)" if known.members else ""
    text = Text(
        f"  {100 * known.completeness:.1f} % complete{between}; at most {100 * known.unseen_upper:.2f} % of {unit}s "
        f"bring something new ({count(known.units, unit)}, {count(len(known.instances), 'instance')})"
    )
    if key.phase is Phase.STEADY and known.slots:
        week = new_a_week(known, seconds)
        text.append(f"; {_about(week.estimate)} new a week ({_about(week.low)}-{_about(week.high)})")
    if known.churns:
        text.append(f"\n  {known.churns}: alarms stay low", style=STYLES["churning"])
    if known.loss_left:
        text.append(f"\n  events were lost: {count(known.loss_left, f'clean {unit}')} to go", style="red")
    return text


def _about(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _seen(member: Member | Held, known: ClassProfile, unit: str, accepted: frozenset[str]) -> Sequence[str]:
    """How often, on how many instances and since when."""
    since = f"since {day(member.first_ns)}"
    if isinstance(member, Held):
        return "", f"{member.count}×", count(len(member.instances), "instance"), since
    least = "≥ " if len(known.instances) > INSTANCE_BITS else ""
    note = ", accepted" if member.name in accepted else ""
    spread = f"{least}{count(member.spread, 'instance')}"
    return count(member.units, unit), f"{member.count}×", spread, f"{since}{note}"


def _table(
    console: Console, members: Sequence[Member] | Sequence[Held], limit: int,
    seen: Callable[[Member | Held], Sequence[str]],
) -> None:  # fmt: skip
    """Members in order, one heading for each program that does several things."""
    shown = _by_actor(members[:limit])
    rows = [seen(member) for member in shown]
    wide = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = {
        m.name: f"    {row[0]:>{wide[0]}}  {row[1]:>{wide[1]}}  {row[2]:{wide[2]}}  {row[3]:{wide[3]}}  "
        for m, row in zip(shown, rows, strict=True)
    }
    for actor, group in groupby(shown, key=lambda m: _actor(m.name)):
        together = list(group)
        alone = len(together) == 1 or not actor
        if not alone:
            console.print(Text(f"  {clean(actor)}"))
        for member in together:
            name = member.name if alone else f"→ {member.name.partition(_ARROW)[2]}"
            console.print(Text(lines[member.name], style="dim").append(clean(name), style="default"))
    _more(console, len(members), limit)


def _by_actor(members: Sequence[Member] | Sequence[Held]) -> list[Member | Held]:
    """Those of one program together, programs in the order of their first."""
    groups: dict[str, list[Member | Held]] = {}
    for member in members:
        groups.setdefault(_actor(member.name), []).append(member)
    return [member for group in groups.values() for member in group]


def _actor(name: str) -> str:
    before, arrow, _ = name.partition(_ARROW)
    return before if arrow else ""


def _more(console: Console, total: int, limit: int) -> None:
    if total > limit:
        console.print(Text(f"    … and {total - limit} more (--limit)", style="dim"))


def _nothing(console: Console, idle: Sequence[tuple[ClassKey, ClassProfile]]) -> None:
    """Classes in which nothing happened, folded by state and phase."""
    groups: dict[tuple[str, Phase], list[tuple[ClassKey, ClassProfile]]] = {}
    for key, known in idle:
        groups.setdefault((known.state.value, key.phase), []).append((key, known))
    if groups:
        console.print()
    for (state, phase), shown in groups.items():
        names = ", ".join(TITLES[key.behaviour].lower() for key, _ in shown)
        when = "" if phase is Phase.STEADY else f" during {phase.value}"
        units = count(min(known.units for _, known in shown), _UNITS[phase])
        console.print(Text(f"Nothing{when} in {units}, ").append(state, style=STYLES[state]).append(f": {names}"))
