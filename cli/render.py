"""Findings and incidents for a person at a terminal. Every string is cleaned: it may come from an attacker."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from collector.plain import plain

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}
_ORDER = {"critical": 5, "high": 4, "medium": 3, "low": 2, "informational": 1}
_TIMELINE = 24
_JOINS = 10
_EVIDENCE = ("CommandLine", "TargetFilename", "Image", "DestinationIp", "objectRef.name", "requestURI")


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
    parts += _section("Timeline (UTC)", _timeline(incident["findings"]))
    parts += _section("Why these belong together", _joins(incident["joins"], incident["findings"]))
    parts += _section("Score", _lines(incident["score_parts"]))
    parts += _section("Look closer", _closer(incident))
    title = Text(f" {plain(incident['title'], 200)} ", style="bold")
    style = _COLOURS.get(incident["severity"], "white")
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style=style, padding=(1, 2)))


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
    text = Text.assemble(_severity(incident["severity"].upper()), f"score {incident['score']:.0f}/100   ")
    text.stylize(_COLOURS.get(incident["severity"], "white"), 0, len(incident["severity"]))
    text.append(f"{len(incident['findings'])} findings from {', '.join(map(plain, incident['sources']))}\n")
    text.append("Who   ", style="dim").append(_actors(incident["actors"]) + "\n", style="bold")
    text.append("What  ", style="dim").append(" → ".join(plain(t, 40) for t in incident["tactics"]) or "-")
    text.append("\nId    ", style="dim").append(f"{plain(incident['id'], 64)} revision {incident['revision']}")
    return text


def _actors(actors: Sequence[Mapping[str, str]]) -> str:
    shown = [f"{plain(a['kind'], 24).replace('_', ' ')} {plain(a['name'] or a['id'], 80)}" for a in actors[:6]]
    more = len(actors) - len(shown)
    return (", ".join(shown) or "unknown") + (f" and {more} more" if more > 0 else "")


def _timeline(findings: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table.grid(padding=(0, 2), expand=True)
    for width in (12, 13, 10):
        table.add_column(width=width, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for number, finding in enumerate(findings[:_TIMELINE], 1):
        table.add_row(
            Text(clock(finding["time_ns"]), style="dim"),
            Text(*_severity(finding["severity"])),
            Text(_kind(finding), style="dim"),
            _what(number, finding),
        )
    if len(findings) > _TIMELINE:
        table.add_row("", "", "", Text(f"… and {len(findings) - _TIMELINE} more (--format json)", style="dim"))
    return table


def _kind(finding: Mapping[str, Any]) -> str:
    return "audit" if finding["source"].endswith("audit") else plain(finding["kind"], 10)


def _what(number: int, finding: Mapping[str, Any]) -> Text:
    text = Text(f"#{number} ", style="dim").append(plain(finding["title"], 160), style="not dim")
    if finding["count"] > 1:
        text.append(f" ×{finding['count']}", style="not dim yellow")
    if finding["lossy"]:
        text.append(" (events were lost around then)", style="not dim red")
    detail = _evidence(finding)
    return text.append(f"\n   {detail}", style="dim") if detail else text


def _evidence(finding: Mapping[str, Any]) -> str:
    fields = finding["fields"]
    what = next((plain(fields[name], 140) for name in _EVIDENCE if fields.get(name)), "")
    techniques = " ".join(plain(t, 12) for t in finding["techniques"][:3])
    return "  ".join(part for part in (what, _where(finding), techniques) if part)


def _where(finding: Mapping[str, Any]) -> str:
    kinds = ("pod_name", "pod", "container", "user", "node")
    found = {e["kind"]: e for e in reversed(finding["entities"]) if e["kind"] in kinds}
    best = next((found[kind] for kind in kinds if kind in found), None)
    return "" if best is None else f"{best['kind'].removesuffix('_name')} {plain(best['name'] or best['id'], 64)}"


def _joins(joins: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]]) -> RenderableType:
    number = {finding["id"]: f"#{n}" for n, finding in enumerate(findings, 1)}
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=9, no_wrap=True)
    table.add_column(width=4, no_wrap=True)
    table.add_column(width=20, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for join in _telling(joins)[:_JOINS]:
        ends = f"{number.get(join['from'], '?')}–{number.get(join['to'], '?')}"
        table.add_row(
            Text(ends),
            Text(f"{join['confidence']:.0%}"),
            Text(plain(join["key"], 40), style="cyan"),
            Text(plain(join["reason"], 240)),
        )
    if len(joins) > _JOINS:
        table.add_row("", "", "", Text(f"… and {len(joins) - _JOINS} more joins (--format json)", style="dim"))
    return table


def _telling(joins: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Joins in their order, but the first of each kind of key before its repetitions."""
    first: dict[str, Mapping[str, Any]] = {}
    for join in joins:
        first.setdefault(join["key"], join)
    return [*first.values(), *(join for join in joins if first[join["key"]] is not join)]


def _closer(incident: Mapping[str, Any]) -> RenderableType:
    worst_first = sorted(incident["findings"], key=lambda f: -_ORDER.get(f["severity"], 0))
    advice = list(dict.fromkeys(plain(f["advice"], 300) for f in worst_first if f["advice"]))[:4]
    return _lines([*advice, f"vedette incidents show {plain(incident['id'], 64)[:12]} --format json"])


def _lines(lines: Sequence[str]) -> RenderableType:
    return Text("\n".join(f"• {plain(line, 300)}" for line in lines) or "-")


def _section(title: str, body: RenderableType) -> list[RenderableType]:
    return [Text(f"\n{title}", style="bold underline"), Padding(body, (0, 0, 0, 0))]
