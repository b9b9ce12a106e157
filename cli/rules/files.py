"""Rule files as the `vedette rules` commands read them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detection.rules import Problem, Rule

if TYPE_CHECKING:
    from detection.rules.correlation import Correlation
    from detection.rules.parse import Parsed

FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)
PLACEHOLDERS = "placeholders.yml"
_AUDIT_PRODUCTS = ("kubernetes", "aws", "gcp", "azure", "waf")
_EXTENSIONS = (".yml", ".yaml")


def files_below(paths: Sequence[Path]) -> Iterator[Path]:
    """The files given, and every rule file below the folders given."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in _EXTENSIONS and p.is_file())
        else:
            yield path


def parsed_files(files: Sequence[Path]) -> tuple["Parsed", dict[str, str]]:
    """What rule files hold, and their texts. A `placeholders.yml` among them gives the values of `|expand`."""
    from detection.rules.parse import parse_all  # noqa: PLC0415 — only here is a Sigma parser needed

    texts = texts_of(files)
    return parse_all(texts.items(), placeholders_of(files)), texts


def texts_of(files: Sequence[Path]) -> dict[str, str]:
    """Path → text of every rule file."""
    return {str(p): p.read_text(encoding="utf-8", errors="replace") for p in files if p.name != PLACEHOLDERS}


def placeholders_of(files: Sequence[Path]) -> dict[str, tuple[str, ...]]:
    """What the placeholders.yml among the files say. Raises: ClickException."""
    import yaml  # noqa: PLC0415

    found: dict[str, tuple[str, ...]] = {}
    for path in files:
        if path.name != PLACEHOLDERS:
            continue
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            found |= {str(name): tuple(str(v) for v in listed) for name, listed in values.items()}
        except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
            raise click.ClickException(f"{path}: {error}; write one `name: [value, …]` a line") from error
    return found


def kind_of(key: str) -> str:
    """Which of the compiled files a rule over such events belongs to."""
    return "audit" if key.partition("/")[0] in _AUDIT_PRODUCTS else "runtime"


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
