"""`vedette baseline diff`."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from agent.baseline_files import BaselineFileError, read_baseline
from cli.baseline.comparison import Difference, View, differences
from cli.baseline.exporting import known_of
from cli.baseline.places import Place, at_a_place, find
from cli.baseline.text import TITLES, clean, count
from cli.baseline.yaml_text import order_of
from detection.baseline.decision import combined
from detection.baseline.keys import ClassKey, Phase

_MARKS = {"added": ("+", "green"), "gone": ("-", "red"), "changed": ("~", "yellow")}


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="[B]", required=False)
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--exit-code", is_flag=True, help="Leave with 1 where they differ.")
@at_a_place
def diff(place: Place, before: str, after: str | None, format_: str, exit_code: bool) -> None:
    """What B does that A does not, and the other way round.

    A and B are baseline files (a path that exists) or WORKLOAD[@VERSION]. A file alone is held against what is known of
    its workload now.
    """
    old = _view(place, before)
    if after is None and not Path(before).is_file():
        raise click.UsageError("two things are compared: give a second file or WORKLOAD[@VERSION]")
    new = _view(place, old.workload if after is None else after)
    found = differences(old, new)
    if format_ == "json":
        rows = [d._asdict() for d in found]
        click.echo(json.dumps({"from": old.name, "to": new.name, "differences": rows}, indent=2))
    else:
        _print(Console(highlight=False, soft_wrap=True), old, new, found)
    if exit_code and found:
        raise click.exceptions.Exit(1)


def _view(place: Place, wanted: str) -> View:
    """Raises: click.ClickException."""
    path = Path(wanted)
    if path.is_file():
        try:
            decided = read_baseline(path)
        except BaselineFileError as error:
            raise click.ClickException(clean(str(error))) from error
        return View(str(path), decided.workload, decided.lock, decided.accepted, decided.condemned, {}, {})
    key, version = find(place, wanted)
    profile = place.profile(key, version)
    decided = combined(place.decisions(key), key, version)
    classes = {str(name): known for name, known in profile.classes.items()}
    condemned = dict(decided.condemned)
    for name, known in classes.items():
        if known.condemned:
            condemned[name] = condemned.get(name, frozenset()) | frozenset(known.condemned)
    return View(
        f"{key}@{version}" if version else key, key, decided.lock, known_of(profile, decided), condemned,
        {name: frozenset(known.quarantine) for name, known in classes.items() if known.quarantine},
        {name: known.state.value for name, known in classes.items() if known.units},
    )  # fmt: skip


def _print(console: Console, old: View, new: View, found: list[Difference]) -> None:
    console.print(Text(f"from {clean(old.name)}\nto   {clean(new.name)}"))
    if not found:
        console.print("no difference")
        return
    for name in sorted({d.behaviour for d in found}, key=lambda n: order_of(n) if n else (-1, 0)):
        if name:
            key = ClassKey.parse(name)
            when = "" if key.phase is Phase.STEADY else f" during {key.phase.value}"
            console.print(Text(f"\n{TITLES[key.behaviour]}{when}", style="bold"))
        for one in (d for d in found if d.behaviour == name):
            mark, style = _MARKS[one.kind]
            console.print(Text(f"  {mark} {clean(one.text)}", style=style))
    kinds = [d.kind for d in found]
    told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in _MARKS if kind in kinds)
    console.print(f"\n{count(len(found), 'difference')}: {told}")
