"""`vedette pki`: the certificates agents, collectors and readers use."""

from pathlib import Path

import click

from cli.certificates import DAYS, CertificateError, Files, Role, create_ca, issue, read_facts

_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("pki"),
    show_default=True,
    help="The CA's place.",
)
_DAYS = click.option("--days", type=click.IntRange(1, 3650), default=DAYS, show_default=True, help="Validity.")


@click.group()
def command() -> None:
    """Make and inspect the certificates agents and collectors use."""


@command.command()
@click.argument("directory", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Make a CA in DIRECTORY."""
    try:
        click.echo(f"CA certificate  {create_ca(directory)}\nCA key          {directory / 'ca.key'} (keep it safe)")
    except CertificateError as error:
        raise click.ClickException(str(error)) from error


@command.command("issue-agent")
@click.argument("name")
@_DIRECTORY
@_DAYS
def issue_agent(name: str, directory: Path, days: int) -> None:
    """Issue a certificate for the agent NAME."""
    _issue(directory, Role.AGENT, name, (), days)


@command.command("issue-collector")
@click.argument("name")
@click.option("--host", "hosts", multiple=True, required=True, help="DNS name or address agents connect to.")
@_DIRECTORY
@_DAYS
def issue_collector(name: str, hosts: tuple[str, ...], directory: Path, days: int) -> None:
    """Issue a certificate for the collector NAME."""
    _issue(directory, Role.COLLECTOR, name, hosts, days)


@command.command("issue-reader")
@click.argument("name")
@click.option("--admin", is_flag=True, help="An administrator of the collector, not only a reader.")
@_DIRECTORY
@_DAYS
def issue_reader(name: str, admin: bool, directory: Path, days: int) -> None:
    """Issue a certificate for someone or something that reads events and incidents."""
    _issue(directory, Role.ADMIN if admin else Role.READER, name, (), days)


@command.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def show(paths: tuple[Path, ...]) -> None:
    """Say what certificates (files, or all .crt files of directories) are for and how long they last."""
    for path in (p for given in paths for p in (sorted(given.glob("*.crt")) if given.is_dir() else [given])):
        try:
            facts = read_facts(path)
        except CertificateError as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"{path}\n  role         {facts.role}\n  subject      {facts.subject}")
        click.echo(f"  names        {', '.join(facts.names) or '-'}\n  issuer       {facts.issuer}")
        click.echo(f"  valid until  {facts.not_after:%Y-%m-%d %H:%M} UTC\n  SHA-256      {facts.fingerprint}")


def _issue(directory: Path, role: Role, name: str, hosts: tuple[str, ...], days: int) -> None:
    try:
        files: Files = issue(directory, role, name, hosts, days)
    except CertificateError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"--cert {files.certificate} --key {files.key} --ca {files.ca}")
