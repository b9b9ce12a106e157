"""An agent's state directory: `profiles.json`, and decisions in `baselines/*.yaml`, which the agent rereads."""

import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import click
import orjson

from agent.baseline_files import BaselineFileError, BaselineFiles
from cli.baseline.places import ClassLine, Summary, load
from cli.baseline.text import clean, count
from cli.baseline.yaml_text import yaml_of
from detection.baseline.decision import DecisionBook, Decisions, parse
from detection.baseline.profile import ClassProfile, Profile
from detection.errors import DetectionError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_SLUG = re.compile(r"[^A-Za-z0-9.-]+")
_MOST = 64 << 20


class Local:
    """A `Place`. `file` is where profiles are if not in the directory's `profiles.json`."""

    soon = "a running agent goes by it within some seconds"
    holds_members = True

    def __init__(self, directory: Path, file: Path | None, target: float) -> None:
        self.state_dir: Path | None = directory
        self._directory = directory
        self._file, self._target, self._exact = file or directory / "profiles.json", target, file is not None
        self._baselines = directory / "baselines"
        self._loaded: list[Profile] | None = None
        self.name = str(self._file)

    def summaries(self) -> list[Summary]:
        """As the port says."""
        book = DecisionBook(self._decided())
        return [_summary(profile, book) for profile in self._profiles()]

    def profile(self, workload: str, version: str) -> Profile:
        """As the port says."""
        return next(p for p in self._profiles() if (p.workload, p.version) == (workload, version))

    def decisions(self, workload: str) -> list[Decisions]:
        """As the port says: those of files on this machine, and those the agent got from its collector."""
        return [decided for decided in self._decided() if decided.workload == workload]

    def own(self, workload: str, version: str) -> Decisions:
        """As the port says: not what others wrote, nor what the collector sent."""
        empty = Decisions(workload, version)
        return self._named().get(self._path(empty).name, empty)

    def decide(self, decided: Sequence[Decisions]) -> int:
        """As the port says. One file for each; files that others wrote are left alone."""
        for one in decided:
            self._check(one)
        changed = 0
        for one in decided:
            path = self._path(one)
            before = path.read_bytes() if path.exists() else b""
            after = yaml_of(one).encode()
            if before != after:
                self._write(path, after)
                changed += 1
        return changed

    def _check(self, wanted: Decisions) -> None:
        """What another file says about the same would hold, too: that must be changed there. Raises: ClickException."""
        own = self._path(wanted).name
        theirs = [(f"{self._baselines / n} is another file", d) for n, d in self._named().items() if n != own]
        theirs += [("the collector has decisions", d) for d in self._from_fleet()]
        for whose, other in theirs:
            if other.workload != wanted.workload or (other.version and wanted.version not in ("", other.version)):
                continue
            where = f"{whose} about this workload"
            if other.lock and not wanted.lock:
                raise click.ClickException(f"{where}, and locks it: unlock it there")
            for behaviour, members in wanted.accepted.items():
                if against := sorted(members & other.condemned.get(behaviour, frozenset())):
                    raise click.ClickException(f"{where}, and condemns {clean(against[0])!r}: decide for one")

    def _path(self, decided: Decisions) -> Path:
        key = f"{decided.workload}\0{decided.version}".encode("utf-8", "replace")
        slug = _SLUG.sub("_", decided.workload.encode("ascii", "replace").decode()).strip("._")[-80:] or "workload"
        return self._baselines / f"{slug}-{blake2b(key, digest_size=4).hexdigest()}.yaml"

    def _write(self, path: Path, data: bytes) -> None:
        fresh = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(fresh, _NEW, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise click.ClickException(f"{path}: {error.strerror}; nothing was changed") from error

    def _profiles(self) -> list[Profile]:
        if self._loaded is None:
            self._loaded = load(self._file, self._target, exact=self._exact)
        return self._loaded

    def _named(self) -> dict[str, Decisions]:
        files = BaselineFiles(self._baselines)
        _, problems = files.changed()
        for problem in problems:
            click.echo(f"warning: {clean(str(problem))}", err=True)
        return files.named()

    def _decided(self) -> list[Decisions]:
        return [*self._named().values(), *self._from_fleet()]

    def _from_fleet(self) -> list[Decisions]:
        path = self._directory / "decisions.json"
        try:
            with path.open("rb") as file:
                return [parse(plain) for plain in orjson.loads(file.read(_MOST))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, DetectionError, BaselineFileError) as error:
            click.echo(f"warning: {path} cannot be read: {clean(str(error))[:200]}", err=True)
            return []


def _summary(profile: Profile, book: DecisionBook) -> Summary:
    decided = book.of(profile.workload, profile.version)
    instances = max((len(known.instances) for known in profile.classes.values()), default=0)
    return Summary(
        profile.workload, profile.version, count(instances, "instance"), profile.last_ns,
        decided is not None and decided.lock, tuple(line_of(str(key), known) for key, known in profile.classes.items()),
    )  # fmt: skip


def line_of(name: str, known: ClassProfile) -> ClassLine:
    """A class without its members."""
    return ClassLine(
        name, known.state.value, known.completeness, known.unseen_upper, known.units, len(known.members),
        len(known.quarantine), len(known.condemned),
    )  # fmt: skip
