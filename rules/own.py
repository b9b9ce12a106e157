"""A team's own rules: their files, and what they give together with the shipped ones.

Read where a Sigma parser is at hand: by `vedette rules` and by the collector. Bad files and bad rules are problems with
file and line; the good ones are used.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rules
from detection.rules.codec import Compiled, load_rules
from detection.rules.ir import Problem
from detection.rules.kinds import part_of

PLACEHOLDERS = "placeholders.yml"
_EXTENSIONS = (".yml", ".yaml")
_MAX_FILE = 4 << 20


@dataclass(frozen=True, slots=True)
class Files:
    """Rule files as read. `texts`: path → text; `placeholders`: what `%name%` stands for where a rule says expand."""

    texts: dict[str, str]
    placeholders: dict[str, tuple[str, ...]]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """Rules by kind (runtime, audit), and what could not be used."""

    kinds: dict[str, Compiled]
    problems: tuple[Problem, ...] = ()


def files_below(paths: Sequence[Path]) -> Iterator[Path]:
    """The files given, and every rule file below the folders given. What begins with a dot is passed over.

    A mounted ConfigMap holds each file twice, once below a hidden directory.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in _EXTENSIONS and _is_shown(p, path))
        else:
            yield path


def _is_shown(path: Path, top: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(top).parts)


def read(paths: Sequence[Path]) -> Files:
    """The rule files at or below these paths. What cannot be read is a problem."""
    import yaml  # noqa: PLC0415

    texts: dict[str, str] = {}
    placeholders: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for path in files_below(paths):
        try:
            text = _text(path)
            if path.name == PLACEHOLDERS:
                placeholders |= _placeholders(text)
            else:
                texts[str(path)] = text
        except OSError as error:
            problems.append(Problem(str(path), "file", os.strerror(error.errno or 0)))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            problems.append(Problem(str(path), "file", reason, getattr(_mark(error), "line", -1) + 1))
    return Files(texts, placeholders, tuple(problems))


def build(paths: Sequence[Path], *, alone: bool = False) -> Built:
    """What the rules at or below these paths give, together with the shipped ones unless `alone`. Never raises."""
    from detection.rules.parse import parse_all  # noqa: PLC0415 — slow to import, and not there in an agent's image

    own = read(paths)
    parsed = parse_all(own.texts.items(), own.placeholders, Compiled() if alone else shipped())
    whole = Compiled(parsed.rules, parsed.correlations, parsed.exemptions)
    return Built({kind: part_of(whole, kind) for kind in rules.KINDS}, (*own.problems, *parsed.problems))


def shipped() -> Compiled:
    """All shipped rules, of both kinds."""
    sets = [load_rules(rules.compiled(kind)) for kind in rules.KINDS]
    return Compiled(
        tuple(rule for one in sets for rule in one.rules),
        tuple({c.id: c for one in sets for c in one.correlations}.values()),  # one over both kinds is in both
        tuple(exemption for one in sets for exemption in one.exemptions),
    )


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise ValueError(f"larger than {_MAX_FILE >> 20} MiB; split it")
    return data.decode("utf-8", "replace")


def _placeholders(text: str) -> dict[str, tuple[str, ...]]:
    import yaml  # noqa: PLC0415

    values: Any = yaml.safe_load(text) or {}
    if not isinstance(values, dict) or not all(isinstance(listed, list) for listed in values.values()):
        raise ValueError("write one `name: [value, …]` a line")
    return {str(name): tuple(str(value) for value in listed) for name, listed in values.items()}


def _mark(error: Exception) -> object:
    return getattr(error, "problem_mark", None)
