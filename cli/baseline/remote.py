"""A collector: profiles of the whole fleet, and decisions that reach every agent."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.baseline.places import ClassLine, Summary
from cli.baseline.text import count
from cli.connection import open_connection
from detection.baseline.decision import Decisions
from detection.baseline.profile import Profile, ProfileConfig
from detection.baseline.snapshot import profile_of

if TYPE_CHECKING:
    from collector.publish.baseline_client import Baseline, BaselineClient

_LIMIT = 10_000


class Remote:
    """A `Place`."""

    soon = "connected agents hear of it at once"
    holds_members = False

    def __init__(self, name: str, client: "BaselineClient", target: float) -> None:
        self.name = name
        self.state_dir: Path | None = None
        self._client, self._config = client, ProfileConfig(target=target)

    def summaries(self) -> list[Summary]:
        """As the port says."""
        return [
            Summary(
                s.workload, s.version, count(s.agents, "agent"), s.last_ns, s.locked,
                tuple(ClassLine._make(known) for known in s.classes),
            )
            for s in self._client.summaries(_LIMIT)
        ]  # fmt: skip

    def profile(self, workload: str, version: str) -> Profile:
        """As the port says."""
        told = self._client.baseline(workload, version)
        profile = profile_of(told.snapshot, self._config)
        profile.last_ns = told.summary.last_ns
        return profile

    def decisions(self, workload: str) -> list[Decisions]:
        """As the port says; of the versions the fleet knows."""
        found: dict[str, Decisions] = {}
        for summary in self._client.summaries(_LIMIT):
            if summary.workload == workload:
                found.update((d.version, d) for d in self._baseline(summary.workload, summary.version).decisions)
        return list(found.values())

    def own(self, workload: str, version: str) -> Decisions:
        """As the port says."""
        return next((d for d in self.decisions(workload) if d.version == version), Decisions(workload, version))

    def decide(self, decided: Sequence[Decisions]) -> int:
        """As the port says; all of them or none."""
        return self._client.import_decisions(decided)

    def _baseline(self, workload: str, version: str) -> "Baseline":
        return self._client.baseline(workload, version)


@contextmanager
def remote(collector: str, cert: Path | None, key: Path | None, ca: Path | None, target: float) -> Iterator[Remote]:
    """A collector for the time of a `with`. Raises: click.ClickException."""
    from collector.publish.baseline_client import BaselineClient  # noqa: PLC0415

    with open_connection(collector, cert, key, ca) as channel:
        yield Remote(f"collector {collector}", BaselineClient(channel), target)
