"""A replay's course as tables: how profiles converge, what was raised wrongly, which intrusions stood out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.real.intrusions import INTRUSIONS
from bench.real.judge import Course, Point, Raised
from detection.baseline.profile import Profile
from detection.finding import Severity

_GRACE_NS = 30_000_000_000
_WEEK_H = 168.0
_MARKS = (16, 64, 256, 1024)  # units at which a curve is shown


@dataclass(frozen=True, slots=True)
class Deed:
    """An intrusion as the journal tells it."""

    name: str
    workload: str
    containers: tuple[str, ...]
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an intrusion raised: the loudest anomaly, and one of high severity that names the right thing.

    `alone`: the loudest that names it, had it been the only intrusion.
    """

    deed: Deed
    loudest: Raised | None
    named: Raised | None
    alone: Raised | None


def deeds(journal: Iterable[dict[str, Any]]) -> list[Deed]:
    """All intrusions of a journal."""
    rows = (line for line in journal if line["what"] == "intrusion")
    return [Deed(r["name"], r["workload"], tuple(r["containers"]), r["begin_ns"], r["time_ns"]) for r in rows]


def of_deed(raised: Raised, deed: Deed) -> bool:
    """Whether an anomaly belongs to an intrusion: its container, while it lasted or shortly after."""
    inside = deed.begin_ns <= raised.time_ns <= deed.end_ns + _GRACE_NS
    return inside and (raised.container in deed.containers or raised.workload == deed.workload)


def verdicts(course: Course, done: Sequence[Deed]) -> list[Verdict]:
    """One for each intrusion that was done."""
    words = {i.name: i.words for i in INTRUSIONS}
    found = []
    for number, deed in enumerate(done):
        mine = [r for r in course.raised if of_deed(r, deed)]
        right = [r for r in _naming(mine, words[deed.name]) if r.anomaly.severity >= Severity.HIGH]
        alone = _naming([r for r in course.alone.get(number, ()) if of_deed(r, deed)], words[deed.name])
        found.append(Verdict(deed, _loudest(mine), _loudest(right), _loudest(alone)))
    return found


def windows(done: Iterable[Deed]) -> list[tuple[int, int]]:
    """When each intrusion and what it set going happened."""
    return [(d.begin_ns, d.end_ns + _GRACE_NS) for d in done]


def _naming(raised: Iterable[Raised], words: Iterable[str]) -> list[Raised]:
    wanted = tuple(words)
    return [r for r in raised if any(word in r.anomaly.member for word in wanted)]


def _loudest(raised: Iterable[Raised]) -> Raised | None:
    return max(raised, key=_loudness, default=None)


def _loudness(raised: Raised) -> tuple[int, float]:
    return raised.anomaly.severity, raised.anomaly.surprise


def said(raised: Raised) -> str:
    """All words of an anomaly."""
    return " ".join((raised.anomaly.member, *raised.anomaly.reasons))


def benign(course: Course, done: Sequence[Deed]) -> list[Raised]:
    """Anomalies that belong to no intrusion. Aftermath counts as the intrusion's: its containers, from then on."""
    return [r for r in course.raised if not any(of_deed(r, d) or _after(r, d) for d in done)]


def _after(raised: Raised, deed: Deed) -> bool:
    return raised.container in deed.containers and raised.time_ns > deed.begin_ns


def convergence(course: Course) -> str:
    """A row for each class that was ever used: members and bound on the way, when it became stable, its state now."""
    marks = " | ".join(f"{m} units" for m in _MARKS)
    rows = [
        f"| workload | class | {marks} | end: units | members | complete | unseen ≤ | state | stable after |",
        "|---" * (8 + len(_MARKS)) + "|",
    ]
    for (workload, behaviour), curve in sorted(course.curves.items()):
        last = curve[-1]
        if not last.units or ("/" in behaviour and not last.members):
            continue
        cells = [_cell(curve, mark) for mark in _MARKS]
        rows.append(
            f"| {workload} | {behaviour} | {' | '.join(cells)} | {last.units} | {last.members}"
            f" | {100 * last.completeness:.1f} % | {100 * last.unseen_upper:.2f} % | {last.state}"
            f" | {_stable_after(curve, course.first_ns)} |"
        )
    return "\n".join(rows)


def _cell(curve: Sequence[Point], mark: int) -> str:
    """Members and unseen bound when so many units were seen."""
    before = [p for p in curve if p.units <= mark]
    if not before or curve[-1].units < mark:
        return "–"
    return f"{before[-1].members} ({100 * before[-1].unseen_upper:.0f} %)"


