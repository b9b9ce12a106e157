"""`vedette baseline`: what the agent has learned, from its profile file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.learn.examples import would_raise
from agent.learn.habits import habits_of
from agent.learn.store import ProfileFileError, read_profiles
from detection.baseline.archive import profile_to_dict
from detection.baseline.budget import state_of
from detection.baseline.interval import sample_coverage
from detection.baseline.keys import ClassKey, Phase
from detection.baseline.profile import ClassProfile, Held, Member, Profile, ProfileConfig
from detection.finding import Severity

_FILE = click.option(
    "--file",
    "file_",
    type=click.Path(dir_okay=False, path_type=Path),
    default="/var/lib/vedette/profiles.json",
    show_default=True,
    help="Profile file of an agent.",
)
_FORMAT = click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
_TARGET = click.option(
    "--target", type=click.FloatRange(1e-6, 0.5), default=ProfileConfig().target, show_default=True,
    help="Unseen mass at which the agent calls a class stable.",
)  # fmt: skip
_STYLES = {"stable": "green", "learning": "yellow", "churning": "magenta", "lossy": "red"}
_TITLES = {
    "exec": "Programs started", "write": "Files written", "read": "Files read", "egress": "Connections made",
    "ingress": "Connections taken", "listen": "Ports and sockets listened on", "credential": "Identities taken",
    "capability": "Capabilities held or gained", "call": "Privileged calls",
}  # fmt: skip


@click.group()
def command() -> None:
    """Show what the agent has learned: profiles, how complete they are, what would raise an alarm."""


@command.command("list")
@_FILE
@_TARGET
@_FORMAT
def list_(file_: Path, target: float, format_: str) -> None:
    """Every profile with the state of its classes."""
    profiles = _read(file_, target)
    if format_ == "json":
        click.echo(json.dumps([_summary(p) for p in profiles], indent=2))
        return
    if not profiles:
        click.echo(f"No profiles in {file_}. The agent writes them at every heartbeat; give --file for another place.")
        return
    console = Console(highlight=False, soft_wrap=True)
    for profile in profiles:
        console.print(_title(profile))
        console.print(_classes(profile))


@command.command("show")
@click.argument("workload")
@_FILE
@_TARGET
@click.option("--limit", type=click.IntRange(1), default=40, show_default=True, help="Members shown per class.")
@_FORMAT
def show(workload: str, file_: Path, target: float, limit: int, format_: str) -> None:
    """One workload: its members and what would raise an alarm. WORKLOAD may be any unambiguous part of the key."""
    chosen = _choose(_read(file_, target), workload, file_)
    if format_ == "json":
        documents = [{**profile_to_dict(p), "summary": _summary(p), "would_raise": _examples(p)} for p in chosen]
        click.echo(json.dumps(documents, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    for profile in chosen:
        _show(console, profile, limit)


def _read(path: Path, target: float) -> list[Profile]:
    try:
        profiles = read_profiles(path, ProfileConfig(target=target))
    except ProfileFileError as error:
        raise click.ClickException(str(error)) from error
    return sorted(profiles, key=lambda p: (p.workload, p.version))


def _choose(profiles: list[Profile], wanted: str, path: Path) -> list[Profile]:
    """All versions of the one workload that is meant. Raises: ClickException."""
    keys = {p.workload for p in profiles}
    matches = {wanted} if wanted in keys else {key for key in keys if wanted in key}
    if len(matches) != 1:
        known = "\n  ".join(_clean(k) for k in sorted(matches or keys)[:20]) or "(none)"
        problem = "several profiles match" if matches else "no profile matches"
        raise click.ClickException(f"{path}: {problem} {_clean(wanted)!r}; name one of\n  {known}")
    return [p for p in profiles if p.workload in matches]


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "workload": profile.workload,
        "version": profile.version,
        "classes": {str(key): _class_summary(known) for key, known in profile.classes.items()},
        "budget": _budget(profile),
    }


def _budget(profile: Profile) -> dict[str, Any] | None:
    habits = habits_of(profile)
    if habits is None:
        return None
    state = state_of(*habits)
    return {**asdict(state), "status": state.status.value, "sentence": state.sentence}


def _class_summary(known: ClassProfile) -> dict[str, Any]:
    covered = sample_coverage(known.slot_incidence)
    return {
        "state": known.state.value,
        "completeness": round(known.completeness, 6),
        "completeness_95": [round(share, 6) for share in (covered.low, covered.high)],
        "unseen_upper": round(known.unseen_upper, 6),
        "unseen_items": round(known.unseen_items, 2),
        "units": known.units,
        "instances": len(known.instances),
        "members": len(known.members),
        "quarantined": len(known.quarantine),
        "condemned": len(known.condemned),
        "refused": known.overflow,
    }


def _examples(profile: Profile) -> list[dict[str, Any]]:
    return [
        {"behaviour": kind, "member": member, "surprise": round(surprise, 2), "severity": _label(severity)}
        for kind, member, surprise, severity in would_raise(profile)
    ]


def _label(severity: Severity | None) -> str:
    return severity.label if severity is not None else "not reported"


def _clean(text: str) -> str:
    """Fit for a terminal: no control, no invisible and no direction-changing characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _title(profile: Profile) -> Text:
    return Text(_clean(profile.workload), style="bold").append(f"  {_clean(profile.version)}", style="dim")


