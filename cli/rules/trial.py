"""`vedette rules test` and `explain`: try rules on samples and on one event."""

from pathlib import Path
from typing import Any

import click
import orjson

import rules
from cli.rules.files import FORMAT, about, files_below, parsed_files, problems_on_samples, row_of
from detection.rules import Rule, flatten, load_compiled
from detection.rules.correlation import Correlation


@click.command("test")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@FORMAT
def test_rules(paths: tuple[Path, ...], form: str) -> None:
    """Try rules on their own samples: attacks must fire, benign look-alikes must not. Without PATHS: the shipped ones.

    Samples stand in a rule's file below vedette.samples.attack and vedette.samples.benign.
    """
    from detection.rules.parse import parse_all  # noqa: PLC0415

    if paths:
        parsed, texts = parsed_files(paths)
    else:
        texts = dict(text for kind in rules.KINDS for text in rules.sources(kind))
        parsed = parse_all(texts.items())
    every: tuple[Rule | Correlation, ...] = (*parsed.rules, *parsed.correlations)
    rows = [(rule, problems_on_samples(rule, texts[rule.origin], wanted=True)) for rule in every]
    failed = [*map(row_of, parsed.problems), *(about(rule, reason) for rule, found in rows for reason in found)]
    if form == "json":
        click.echo(orjson.dumps({"rules": len(rows), "problems": failed}, option=orjson.OPT_INDENT_2).decode())
    else:
        for item in failed:
            click.echo(f"{item['origin']}: {item['rule']}: {item['reason']}")
        good = len(rows) - len({item["rule"] for item in failed})
        click.echo(f"{good} of {len(rows)} rules behave on their samples")
    raise SystemExit(1 if failed else 0)


@click.command()
@click.argument("rule_id", metavar="RULE")
@click.argument("event", type=click.File("rb"), default="-")
@click.option("--rules", "path", type=click.Path(exists=True, path_type=Path), help="Your own rules to find RULE in.")
@FORMAT
def explain(rule_id: str, event: Any, path: Path | None, form: str) -> None:
    """Say part by part whether RULE holds for an EVENT (JSON, in a file or on standard input), and on which values."""
    from collector.plain import plain  # noqa: PLC0415
    from detection.rules.reasons import steps_of  # noqa: PLC0415

    rule = _find(rule_id, path)
    try:
        document = orjson.loads(event.read())
    except orjson.JSONDecodeError as error:
        raise click.ClickException(f"{event.name}: not JSON ({error}); give one event as an object") from error
    if not isinstance(document, dict):
        raise click.ClickException(f"{event.name}: give one event as an object")
    steps = steps_of(rule.condition, flatten(document))
    if form == "json":
        rows = [{"depth": s.depth, "holds": s.holds, "text": s.text, "value": s.value} for s in steps]
        click.echo(orjson.dumps({"rule": rule.id, "holds": steps[0].holds, "steps": rows}).decode())
        return
    click.echo(f"{rule.id} ({rule.key}) {'holds' if steps[0].holds else 'does not hold'}")
    for step in steps:
        value = f"   [{plain(step.value, 200)}]" if step.value else ""
        click.echo(f"{'  ' * step.depth}  {'yes' if step.holds else 'no '} {plain(step.text, 300)}{value}")


def _find(rule_id: str, path: Path | None) -> Rule:
    if path is not None:
        found = [r for r in parsed_files(tuple(files_below((path,))))[0].rules if rule_id in (r.id, r.uuid)]
    else:
        shipped = [r for kind in rules.KINDS for r in load_compiled(rules.compiled(kind)).rules]
        found = [r for r in shipped if rule_id in (r.id, r.uuid)]
    if not found:
        raise click.ClickException(f"no rule is called {rule_id}; `vedette rules list` names them")
    return found[0]
