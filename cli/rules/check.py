"""`vedette rules check`: can these rules be used?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson

from cli.rules.files import FORMAT, about, files_below, parsed_files, problems_on_samples, row_of
from detection.rules import Rule, RuleSet
from detection.rules.ir import fields_of
from detection.rules.taxonomy import AUDIT_KEYS


@dataclass(frozen=True, slots=True)
class _Checked:
    """What `check` found: counts, rules that cannot be used, and rules that load but need a look."""

    usable: int
    problems: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@FORMAT
def check(paths: tuple[Path, ...], form: str) -> None:
    """Check Sigma rules in files or folders; exit 1 when one cannot be used.

    Says which rules cannot be evaluated and why, which have samples that do not behave, and which load but can
    never match because no event carries what they read.
    """
    checked = _check(tuple(files_below(paths)))
    if form == "json":
        document = {"usable": checked.usable, "problems": checked.problems, "warnings": checked.warnings}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        for word, found in (("problem", checked.problems), ("warning", checked.warnings)):
            for item in found:
                place = f"{item['origin']}:{item['line']}" if item.get("line") else item["origin"]
                click.echo(f"{word}: {place}: {item['rule']}: {item['reason']}")
        click.echo(f"{checked.usable} rules usable, {len(checked.problems)} problems, {len(checked.warnings)} warnings")
    raise SystemExit(1 if checked.problems else 0)


def _check(files: Sequence[Path]) -> _Checked:
    parsed, texts = parsed_files(files)
    ruleset = RuleSet.from_ir(parsed.rules, parsed.correlations, parsed.exemptions)
    problems = [row_of(p) for p in (*parsed.problems, *ruleset.problems)]
    for rule in ruleset.rules:
        problems += [about(rule, reason) for reason in problems_on_samples(rule, texts[rule.origin])]
    warnings = [about(rule, reason) for rule in ruleset.rules for reason in _unseen(rule)]
    return _Checked(len(ruleset.rules) + len(ruleset.correlations), problems, warnings)


def _unseen(rule: Rule) -> list[str]:
    """Why a rule that loads will not match, or not in full."""
    from agent.detect.document import fields_of_category  # noqa: PLC0415

    if rule.key in AUDIT_KEYS:
        return []
    carried = fields_of_category(rule.key)
    if not carried:
        return [f"no event source here carries {rule.key} events: the rule never matches"]
    missing = sorted(fields_of(rule.condition) - carried)
    return [f"{rule.key} events have no field {', '.join(missing)}"] if missing else []
