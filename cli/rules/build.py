"""`vedette rules compile`: the form agents and collectors load."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

import rules
from cli.rules.files import FORMAT, files_below, kind_of, placeholders_of, texts_of
from detection.rules import dump_rules

if TYPE_CHECKING:
    from detection.rules.correlation import Correlation
    from detection.rules.parse import Parsed


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

    files = list(files_below(paths))
    shipped = () if alone else (text for kind in rules.KINDS for text in rules.sources(kind))
    parsed = parse_all((*shipped, *texts_of(files).items()), placeholders_of(files))
    if parsed.problems:
        raise click.ClickException("\n".join(str(p) for p in parsed.problems))
    output.mkdir(parents=True, exist_ok=True)
    counts = {kind: _write(output / f"{kind}.json", kind, parsed) for kind in rules.KINDS}
    if form == "json":
        click.echo(orjson.dumps(counts).decode())
    else:
        click.echo(", ".join(f"{kind}: {count} rules" for kind, count in counts.items()))


def _write(path: Path, kind: str, parsed: "Parsed") -> int:
    """One compiled file, replaced as a whole; how many rules it has."""
    mine = [rule for rule in parsed.rules if kind_of(rule.key) == kind]
    names = {rule.id for rule in mine}
    together = _reaching(names, parsed)
    exemptions = [e for e in parsed.exemptions if kind_of(e.key) == kind]
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(dump_rules(mine, together, exemptions))
    temporary.replace(path)
    return len(mine) + len(together)


def _reaching(names: set[str], parsed: "Parsed") -> list["Correlation"]:
    """The correlations over these rules, and over such correlations."""
    found: list[Correlation] = []
    while more := [c for c in parsed.correlations if c not in found and names & set(c.rules)]:
        found += more
        names = names | {c.id for c in more}
    return found