def _stable_after(curve: Sequence[Point], begin_ns: int) -> str:
    first = next((p for p in curve if p.state == "stable"), None)
    return f"{first.units} units, {(first.time_ns - begin_ns) / 60e9:.1f} min" if first else "never"


def stable_since(course: Course) -> dict[tuple[str, str], int]:
    """When each class first was stable (ns)."""
    firsts = ((key, next((p for p in curve if p.state == "stable"), None)) for key, curve in course.curves.items())
    return {key: point.time_ns for key, point in firsts if point is not None}


def budget(course: Course, done: Sequence[Deed], slot_s: float, until_ns: int) -> str:
    """Anomalies of benign load: by severity, an hour of what was recorded, and what that is a week of usual slots."""
    rows = [
        "| workload | hours since stable | low | medium | high | ≥ medium per hour | per week of 60 s slots |",
        "|---" * 7 + "|",
    ]
    since = stable_since(course)
    wrong = [r for r in benign(course, done) if r.time_ns <= until_ns]
    for workload in sorted({name for name, _ in course.curves}):
        begin = min((t for (name, _), t in since.items() if name == workload), default=0)
        if not begin:
            rows.append(f"| {workload} | 0 (never stable) | – | – | – | – | – |")
            continue
        hours = max(1e-9, (until_ns - begin) / 3600e9)
        counts = Counter(r.anomaly.severity for r in wrong if r.workload == workload and r.time_ns >= begin)
        loud = sum(n for severity, n in counts.items() if severity >= Severity.MEDIUM)
        rows.append(
            f"| {workload} | {hours:.2f} | {counts[Severity.LOW]} | {counts[Severity.MEDIUM]}"
            f" | {sum(n for s, n in counts.items() if s >= Severity.HIGH)}"
            f" | {loud / hours:.2f} | {loud / hours * slot_s / 60 * _WEEK_H:.1f} |"
        )
    return "\n".join(rows)


def intrusions(found: Sequence[Verdict]) -> str:
    """A row for each, and how many stood out."""
    rows = ["| intrusion | in | stands out | alone | class | what it says | surprise |", "|---" * 7 + "|"]
    rows += [_row(v) for v in found]
    loud = sum(v.named is not None for v in found)
    alone = sum(v.alone is not None and v.alone.anomaly.severity >= Severity.HIGH for v in found)
    told = (
        f"{loud} of {len(found)} stand out at high severity and are named rightly; {alone} if each were the only one."
    )
    return "\n".join([*rows, "", told])


def _row(verdict: Verdict) -> str:
    shown = verdict.named or verdict.loudest
    name, where = verdict.deed.name, verdict.deed.workload
    if shown is None:
        return f"| {name} | {where} | no | no | – | nothing | – |"
    level = shown.anomaly.severity.label + ("" if verdict.named else ", not named")
    first = shown.anomaly.member.replace("|", "\\|")
    alone = verdict.alone.anomaly.severity.label if verdict.alone else "no"
    what = f"{shown.anomaly.behaviour} | `{first[:110]}` | {shown.anomaly.surprise:.1f}"
    return f"| {name} | {where} | {level} | {alone} | {what} |"


def listing(raised: Iterable[Raised], begin_ns: int, least: Severity) -> Iterator[str]:
    """One line for each anomaly from `least` on, for a person who looks into it."""
    for r in raised:
        if r.anomaly.severity >= least:
            minutes = (r.time_ns - begin_ns) / 60e9
            a = r.anomaly
            rank = f"{a.severity.label:13} {a.surprise:4.1f} {a.state:8}"
            yield f"{minutes:6.1f} {r.workload:9} {rank} {a.phase}/{a.behaviour:10} {a.member}"


def members(profiles: Iterable[Profile], part: str, begin_ns: int) -> Iterator[str]:
    """What the classes of the workloads with `part` in their key hold, in the order it was first seen."""
    for profile in profiles:
        if part not in profile.workload:
            continue
        for key, known in profile.classes.items():
            rows = sorted(known.members.values(), key=lambda m: m.first_ns)
            yield f"\n{profile.workload} {key}: {len(rows)} members, {len(known.quarantine)} held"
            yield from (f"{(m.first_ns - begin_ns) / 60e9:6.1f} {m.units:5} units  {m.name[:150]}" for m in rows)
            yield from (f"  held {h.count:5} times  {h.name[:150]}" for h in known.quarantine.values())
