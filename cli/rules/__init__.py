"""`vedette rules`: list the shipped rules, check, try and compile rules of your own."""

from typing import Any

import click
import orjson

import rules
from cli.rules import build, check, trial
from cli.rules.files import FORMAT, files_below
from detection.rules import Rule, load_compiled
from detection.rules.correlation import Correlation

__all__ = ["command", "files_below"]


@click.group()
def command() -> None:
    """List, check, try and compile detection rules."""


command.add_command(check.check)
command.add_command(build.compile_rules)
command.add_command(trial.test_rules)
command.add_command(trial.explain)


@command.command("list")
@FORMAT
def list_rules(form: str) -> None:
    """The rules that are shipped."""
    sets = [(kind, load_compiled(rules.compiled(kind))) for kind in rules.KINDS]
    shipped: list[tuple[str, Rule | Correlation]] = []
    for kind, found in sets:
        shipped += [(kind, rule) for rule in found.rules] + [(kind, rule) for rule in found.correlations]
    if form == "json":
        click.echo(orjson.dumps([_row(kind, rule) for kind, rule in shipped], option=orjson.OPT_INDENT_2).decode())
        return
    for _, rule in sorted(shipped, key=lambda item: (item[0] != "runtime", -item[1].level, item[1].id)):
        ids = ",".join(dict.fromkeys(t.id for t in rule.techniques))
        click.echo(f"{rule.id:34} {rule.level.label:14} {_looks_at(rule):22} {ids:20} {rule.title}")
    click.echo(f"{len(shipped)} rules")


def _looks_at(rule: Rule | Correlation) -> str:
    return rule.key if isinstance(rule, Rule) else f"{rule.measure} of {len(rule.rules)}"


def _row(kind: str, rule: Rule | Correlation) -> dict[str, Any]:
    return {
        "id": rule.id,
        "uuid": rule.uuid,
        "kind": kind,
        "title": rule.title,
        "level": rule.level.label,
        "event": _looks_at(rule),
        "techniques": [t.id for t in rule.techniques],
        "tactics": list(dict.fromkeys(t.tactic for t in rule.techniques)),
        "reason": rule.reason,
        "advice": rule.advice,
        "falsepositives": list(rule.falsepositives),
        "origin": rule.origin,
    }