def _classes(profile: Profile) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1), pad_edge=False)
    table.add_column("  class", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("complete", "unseen ≤", "units", "instances", "members", "held"):
        table.add_column(name, justify="right", no_wrap=True)
    for key, known in profile.classes.items():
        table.add_row(f"  {key}", *_figures(known))
    return table


def _figures(known: ClassProfile) -> Sequence[Text | str]:
    state = known.state.value
    return (
        Text(state, style=_STYLES[state]),
        f"{100 * known.completeness:.1f} %",
        f"{100 * known.unseen_upper:.2f} %",
        str(known.units),
        str(len(known.instances)),
        str(len(known.members)),
        str(len(known.quarantine)),
    )


def _show(console: Console, profile: Profile, limit: int) -> None:
    console.print(_title(profile))
    for key, known in profile.classes.items():
        console.print()
        console.print(_class_line(key, known))
        if known.members:
            console.print(_members(known.members.values(), limit, "known"))
        if known.quarantine:
            console.print(Text("  held back, not learned:", style="yellow"))
            console.print(_members(known.quarantine.values(), limit, "held"))
    console.print()
    if told := _budget(profile):
        line = Text(f"Budget of {told['per_week']:g} false anomalies a week ", style="bold")
        console.print(line.append(told["sentence"], style="default"))
    console.print(Text("What would raise an alarm now", style="bold"))
    for kind, member, surprise, severity in would_raise(profile):
        console.print(Text(f"  {_label(severity):14} surprise {surprise:4.1f}  {kind:6} {_clean(member)}"))


def _class_line(key: ClassKey, known: ClassProfile) -> Text:
    state = known.state.value
    when = "" if key.phase is Phase.STEADY else f" during {key.phase.value}"
    line = Text(f"{_TITLES[key.behaviour]}{when} ", style="bold").append(state, style=_STYLES[state])
    covered = sample_coverage(known.slot_incidence)
    between = f" ({100 * covered.low:.1f}-{100 * covered.high:.1f} %)" if known.members else ""
    line.append(
        f"  {100 * known.completeness:.1f} % complete{between}; the next unit brings something new in at most "
        f"{100 * known.unseen_upper:.2f} % of cases ({known.units} units, {len(known.instances)} instances, "
        f"about {known.unseen_items:.0f} behaviours still unseen)"
    )
    if known.churns:
        line.append(f"  {known.churns}: alarms stay low", style=_STYLES["churning"])
    if known.loss_left:
        line.append(f"  events were lost: {known.loss_left} clean units to go", style="red")
    return line


def _members(members: Iterable[Member | Held], limit: int, what: str) -> Table:
    ordered = sorted(members, key=lambda m: (-_units(m), -m.count, m.name))
    table = Table(box=None, show_header=False, padding=(0, 2))
    for justify in ("right", "right", "left"):
        table.add_column(justify=justify, overflow="fold")
    for member in ordered[:limit]:
        seen = f"{member.units} units" if isinstance(member, Member) else f"{len(member.instances)} instances"
        table.add_row(seen, f"{member.count} times", Text(_clean(member.name)))
    if len(ordered) > limit:
        table.add_row("", "", Text(f"… and {len(ordered) - limit} more {what} (--limit)", style="dim"))
    return table


def _units(member: Member | Held) -> int:
    return member.units if isinstance(member, Member) else 0
