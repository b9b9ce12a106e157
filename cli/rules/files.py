"""Rule files as the `vedette rules` commands read them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detection.rules import Compiled, Problem, Rule
from rules.own import files_below, read, shipped

if TYPE_CHECKING:
    from detection.rules.correlation import Correlation
    from detection.rules.parse import Parsed

__all__ = ["FORMAT", "about", "files_below", "parsed_files", "problems_on_samples", "row_of"]

FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)


def parsed_files(files: Sequence[Path]) -> tuple["Parsed", dict[str, str]]:
    """What rule files hold, and their texts. A `placeholders.yml` among them gives the values of `|expand`.

    They may refer to shipped rules, which are not part of what comes out.
    """
    from detection.rules.parse import parse_all  # noqa: PLC0415 — only here is a Sigma parser needed

    own = read(files)
    parsed = parse_all(own.texts.items(), own.placeholders)
    if parsed.problems:  # perhaps they refer to shipped ones
        mine = {rule.id for rule in parsed.rules} | {rule.id for rule in parsed.correlations}
        parsed = parse_all(own.texts.items(), own.placeholders, _others(mine))
    return (
        replace(
            parsed,
            rules=tuple(rule for rule in parsed.rules if rule.origin in own.texts),
            correlations=tuple(rule for rule in parsed.correlations if rule.origin in own.texts),
            problems=(*own.problems, *parsed.problems),
        ),
        own.texts,
    )


def _others(mine: set[str]) -> Compiled:
    """The shipped rules but those."""
    every = shipped()
    return Compiled(
        tuple(rule for rule in every.rules if rule.id not in mine),
        tuple(rule for rule in every.correlations if rule.id not in mine),
    )


def row_of(problem: Problem) -> dict[str, Any]:
    """A problem as plain data."""
    return {"origin": problem.origin, "line": problem.line, "rule": problem.rule, "reason": problem.reason}


def about(rule: "Rule | Correlation", reason: str) -> dict[str, Any]:
    """A problem with a rule as plain data."""
    return {"origin": rule.origin, "rule": rule.id, "reason": reason}


def problems_on_samples(rule: "Rule | Correlation", text: str, wanted: bool = False) -> list[str]:
    """What is wrong with a rule's samples; a rule without any is all right unless they are wanted."""
    import yaml  # noqa: PLC0415

    from detection.rules.samples import sample_problems  # noqa: PLC0415

    documents = [d for d in yaml.safe_load_all(text) if isinstance(d, dict)]
    mine = next((d for d in documents if rule.uuid and str(d.get("id")) == rule.uuid), {})
    if not wanted and "samples" not in (mine.get("vedette") or {}):
        return []
    return sample_problems(mine, rule)
