"""`vedette demo`: a workload, an intrusion, and the composite alert that tells it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from cli.demo import stage
from cli.demo.errors import DemoError
from cli.demo.play import Performance, Told
from cli.demo.progress import PlainLines, Progress, TerminalProgress
from cli.render import render_incident

_WORK = Path("/var/lib/vedette-demo")
_NOTE = (
    "Containers, commands, files and connections were real; the kernel events come from this machine. It has no "
    "Kubernetes API server: the audit records were played by the demo, with the pods, addresses and times of what ran."
)


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--keep", is_flag=True, help="Keep the collector's store and the logs, to look closer.")
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=_WORK,
    show_default=True,
    help="A directory of the demo's own; it is emptied.",
)
def command(form: str, keep: bool, work_dir: Path) -> None:
    """Play a whole story on this machine: real containers, a real intrusion, one composite alert.

    Needs root. Takes less than a minute and leaves nothing running. Ends with status 0 only if the alert is complete.
    """
    logs = ""
    try:
        stage.check_machine()
        with _progress() as progress, stage.work_directory(work_dir, keep) as work:
            logs = f"\nNothing is left running. The logs are in {work / 'logs'}."
            told = Performance(work, progress).play()
    except DemoError as e:
        raise click.ClickException(f"{e}{logs}") from e
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; everything was taken down") from None
    _show(told, form, work_dir.resolve() if keep else None)
    sys.exit(1 if told.verdict.missing else 0)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Progress for whoever watches stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainLines()
        return
    progress = TerminalProgress(console)
    try:
        yield progress
    except BaseException:
        progress.end("✗", "red")
        raise
    progress.end()


def _show(told: Told, form: str, kept: Path | None) -> None:
    if form == "json":
        click.echo(json.dumps(told.document(), indent=2))
        return
    console = Console()
    if told.verdict.incident is not None:
        render_incident(dict(told.verdict.incident), console)
    for line in _closing(told, kept):
        console.print(line, markup=False, highlight=False)


def _closing(told: Told, kept: Path | None) -> Iterator[str]:
    yield ""
    yield _NOTE
    quiet, total = told.quiet, told.times["total_s"]
    yield f"Before the intrusion: {quiet.incidents} incidents, {quiet.findings} findings of medium severity or higher."
    if quiet.elsewhere:
        yield f"Elsewhere on this machine: {quiet.elsewhere} incidents, which are not about the demo's workloads."
    yield f"The agent lost {_lost(told)} events. It all took {total:.0f} s."
    if kept is None:
        yield "To look closer: `vedette demo --keep`, or `--format json`; what the screen means: docs/demo.md."
    elif told.verdict.incident is not None:
        yield f"The collector's store, the audit log and the logs are in {kept}. To look closer:"
        yield f"  vedette collector --listen unix:{kept}/c.sock --store {kept}/collector.db &"
        yield f"  vedette incidents show {str(told.verdict.incident['id'])[:12]} --collector unix:{kept}/c.sock"
    for missing in told.verdict.missing:
        yield f"MISSING from the story: {missing}"


def _lost(told: Told) -> int:
    """Events the kernel could not hand over, of all classes."""
    counters = told.status.get("counters", {}).values()
    return sum(count for causes in counters for cause, count in causes.items() if cause.startswith("lost"))
