"""`vedette rules`: list the shipped rules, check rules of your own, compile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson

import rules
from detection.rules import Rule, RuleSet, dump_rules, load_compiled
from detection.rules.ir import fields_of

_FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)
_AUDIT_KEYS = frozenset({"kubernetes/audit"})
_EXTENSIONS = (".yml", ".yaml")


@click.group()
def command() -> None:
    """List, check and compile detection rules."""


@command.command("list")
@_FORMAT
def list_rules(form: str) -> None:
    """The rules that are shipped."""
    shipped = [(kind, rule) for kind in rules.KINDS for rule in load_compiled(rules.compiled(kind)).rules]
    if form == "json":
        click.echo(orjson.dumps([_row(kind, rule) for kind, rule in shipped], option=orjson.OPT_INDENT_2).decode())
        return
    for _, rule in sorted(shipped, key=lambda item: (item[0] != "runtime", -item[1].level, item[1].id)):
        ids = ",".join(dict.fromkeys(t.id for t in rule.techniques))
        click.echo(f"{rule.id:34} {rule.level.label:14} {rule.key:19} {ids:20} {rule.title}")
    click.echo(f"{len(shipped)} rules")


def _row(kind: str, rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "uuid": rule.uuid,
        "kind": kind,
        "title": rule.title,
        "level": rule.level.label,
        "event": rule.key,
        "techniques": [t.id for t in rule.techniques],
        "tactics": list(dict.fromkeys(t.tactic for t in rule.techniques)),
        "reason": rule.reason,
        "advice": rule.advice,
        "falsepositives": list(rule.falsepositives),
        "origin": rule.origin,
    }


@dataclass(frozen=True, slots=True)
class _Checked:
    """What `check` found: counts, rules that cannot be used, and rules that load but need a look."""

    usable: int
    problems: list[dict[str, str]]
    warnings: list[dict[str, str]]


@command.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@_FORMAT
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
                click.echo(f"{word}: {item['origin']}: {item['rule']}: {item['reason']}")
        click.echo(f"{checked.usable} rules usable, {len(checked.problems)} problems, {len(checked.warnings)} warnings")
    raise SystemExit(1 if checked.problems else 0)


def files_below(paths: Sequence[Path]) -> Iterator[Path]:
    """The files given, and every rule file below the folders given."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in _EXTENSIONS and p.is_file())
        else:
            yield path


def _check(files: Sequence[Path]) -> _Checked:
    from detection.rules.parse import parse_all  # noqa: PLC0415 — only here is a Sigma parser needed

    texts = [(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in files]
    parsed = parse_all(texts)
    ruleset = RuleSet.from_ir(parsed.rules)
    problems = [{"origin": p.origin, "rule": p.rule, "reason": p.reason} for p in (*parsed.problems, *ruleset.problems)]
    by_origin = dict(texts)
    for rule in ruleset.rules:
        problems += [_about(rule, reason) for reason in _sample_problems(rule, by_origin[rule.origin])]
    warnings = [_about(rule, reason) for rule in ruleset.rules for reason in _unseen(rule)]
    return _Checked(len(ruleset.rules), problems, warnings)


def _about(rule: Rule, reason: str) -> dict[str, str]:
    return {"origin": rule.origin, "rule": rule.id, "reason": reason}


def _sample_problems(rule: Rule, text: str) -> list[str]:
    """Samples are asked of the shipped rules only by the tests; a rule that has some must obey them."""
    import yaml  # noqa: PLC0415

    from detection.rules.samples import sample_problems  # noqa: PLC0415

    documents = [d for d in yaml.safe_load_all(text) if isinstance(d, dict)]
    mine = next((d for d in documents if rule.uuid and str(d.get("id")) == rule.uuid), None)
    if mine is None or "samples" not in (mine.get("vedette") or {}):
        return []
    return sample_problems(mine, rule)


def _unseen(rule: Rule) -> list[str]:
    """Why a rule that loads will not match, or not in full."""
    from agent.detect.document import fields_of_category  # noqa: PLC0415

    if rule.key in _AUDIT_KEYS:
        return []
    carried = fields_of_category(rule.key)
    if not carried:
        return [f"no event source here carries {rule.key} events: the rule never matches"]
    missing = sorted(fields_of(rule.condition) - carried)
    return [f"{rule.key} events have no field {', '.join(missing)}"] if missing else []


@command.command("compile")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(rules.__file__).parent,
    help="Folder for runtime.json and audit.json (default: beside the shipped rules).",
)
@_FORMAT
def compile_rules(output: Path, form: str) -> None:
    """Compile the shipped rules into the form agents and collectors load; exit 1 on a rule that cannot be."""
    from detection.rules.parse import parse_all  # noqa: PLC0415

    output.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for kind in rules.KINDS:
        parsed = parse_all(rules.sources(kind))
        if parsed.problems:
            raise click.ClickException("\n".join(str(p) for p in parsed.problems))
        (output / f"{kind}.json").write_bytes(dump_rules(parsed.rules, parsed.correlations, parsed.exemptions))
        counts[kind] = len(parsed.rules)
    if form == "json":
        click.echo(orjson.dumps(counts).decode())
    else:
        click.echo(", ".join(f"{kind}: {count} rules" for kind, count in counts.items()))
