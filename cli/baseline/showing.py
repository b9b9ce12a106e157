"""`vedette baseline list` and `show`."""

import json
from typing import Any

import click
from rich.console import Console

from cli.baseline.facts import examples_of, lines_of, summary_of
from cli.baseline.places import Place, Summary, at_a_place, find_all
from cli.baseline.recordings import recording_facts, recordings_at
from cli.baseline.render import print_list, print_profile
from detection.baseline.archive import profile_to_dict
from detection.baseline.decision import combined, to_plain

_FORMAT = click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)


@click.command("list")
@_FORMAT
@at_a_place
def list_(place: Place, format_: str) -> None:
    """Every profile with the state of its classes."""
    found = place.summaries()
    if format_ == "json":
        click.echo(json.dumps([_facts(place, s) for s in found], indent=2))
    elif not found:
        click.echo(f"No profiles in {place.name}. Agents write and send them once they have watched for a while.")
    else:
        print_list(Console(highlight=False, soft_wrap=True), found)


@click.command("show")
@click.argument("workload")
@click.option("--limit", type=click.IntRange(1), default=40, show_default=True, help="Members shown per class.")
@click.option("--all", "all_", is_flag=True, help="Every version, not only the newest.")
@_FORMAT
@at_a_place
def show(place: Place, workload: str, limit: int, all_: bool, format_: str) -> None:
    """One workload: what it does, how completely that is known, what would raise an alarm.

    WORKLOAD is its key or any unambiguous part of it, with @VERSION to name a version.
    """
    chosen = find_all(place, workload)
    documents = []
    console = Console(highlight=False, soft_wrap=True)
    for one in chosen if all_ else chosen[-1:]:
        profile = place.profile(*one)
        decided = combined(place.decisions(one.workload), *one)
        recording = recordings_at(place).find(*one)
        if format_ == "text":
            print_profile(console, profile, decided, recording, limit)
            continue
        documents.append({
            **profile_to_dict(profile), "summary": summary_of(profile), "would_raise": examples_of(profile),
            "decisions": to_plain(decided), "system_calls": recording_facts(recording),
        })  # fmt: skip
    if format_ == "json":
        click.echo(json.dumps(documents, indent=2))
    elif len(chosen) > 1 and not all_:
        click.echo(f"\n{len(chosen) - 1} older versions are known: --all, or WORKLOAD@VERSION.")


def _facts(place: Place, summary: Summary) -> dict[str, Any]:
    return summary_of(place.profile(summary.workload, summary.version)) if place.holds_members else lines_of(summary)
