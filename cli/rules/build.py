"""`vedette rules compile`: the form agents and collectors load."""

from pathlib import Path

import click
import orjson

import rules
from cli.rules.files import FORMAT
from detection.rules import Compiled, dump_rules
from detection.rules.kinds import part_of
from rules.own import read


@click.command("compile")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(rules.__file__).parent,
    help="Folder for runtime.json and audit.json (default: beside the shipped rules).",
)
@click.option("--alone", is_flag=True, help="Only the rules in PATHS, without the shipped ones.")
@FORMAT
def compile_rules(paths: tuple[Path, ...], output: Path, alone: bool, form: str) -> None:
    """Compile rules into the form agents and collectors load; exit 1 on one that cannot be.

    The shipped rules, and with them your own in PATHS: rules, correlations, exceptions (Sigma filters), overrides of
    shipped rules, and values for placeholders in placeholders.yml. Send a running agent or collector SIGHUP to take
    the result over.
    """
    from detection.rules.parse import parse_all  # noqa: PLC0415

    own = read(paths)
    # The shipped ones from their sources too: this makes their compiled form.
    shipped = () if alone else (text for kind in rules.KINDS for text in rules.sources(kind))
    parsed = parse_all((*shipped, *own.texts.items()), own.placeholders)
    if problems := (*own.problems, *parsed.problems):
        raise click.ClickException("\n".join(str(p) for p in problems))
    whole = Compiled(parsed.rules, parsed.correlations, parsed.exemptions)
    output.mkdir(parents=True, exist_ok=True)
    counts = {kind: _write(output / f"{kind}.json", part_of(whole, kind)) for kind in rules.KINDS}
    if form == "json":
        click.echo(orjson.dumps(counts).decode())
    else:
        click.echo(", ".join(f"{kind}: {count} rules" for kind, count in counts.items()))


def _write(path: Path, mine: Compiled) -> int:
    """One compiled file, replaced as a whole; how many rules it has."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(dump_rules(mine.rules, mine.correlations, mine.exemptions))
    temporary.replace(path)
    return len(mine.rules) + len(mine.correlations)
