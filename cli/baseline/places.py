"""Where profiles and decisions are: an agent's state directory on this machine, or a collector."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import click

from agent.learn.store import ProfileFileError, read_latest, read_profiles
from cli.baseline.text import clean
from detection.baseline.decision import Decisions
from detection.baseline.profile import Profile, ProfileConfig

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_STATE_DIR = Path("/var/lib/vedette")
Classes = Mapping[str, Sequence[str]]  # class as text → members


class ClassLine(NamedTuple):
    """One class of one profile, without its members."""

    name: str
    state: str
    completeness: float
    unseen_upper: float
    units: int
    members: int
    held: int
    condemned: int


class Summary(NamedTuple):
    """One profile, without members. `watchers`: instances here, agents at a collector."""

    workload: str
    version: str
    watchers: str
    last_ns: int
    locked: bool
    classes: tuple[ClassLine, ...]


class Place(Protocol):
    """Profiles and decisions. All raise click.ClickException."""

    name: str
    soon: str  # when agents go by a decision
    holds_members: bool  # asking for a profile costs nothing
    state_dir: Path | None  # of an agent on this machine

    def summaries(self) -> list[Summary]:
        """Every profile, in order of workload and version."""

    def profile(self, workload: str, version: str) -> Profile:
        """One profile with its members; both parts are exact."""

    def decisions(self, workload: str) -> list[Decisions]:
        """All decisions about a workload, of any version."""

    def own(self, workload: str, version: str) -> Decisions:
        """The decisions about exactly this that `decide` takes the place of."""

    def decide(self, decided: Sequence[Decisions]) -> int:
        """Put these in place of the decisions about the same workload and version; how many changed anything."""


class Chosen(NamedTuple):
    """One profile that was named."""

    workload: str
    version: str


def find(place: Place, wanted: str) -> Chosen:
    """The one profile meant by WORKLOAD or WORKLOAD@VERSION: any unambiguous part of the key; the newest version.

    Raises: click.ClickException, which names the choices.
    """
    return find_all(place, wanted)[-1]


def find_all(place: Place, wanted: str) -> list[Chosen]:
    """All versions of the one workload that is meant, the newest last. Raises: click.ClickException."""
    name, _, version = wanted.partition("@")
    known = place.summaries()
    keys = {summary.workload for summary in known}
    matches = {name} if name in keys else {key for key in keys if name in key}
    if len(matches) != 1:
        _refuse(place, name, matches, sorted(keys), "profile")
    found = [s for s in known if s.workload in matches and s.version.startswith(version)]
    found = found or [s for s in known if s.workload in matches and version in s.version]
    if not found:
        versions = sorted(s.version for s in known if s.workload in matches)
        _refuse(place, version, set(), versions, "version")
    return [Chosen(s.workload, s.version) for s in sorted(found, key=lambda s: (s.last_ns, s.version))]


def _refuse(place: Place, wanted: str, matches: set[str], known: list[str], what: str) -> None:
    choices = "\n  ".join(clean(key) for key in (sorted(matches) or known)[:20]) or "(none)"
    problem = f"several {what}s match" if matches else f"no {what} matches"
    raise click.ClickException(f"{place.name}: {problem} {clean(wanted)!r}; name one of\n  {choices}")


def newest_of(profiles: Sequence[Profile]) -> Profile:
    """The profile seen last."""
    return max(profiles, key=lambda p: (p.last_ns, p.version))


def load(path: Path, target: float, *, exact: bool) -> list[Profile]:
    """The profiles of a file (`exact`) or of the newest whole one of an agent. Raises: click.ClickException."""
    config = ProfileConfig(target=target)
    try:
        profiles = read_profiles(path, config) if exact or path.exists() else read_latest(path, config)[0]
    except ProfileFileError as error:
        raise click.ClickException(str(error)) from error
    return sorted(profiles, key=lambda p: (p.workload, p.version))


_OPTIONS = (
    click.option("--state-dir", type=_DIRECTORY, help="State directory of an agent.  [default: /var/lib/vedette]"),
    click.option("--file", "file_", type=click.Path(dir_okay=False, path_type=Path), help="An agent's profile file."),
    click.option(
        "--collector", envvar="VEDETTE_COLLECTOR", metavar="HOST:PORT|unix:/PATH", help="Ask this collector instead."
    ),
    click.option("--cert", envvar="VEDETTE_CERT", type=_FILE, help="Reader's or administrator's certificate, PEM."),
    click.option("--key", envvar="VEDETTE_KEY", type=_FILE, help="Its private key, PEM."),
    click.option("--ca", envvar="VEDETTE_CA", type=_FILE, help="CA that signed the collector's certificate, PEM."),
    click.option(
        "--target", type=click.FloatRange(1e-6, 0.5), default=ProfileConfig().target, show_default=True,
        help="Unseen mass at which a class counts as stable.",
    ),
)  # fmt: skip


def at_a_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where, and hands the command a Place as its first argument."""

    @wraps(function)
    def run(
        *args: Any, state_dir: Path | None, file_: Path | None, collector: str | None, cert: Path | None,
        key: Path | None, ca: Path | None, target: float, **rest: Any,
    ) -> Any:  # fmt: skip
        here = state_dir is not None or file_ is not None
        if collector and not here:
            with _remote(collector, cert, key, ca, target) as place:
                return function(place, *args, **rest)
        return function(_local(state_dir or _STATE_DIR, file_, target), *args, **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _local(directory: Path, file: Path | None, target: float) -> Place:
    from cli.baseline.local import Local  # noqa: PLC0415

    return Local(file.parent if file else directory, file, target)


@contextmanager
def _remote(collector: str, cert: Path | None, key: Path | None, ca: Path | None, target: float) -> Iterator[Place]:
    from cli.baseline.remote import remote  # noqa: PLC0415

    with remote(collector, cert, key, ca, target) as place:
        yield place
