"""Findings and incidents for a person at a terminal. Every string is cleaned: it may come from an attacker."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.story import Step, commands_line, most_telling, steps_of
from collector.plain import plain

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}
_ORDER = {"critical": 5, "high": 4, "medium": 3, "low": 2, "informational": 1}
_STEPS = 16
_JOINS = 10


def clock(time_ns: int, *, date: bool = False) -> str:
    """A Unix time in nanoseconds, UTC: 12:00:00.123, with the date if asked."""
    seconds, rest = divmod(time_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest // 10**6:03d}" if date else f"{moment:%H:%M:%S}.{rest // 10**6:03d}"


def render_incident(incident: Mapping[str, Any], console: Console) -> None:
    """Print one incident (`Incident.as_dict`): timeline, who, joins, score, how to look closer."""
    parts: list[RenderableType] = [_summary(incident)]
    parts += _section("What happened (UTC)", _timeline(steps_of(incident["findings"])))
    parts += _section("Why these belong together", _joins(incident["joins"]))
    parts += _section("Score", _lines(incident["score_parts"]))
    parts += _section("Look closer", _closer(incident))
    style = _COLOURS.get(incident["severity"], "white")
    console.print(Panel(Group(*parts), border_style=style, padding=(1, 2)))


def incident_line(incident: Mapping[str, Any]) -> Text:
    """One line about an incident: whole, or a summary with `finding_count`."""
    count = incident.get("finding_count", len(incident.get("findings", ())))
    line = Text.assemble((clock(incident["last_ns"], date=True), "dim"), "  ", _severity(incident["severity"]))
    line.append(f"  {plain(incident['id'], 64)[:12]:12}  {incident['score']:>5.1f}  {count:>3} findings  ")
    return line.append(plain(incident["title"], 200), style="bold")


def finding_line(finding: Mapping[str, Any]) -> Text:
    """One line about a finding."""
    line = Text.assemble((clock(finding["time_ns"], date=True), "dim"), "  ", _severity(finding["severity"]), "  ")
    line.append(f"{plain(finding['source'], 24):16} ").append(plain(finding["title"], 160))
    where = _where(finding)
    return line.append(f"  [{where}]", style="dim") if where else line


def print_line(line: Text) -> None:
    """To standard output, unbroken however wide."""
    Console(soft_wrap=True, highlight=False).print(line)


def _severity(label: str) -> tuple[str, str]:
    return f"{plain(label, 16):13}", _COLOURS.get(label, "white")


def _summary(incident: Mapping[str, Any]) -> Text:
    style = _COLOURS.get(incident["severity"], "white")
    text = Text(plain(incident["title"], 400), style="bold")
    text.append(f"\n{plain(incident['severity'], 16).upper()}", style=style)
    text.append(f"  score {incident['score']:.0f} of 100, {len(incident['findings'])} findings from ", style="not bold")
    text.append(f"{' and '.join(plain(s, 24) for s in incident['sources'])}\n\n", style="not bold")
    for label, value in (
        ("Who", _actors(incident["actors"])),
        ("What", " → ".join(plain(t, 40) for t in incident["tactics"]) or "-"),
        ("Id", plain(incident["id"], 64)),
    ):
        text.append(f"{label:6}", style="not bold dim").append(f"{value}\n", style="not bold")
    text.rstrip()
    return text


def _actors(actors: Sequence[Mapping[str, str]]) -> str:
    """People and accounts; processes only where nobody else is known."""
    named = [a for a in actors if a["kind"] != "process"] or list(actors)
    shown = [f"{plain(a['kind'], 24).replace('_', ' ')} {plain(a['name'] or a['id'], 80)}" for a in named[:6]]
    more = len(named) - len(shown)
    return (", ".join(shown) or "unknown") + (f" and {more} more" if more > 0 else "")


def _timeline(steps: Sequence[Step]) -> RenderableType:
    shown = most_telling(steps, _STEPS)
    table = Table.grid(padding=(0, 2), expand=True)
    for width in (12, 13):
        table.add_column(width=width, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for step in shown:
        severity = plain(step.severity, 16)
        table.add_row(
            Text(clock(step.time_ns), style="dim"),
            Text(severity, style=_COLOURS.get(severity, "white")),
            _what(step),
        )
    if len(steps) > len(shown):
        table.add_row("", "", Text(f"… and {len(steps) - len(shown)} smaller steps (--format json)", style="dim"))
    return table


def _what(step: Step) -> Text:
    text = Text(step.headline, style="bold").append(f"  {step.place}", style="not bold cyan")
    if step.lossy:
        text.append("  events were lost around then", style="not bold red")
    line = commands_line(step)
    if line:
        text.append(f"\n{line}", style="not bold")
    for about in _about(step):
        text.append(f"\n{about}", style="not bold dim")
    return text


def _about(step: Step) -> list[str]:
    """What else is known of a step: what it touched, how unusual it was, which techniques."""
    notes = [f"touched {', '.join(step.objects[:3])}"] if step.objects else []
    if step.surprise:
        notes.append(f"new for this workload: chance 1 in 10^{step.surprise:.1f}")
    notes.append(" ".join(dict.fromkeys(plain(t, 12) for f in step.findings for t in f["techniques"])))
    return [" · ".join(note for note in notes if note)]


def _where(finding: Mapping[str, Any]) -> str:
    kinds = ("pod_name", "pod", "container", "user", "node")
    found = {e["kind"]: e for e in reversed(finding["entities"]) if e["kind"] in kinds}
    best = next((found[kind] for kind in kinds if kind in found), None)
    return "" if best is None else f"{best['kind'].removesuffix('_name')} {plain(best['name'] or best['id'], 64)}"


def _joins(joins: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One row for each kind of key: its first join in words, and how many more there are."""
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for join in joins:
        by_key.setdefault(join["key"], []).append(join)
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=4, no_wrap=True)
    table.add_column(width=17, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for key, alike in sorted(by_key.items(), key=lambda item: (len(item[1]), -item[1][0]["confidence"]))[:_JOINS]:
        reason = Text(plain(alike[0]["reason"], 300))
        if len(alike) > 1:
            reason.append(f" (and {len(alike) - 1} more like it)", style="dim")
        table.add_row(Text(f"{alike[0]['confidence']:.0%}"), Text(plain(key, 40), style="cyan"), reason)
    return table


def _closer(incident: Mapping[str, Any]) -> RenderableType:
    worst_first = sorted(incident["findings"], key=lambda f: -_ORDER.get(f["severity"], 0))
    advice = list(dict.fromkeys(plain(f["advice"], 300) for f in worst_first if f["advice"]))[:4]
    return _lines([*advice, f"vedette incidents show {plain(incident['id'], 64)[:12]} --format json"])


def _lines(lines: Sequence[str]) -> RenderableType:
    return Text("\n".join(f"• {plain(line, 300)}" for line in lines) or "-")


def _section(title: str, body: RenderableType) -> list[RenderableType]:
    return [Text(f"\n{title}", style="bold underline"), Padding(body, (0, 0, 0, 0))]
