"""`vedette replay`: recorded events and audit logs through the detections, with the shipped rules or others."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

import rules
from cli.rules import files_below
from detection.finding import Finding, Source
from detection.rules import RuleSet, load_compiled

if TYPE_CHECKING:
    from agent.replay import Replay

SOURCES = tuple(source.value for source in Source)
_SHOWN_PROBLEMS = 20


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", type=click.Choice(SOURCES), default="runtime", show_default=True, help="What FILES hold.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--summary", is_flag=True, help="Counts instead of findings.")
@click.option(
    "--rules",
    "other",
    type=click.Path(exists=True, path_type=Path),
    help="Sigma rules in a file or folder, instead of the shipped ones: say which findings would appear or disappear.",
)
@click.option(
    "--behaviour/--no-behaviour", default=True, show_default=True,
    help="Audit logs: also learn what each principal does, and report what it does for the first time.",
)  # fmt: skip
@click.option("--slot", "slot_s", type=float, default=60.0, show_default=True, help="Seconds in a learning slot.")
def command(
    files: tuple[Path, ...], source: str, form: str, summary: bool, other: Path | None, behaviour: bool, slot_s: float
) -> None:
    """Play FILES as if their events happened now. Needs no privilege and changes nothing.

    Runtime files are made by `vedette record`; audit logs are JSON or JSON lines, plain or gzipped: give them in order
    of time.
    With --format json every finding is one line.
    """
    player = _Player(source, slot_s, behaviour=behaviour)
    try:
        if other is not None:
            _print_changes(_changes(player, files, other), form)
            return
        found = player.findings(files, player.shipped())
        if summary:
            rows = Counter(f.rule_id for f in found)
            _print_summary(rows, player, form)
            return
        for finding in found:
            _print(finding.as_dict(), form)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more; say nothing
        return
    player.tell_problems()


class _Player:
    """Plays files of one source; remembers what could not be played. `summaries` has one entry for each file."""

    def __init__(self, source: str, slot_s: float, *, behaviour: bool) -> None:
        self._source = source
        self._behaviour = behaviour
        self._slot_s = slot_s
        self.summaries: list[dict[str, Any]] = []
        self._problems: list[str] = []

    def shipped(self) -> RuleSet:
        """The shipped rules for this source."""
        return load_compiled(rules.runtime_rules() if self._source == "runtime" else rules.audit_rules())

    def findings(self, files: Sequence[Path], ruleset: RuleSet) -> Iterator[Finding]:
        """Of all files in order."""
        self.summaries, self._problems = [], []
        yield from self._runtime(files, ruleset) if self._source == "runtime" else self._audit(files, ruleset)

    def _runtime(self, files: Sequence[Path], ruleset: RuleSet) -> Iterator[Finding]:
        from agent.errors import AgentError  # noqa: PLC0415
        from agent.replay import Replay  # noqa: PLC0415

        for path in files:
            try:
                replay = Replay(path, ruleset, slot_s=self._slot_s)
                yield from replay.findings()
            except AgentError as error:
                raise click.ClickException(str(error)) from error
            except OSError as error:
                raise click.ClickException(f"{path}: {error.strerror or error}; give a recording") from error
            self.summaries.append(_of_recording(path, replay))
            if replay.problem:
                self._problems.append(replay.problem)

    def _audit(self, files: Sequence[Path], ruleset: RuleSet) -> Iterator[Finding]:
        from collector.audit import FORMATS  # noqa: PLC0415
        from collector.audit.replay import AuditReplay  # noqa: PLC0415
        from collector.errors import CollectorError  # noqa: PLC0415
        from collector.plain import plain  # noqa: PLC0415
        from collector.principals import PrincipalWatch  # noqa: PLC0415

        replay = AuditReplay(FORMATS[self._source], ruleset, PrincipalWatch() if self._behaviour else None)
        for path in files:
            try:
                yield from replay.findings(path)
            except CollectorError as error:
                raise click.ClickException(str(error)) from error
        self._problems += [f"{plain(p.position)}: {plain(p.reason)}" for p in replay.problems]
        self.summaries.append({"files": [str(p) for p in files], "events": replay.events, "refused": replay.refused})

    def tell_problems(self) -> None:
        """What could not be played, to standard error."""
        for problem in self._problems[:_SHOWN_PROBLEMS]:
            click.echo(f"warning: {problem}", err=True)
        if len(self._problems) > _SHOWN_PROBLEMS:
            click.echo(f"warning: {len(self._problems) - _SHOWN_PROBLEMS} more like these", err=True)


def _of_recording(path: Path, replay: "Replay") -> dict[str, Any]:
    summary = replay.summary
    return {
        "file": str(path),
        "node": summary.about.node,
        "kernel": summary.about.kernel,
        "seconds": round(max(0, summary.last_ns - summary.first_ns) / 1e9, 3),
        "records": summary.records,
        "events": dict(sorted(summary.events.items())),
        "lost": {
            name: lost
            for name, causes in summary.counters.items()
            if (lost := sum(n for cause, n in causes.items() if cause.startswith("lost_")))
        },
        "refused": summary.refused,
        "containers": len(summary.containers),
        "end": summary.end,
    }


def _print(finding: dict[str, Any], form: str) -> None:
    if form == "json":
        sys.stdout.buffer.write(orjson.dumps(finding, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
    else:
        from cli.render import finding_line, print_line  # noqa: PLC0415

        print_line(finding_line(finding))


def _print_summary(rows: Counter[str], player: _Player, form: str) -> None:
    from collector.plain import plain  # noqa: PLC0415

    if form == "json":
        document = {"files": player.summaries, "findings": dict(sorted(rows.items()))}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return
    for summary in player.summaries:
        for name, value in summary.items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            click.echo(f"{name:12} {plain(shown, 400)}")
        click.echo("")
    for rule, count in rows.most_common():
        click.echo(f"{count:8} {plain(rule)}")
    click.echo(f"{rows.total():8} findings")
    player.tell_problems()


def _changes(player: _Player, files: Sequence[Path], other: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("appears" or "disappears", finding) for every finding that only one of the two sets of rules gives."""
    ruleset = _parsed(other)
    before = {f.id: f for f in player.findings(files, player.shipped())}
    after = {f.id: f for f in player.findings(files, ruleset)}
    changed = [("appears", after[i]) for i in after.keys() - before.keys()]
    changed += [("disappears", before[i]) for i in before.keys() - after.keys()]
    changed.sort(key=lambda row: (row[1].time_ns, row[1].id))
    return ((change, finding.as_dict()) for change, finding in changed)


def _parsed(path: Path) -> RuleSet:
    from detection.rules.parse import parse_all  # noqa: PLC0415 - only here is a Sigma parser needed

    parsed = parse_all([(str(p), p.read_text(encoding="utf-8", errors="replace")) for p in files_below((path,))])
    ruleset = RuleSet.from_ir(parsed.rules)
    for problem in (*parsed.problems, *ruleset.problems):
        click.echo(f"warning: {problem.origin}: {problem.rule}: {problem.reason}", err=True)
    if not ruleset.rules:
        raise click.ClickException(f"{path}: no usable rule; `vedette rules check {path}` says why")
    return ruleset


def _print_changes(changes: Iterable[tuple[str, dict[str, Any]]], form: str) -> None:
    counts: Counter[str] = Counter()
    for change, finding in changes:
        counts[change] += 1
        if form == "json":
            _print({"change": change, "finding": finding}, form)
        else:
            sys.stdout.write("+ " if change == "appears" else "- ")
            sys.stdout.flush()
            _print(finding, form)
    if form == "text":
        click.echo(f"{counts['appears']} findings would appear, {counts['disappears']} would disappear")
