"""`vedette baseline import`, `approve`, `condemn`, `lock` and `unlock`: what people decide, and agents go by."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from agent.baseline_files import BaselineFileError, read_baseline
from cli.baseline.places import Place, at_a_place, find
from cli.baseline.text import clean, count
from detection.baseline.decision import DecisionError, Decisions
from detection.baseline.keys import ClassKey
from detection.baseline.profile import Profile, State

Found = dict[str, list[str]]  # class → members
_CLASS = click.option("--class", "class_", metavar="CLASS", help="Only this class: exec, write/startup …")
_VERSION = click.option("--this-version", is_flag=True, help="Decide for this version (image digest) only.")


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE...")
@at_a_place
def import_(place: Place, files: tuple[Path, ...]) -> None:
    """Take baseline files as they are, in place of what was decided about their workloads: all of them, or none."""
    decided: dict[tuple[str, str], tuple[Path, Decisions]] = {}
    for path in files:
        try:
            one = read_baseline(path)
        except BaselineFileError as error:
            raise click.ClickException(clean(str(error))) from error
        other = decided.setdefault((one.workload, one.version), (path, one))
        if other[0] != path:
            raise click.ClickException(f"{other[0]} and {path} are about the same workload; nothing was changed")
    changed = place.decide([one for _, one in decided.values()])
    click.echo(f"{count(len(decided), 'file')} taken, {changed} of them new; {place.soon}.")


@click.command()
@click.argument("workload")
@click.argument("members", nargs=-1, metavar="[MEMBER]...")
@_CLASS
@click.option(
    "--waiting", is_flag=True, help="All that waits for others or a person (of --class, else of all classes)."
)
@_VERSION
@at_a_place
def approve(
    place: Place, workload: str, members: tuple[str, ...], class_: str | None, waiting: bool, this_version: bool
) -> None:
    """These behaviours of WORKLOAD are normal. MEMBER is one as `show` prints it, or any unambiguous part of it.

    With --class a behaviour may be approved before it was ever seen.
    """
    chosen, before, profile = _begin(place, workload, this_version)
    found = _held(profile, _class(class_)) if waiting else {}
    for name, some in _found(profile, members, _class(class_)).items():
        found.setdefault(name, []).extend(some)
    if not found:
        nothing = "nothing waits there" if waiting else "name a behaviour, or use --waiting"
        raise click.ClickException(f"{clean(chosen)}: {nothing}; nothing was changed")
    _decide(place, before, accept=found)
    _told("approved", found, place)


@click.command()
@click.argument("workload")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
@_CLASS
@_VERSION
@at_a_place
def condemn(place: Place, workload: str, members: tuple[str, ...], class_: str | None, this_version: bool) -> None:
    """These behaviours of WORKLOAD are never normal: they are unlearned, and raise HIGH whenever they happen."""
    _, before, profile = _begin(place, workload, this_version)
    found = _found(profile, members, _class(class_))
    _decide(place, before, condemn=found)
    _told("condemned", found, place)


@click.command()
@click.argument("workload")
@click.option(
    "--class", "classes", multiple=True, metavar="CLASS", help="This class.  [default: every class that is stable]"
)
@_VERSION
@at_a_place
def lock(place: Place, workload: str, classes: tuple[str, ...], this_version: bool) -> None:
    """What WORKLOAD does now is all it may do: anything else in the locked classes raises HIGH, and is not learned."""
    _, before, profile = _begin(place, workload, this_version)
    wanted = [_class(name) for name in classes]
    keys = [
        key
        for key, known in profile.classes.items()
        if str(key) in wanted or (not wanted and _is_sure(known.state, known.units))
    ]
    missing = set(wanted) - {str(key) for key in keys}
    keys += [ClassKey.parse(name) for name in missing if name]
    if not keys:
        raise click.ClickException("no class of it is stable yet; name classes with --class to lock them all the same")
    found = {str(key): sorted(profile.classes[key].members) for key in keys}
    _decide(place, before, accept=found, lock=True)
    names = ", ".join(f"{name} ({count(len(members), 'member')})" for name, members in found.items())
    click.echo(f"locked: {names}; {place.soon}.")
    loose = [str(key) for key, known in profile.classes.items() if known.units and str(key) not in found]
    if loose:
        click.echo(f"not locked, still learning there: {', '.join(loose)}", err=True)


@click.command()
@click.argument("workload")
@_VERSION
@at_a_place
def unlock(place: Place, workload: str, this_version: bool) -> None:
    """WORKLOAD is learned from again. What was accepted stays accepted."""
    _, before, _ = _begin(place, workload, this_version)
    if not before.lock and not any(decided.lock for decided in place.decisions(before.workload)):
        raise click.ClickException(f"{clean(before.workload)} is not locked; nothing was changed")
    _decide(place, before, lock=False)
    click.echo(f"unlocked {clean(before.workload)}; {place.soon}.")


def _is_sure(state: State, units: int) -> bool:
    return state is State.STABLE and units > 0


def _begin(place: Place, wanted: str, this_version: bool) -> tuple[str, Decisions, Profile]:
    """The workload meant, what is decided about it in the scope that is to change, and its newest profile."""
    workload, version = find(place, wanted)
    scope = version if this_version else ""
    return workload, place.own(workload, scope), place.profile(workload, version)


def _decide(
    place: Place, before: Decisions, *,
    accept: Found | None = None, condemn: Found | None = None, lock: bool | None = None,
) -> None:  # fmt: skip
    try:
        place.decide([before.changed(accept=accept, condemn=condemn, lock=lock)])
    except DecisionError as error:
        raise click.ClickException(f"{clean(str(error))}; nothing was changed") from error


def _class(name: str | None) -> str:
    if not name:
        return ""
    try:
        return str(ClassKey.parse(name))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--class") from error


def _held(profile: Profile, only: str) -> Found:
    found = {str(key): sorted(known.quarantine) for key, known in profile.classes.items() if known.quarantine}
    return {name: members for name, members in found.items() if only in ("", name)}


def _found(profile: Profile, wanted: Sequence[str], only: str) -> Found:
    """The behaviours meant, by class. Raises: click.ClickException naming the choices."""
    known = _known(profile, only)
    found: Found = {}
    for text in wanted:
        exact = [name for name, members in known.items() if text in members]
        parts = [(name, m) for name, members in known.items() for m in members if text in m]
        if exact:
            pairs = [(name, text) for name in exact]
        elif len({member for _, member in parts}) == 1:
            pairs = parts
        elif only and not parts and " → " in text:
            pairs = [(only, text)]
        else:
            raise click.ClickException(_unclear(text, [member for _, member in parts]))
        for name, member in pairs:
            found.setdefault(name, []).append(member)
    return found


def _known(profile: Profile, only: str) -> Mapping[str, set[str]]:
    return {
        str(key): {*known.members, *known.quarantine, *known.condemned}
        for key, known in profile.classes.items()
        if only in ("", str(key))
    }


def _unclear(text: str, choices: Iterable[str]) -> str:
    names = sorted(set(choices))
    if not names:
        return f"no behaviour is named {clean(text)!r} or has it in its name; `vedette baseline show` names them"
    listed = "\n  ".join(clean(name) for name in names[:20])
    return f"several behaviours have {clean(text)!r} in their name; name one of\n  {listed}"


def _told(what: str, found: Found, place: Place) -> None:
    for name, members in sorted(found.items()):
        for member in sorted(members):
            click.echo(f"{what} {name}: {clean(member)}")
    click.echo(f"{place.soon[0].upper()}{place.soon[1:]}.")
