"""`vedette probe`: what this machine allows the sensor to see."""

import click
import orjson

from agent.source.capabilities import Report, examine

_MARKS = {"yes": "✓", "no": "✗", "unknown": "?"}


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(form: str) -> None:
    """Say what this machine allows the sensor to see, and what follows where something is missing.

    Works without root: what cannot be tried then is shown as unknown.
    """
    report = examine()
    click.echo(as_json(report) if form == "json" else as_text(report))


def as_json(report: Report) -> str:
    """One JSON document."""
    document = {
        "loader": report.loader,
        "loaders": [loader._asdict() for loader in report.loaders],
        "capabilities": [fact._asdict() for fact in report.capabilities],
        "programs": [state._asdict() for state in report.programs],
        "blind_spots": report.blind_spots,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def as_text(report: Report) -> str:
    """A page for a person: facts first, then the loader, then what goes unseen."""
    lines = ["This machine"]
    for fact in report.capabilities:
        lines.append(f"  {_MARKS[fact.answer]} {fact.name:<19} {fact.detail}")
        if fact.answer != "yes" and fact.consequence:
            lines.append(f"      → {fact.consequence}")
    lines += ["", f"Loader: {report.loader}"]
    lines += [f"  {_MARKS['yes' if item.usable else 'no']} {item.name:<19} {item.reason}" for item in report.loaders]
    return "\n".join([*lines, "", *_programs(report)])


def _programs(report: Report) -> list[str]:
    missing = [state for state in report.programs if not state.attached]
    lines = [f"Programs: {len(report.programs) - len(missing)} of {len(report.programs)} find their hook"]
    for way in dict.fromkeys(state.way for state in report.programs if state.way):
        names = ", ".join(state.name for state in report.programs if state.way == way)
        lines.append(f"  ✓ by {way}: {names}")
    lines += [f"  ✗ {state.name:<19} {state.consequence}" for state in missing]
    return [*lines, "", "Not watched in this version", *(f"  · {spot}" for spot in report.blind_spots)]
