"""`vedette tail`: follow the collector's event stream."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.connection import client, connection_options

if TYPE_CHECKING:
    from collector.publish.client import Entry, EventClient

SEVERITIES = ("informational", "low", "medium", "high", "critical")
_RETRY_S = 1.0
_SIEM = ("ocsf", "ecs", "cef", "falco")


@click.command()
@connection_options
@click.option("--cursor", type=click.IntRange(0), help="Go on after this position.")
@click.option("--from-beginning", is_flag=True, help="Everything the collector still has, then new events.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Leave out findings below this severity.")
@click.option("--until-newest", is_flag=True, help="End at the newest event instead of waiting for more.")
@click.option(
    "--format", "format_", type=click.Choice(("text", "json", *_SIEM)), default="text", show_default=True,
    help="ocsf, ecs, cef and falco are the forms sinks send (docs/siem.md), one line per event.",
)  # fmt: skip
def command(
    collector: str,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    cursor: int | None,
    from_beginning: bool,
    min_severity: str | None,
    until_newest: bool,
    format_: str,
) -> None:
    """Print findings and incident changes as they are committed. Goes on by itself when the collector comes back."""
    severity = SEVERITIES.index(min_severity) + 1 if min_severity else 0
    start = 0 if from_beginning else cursor
    try:
        with client(collector, cert, key, ca) as reader:
            for entry in _follow(reader, start, severity, until_newest):
                _print(entry, format_)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more; say nothing


def _follow(reader: "EventClient", start: int | None, severity: int, until_newest: bool) -> "Iterator[Entry]":
    """Events from `start` on (None: new ones only), resumed after every interruption."""
    from collector.publish.client import UnreachableError  # noqa: PLC0415

    cursor, said = start, False
    while True:
        try:
            for entry in reader.subscribe(
                cursor or 0, tail=cursor is None and not until_newest, min_severity=severity, end_at_newest=until_newest
            ):
                cursor, said = entry.cursor, False
                yield entry
        except UnreachableError as error:
            if until_newest:
                raise
            if not said:
                click.echo(f"{error}; waiting for it", err=True)
            said = True
        if until_newest:
            return
        time.sleep(_RETRY_S)


def _print(entry: "Entry", format_: str) -> None:
    """One line; heartbeats print nothing."""
    from collector.incident import Incident  # noqa: PLC0415

    if entry.body is None:
        return
    kind = "incident" if isinstance(entry.body, Incident) else "finding"
    body = entry.body.as_dict()
    if format_ == "json":
        import orjson  # noqa: PLC0415

        click.echo(orjson.dumps({"cursor": entry.cursor, kind: body}))
    elif format_ in _SIEM:
        from collector.publish.sinks.formats import format_of  # noqa: PLC0415

        click.echo(format_of(format_)(entry.body))
    else:
        from cli.render import finding_line, incident_line, print_line  # noqa: PLC0415

        print_line(incident_line(body) if kind == "incident" else finding_line(body))
    sys.stdout.flush()
