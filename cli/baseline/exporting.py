"""`vedette baseline export`."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from agent.syscalls.tables import table_of
from cli.baseline.network_policy import owner_of, policy_of
from cli.baseline.places import Place, at_a_place, find
from cli.baseline.recordings import recordings_at
from cli.baseline.seccomp import ACTIONS, seccomp_of
from cli.baseline.text import clean, quoted
from cli.baseline.yaml_text import Remarks, yaml_of
from detection.baseline.decision import Decisions, combined
from detection.baseline.profile import Profile, State

_APP = "app.kubernetes.io/name"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@click.command()
@click.argument("workload")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("yaml", "seccomp", "networkpolicy")),
    default="yaml",
    show_default=True,
    help="A baseline file for git, a seccomp profile (see `vedette baseline syscalls`), a NetworkPolicy.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to standard output."
)
@click.option("--pin", is_flag=True, help="yaml: for this version (image digest) only.")
@click.option("--lock", is_flag=True, help="yaml: nothing beyond what the file accepts is normal.")
@click.option(
    "--action",
    type=click.Choice(tuple(ACTIONS)),
    default="errno",
    show_default=True,
    help="seccomp: what becomes of other calls.",
)
@click.option(
    "--app-label", default=_APP, show_default=True, help="networkpolicy: the label that names a pod's application."
)
@at_a_place
def export(
    place: Place, workload: str, format_: str, output: Path | None, pin: bool, lock: bool, action: str, app_label: str
) -> None:  # fmt: skip
    """WORKLOAD's baseline as a file. What the format cannot say is told on standard error."""
    key, version = find(place, workload)
    if format_ == "seccomp":
        text, remarks = _seccomp(place, key, version, action)
    else:
        profile = place.profile(key, version)
        decided = combined(place.decisions(key), key, version)
        if format_ == "yaml":
            text, remarks = _yaml(profile, decided, pin=pin, lock=lock)
        else:
            text, remarks = _network_policy(profile, decided, app_label)
    for remark in remarks:
        click.echo(f"note: {clean(remark)}", err=True)
    _put(text, output)


def _put(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with os.fdopen(os.open(output, _CREATE, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from error


def _yaml(profile: Profile, decided: Decisions, *, pin: bool, lock: bool) -> tuple[str, list[str]]:
    whole = Decisions(
        profile.workload, profile.version if pin else "", lock or decided.lock, known_of(profile, decided),
        decided.condemned,
    )  # fmt: skip
    heading = (
        "Baseline of a workload. Remove what is not normal, add what is; `vedette baseline import` takes it back.",
    )
    return yaml_of(whole, _waiting(profile, whole), heading), _unsure(profile)


def known_of(profile: Profile, decided: Decisions) -> dict[str, frozenset[str]]:
    """What is normal, by class: what was learned and what people accepted, less what they condemned.

    Classes that were watched are named even where nothing happened, so that a lock holds for them, too.
    """
    found: dict[str, frozenset[str]] = dict(decided.accepted)
    for key, known in profile.classes.items():
        if known.units or known.members:
            found[str(key)] = found.get(str(key), frozenset()) | frozenset(known.members)
    return {name: members - decided.condemned.get(name, frozenset()) for name, members in found.items()}


def _waiting(profile: Profile, whole: Decisions) -> Remarks:
    """Behaviours that are neither: shown in the file, as comments a reviewer can turn into entries."""
    remarks: dict[str, list[tuple[str, str]]] = {}
    for key, known in profile.classes.items():
        told = [(name, "waits for others or a person") for name in known.quarantine]
        told += [(name, "condemned by a rule") for name in known.condemned]
        new = [(n, why) for n, why in sorted(told) if not whole.accepts(key, n) and not whole.condemns(key, n)]
        if new:
            remarks[str(key)] = new
    return remarks


def _unsure(profile: Profile) -> list[str]:
    names = [str(key) for key, known in profile.classes.items() if known.members and known.state is not State.STABLE]
    return [f"not yet stable, so more is to be expected: {', '.join(names)}"] if names else []


def _network_policy(profile: Profile, decided: Decisions, app_label: str) -> tuple[str, list[str]]:
    known = known_of(profile, decided)

    def members(behaviour: str) -> Iterable[str]:
        return {m for name, found in known.items() if name.partition("/")[0] == behaviour for m in found}

    if owner_of(profile.workload) is None:
        raise click.ClickException(
            f"{clean(profile.workload)} is no workload of Kubernetes; its key would begin with k8s/"
        )
    try:
        policy = policy_of(profile.workload, members("egress"), members("ingress"), app_label)
    except ValueError as error:
        raise click.ClickException(f"{clean(profile.workload)} {error}") from error
    listens = sorted(m for m in members("listen") if " → unix " not in m)
    remarks = policy.remarks + _unsure(profile)
    if listens and not policy.document["spec"]["ingress"]:
        remarks.append(f"it listens ({', '.join(listens[:5])}), but nobody was seen to connect: nothing may come in")
    comments = "".join(f"# {clean(remark)}\n" for remark in remarks)
    return comments + _plain_yaml(policy.document), remarks


def _plain_yaml(value: Any, indent: str = "") -> str:
    """Mappings, lists, text and numbers, in the order given."""
    lines = []
    if isinstance(value, dict):
        for key, inner in value.items():
            name = key if key.replace("_", "").isalnum() else quoted(key)
            lines.append(f"{indent}{name}:{_inner(inner, indent + '  ')}")
    else:
        for inner in value:
            text = (
                _plain_yaml(inner, indent + "  ") if isinstance(inner, dict | list) else f"{indent}  {_scalar(inner)}\n"
            )
            lines.append(f"{indent}- {text[len(indent) + 2 :]}")
    return "".join(lines)


def _inner(value: Any, indent: str) -> str:
    if isinstance(value, dict | list):
        return "\n" + _plain_yaml(value, indent) if value else " []\n" if isinstance(value, list) else " {}\n"
    return f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _seccomp(place: Place, workload: str, version: str, action: str) -> tuple[str, list[str]]:
    how = "record starts and ordinary work with `vedette baseline syscalls` or `vedette agent --record-syscalls`"
    if place.state_dir is None:
        raise click.ClickException(
            "recordings of system calls stay on the machine that made them: run this there, with --state-dir"
        )
    recording = recordings_at(place).find(workload, version)
    if recording is None or not recording.calls:
        raise click.ClickException(f"no system calls of {clean(workload)} {clean(version)} were recorded: {how}")
    if table_of(recording.machine) is None:
        raise click.ClickException(f"it was recorded on {clean(recording.machine)}, whose calls have no names here")
    profile, remarks = seccomp_of(recording, action)
    remarks = [f"recorded: {recording.sentence}", *remarks]
    return json.dumps(profile, indent=2) + "\n", remarks
