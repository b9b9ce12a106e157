"""`vedette incidents`: list them, or explain one."""

from pathlib import Path

import click

from cli.connection import client, connection_options
from cli.tail import SEVERITIES

_FORMAT = click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)


class _ListByDefault(click.Group):
    """`vedette incidents` alone, or with options only, means `vedette incidents list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def command() -> None:
    """List incidents (the default), or explain one."""


@command.command("list")
@connection_options
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Only incidents of at least this severity.")
@_FORMAT
def list_(
    collector: str,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    limit: int,
    min_severity: str | None,
    format_: str,
) -> None:
    """Incidents, newest first; as JSON with their findings and joins."""
    severity = SEVERITIES.index(min_severity) + 1 if min_severity else 0
    with client(collector, cert, key, ca) as reader:
        found = reader.summaries(limit, severity)
        if format_ == "json":
            _print_json([reader.incident(incident["id"]).as_dict() for incident in found])
            return
    from cli.render import incident_line, print_line  # noqa: PLC0415

    for incident in found:
        print_line(incident_line(incident))
    if not found:
        click.echo("no incidents", err=True)


@command.command()
@click.argument("id_", metavar="ID")
@connection_options
@_FORMAT
def show(id_: str, collector: str, cert: Path | None, key: Path | None, ca: Path | None, format_: str) -> None:
    """Explain the incident ID (or the one whose id begins so): timeline, who, joins, score, how to look closer."""
    with client(collector, cert, key, ca) as reader:
        incident = reader.incident(id_).as_dict()
    if format_ == "json":
        _print_json(incident)
        return
    from rich.console import Console  # noqa: PLC0415

    from cli.render import render_incident  # noqa: PLC0415

    render_incident(incident, Console())


def _print_json(value: object) -> None:
    import orjson  # noqa: PLC0415

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))
