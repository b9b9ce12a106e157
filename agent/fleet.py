"""The agent's part in its fleet: own profiles and rates out, the fleet's profiles, decisions and forests in.

Runs in the core's thread, between events. Decisions come from files on this machine and from the collector; those of
the collector are kept on disk, so that a lock holds after a restart without one.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import orjson

from agent.baseline_files import BaselineFiles
from agent.exchange import Exchange
from agent.learn.learner import Learner
from agent.rates.rates import Rates
from detection.baseline.decision import DecisionBook, Decisions, parse, to_plain
from detection.baseline.profile import ProfileConfig
from detection.baseline.snapshot import profile_of
from detection.errors import DetectionError

log = logging.getLogger(__name__)

_LOOK_NS = 5 * 10**9  # between two looks at the directory of baseline files
_MAX_KEPT = 64 << 20


class FleetMember:
    """`tick` about once a second. `directory`: where the agent keeps its state."""

    def __init__(
        self, exchange: Exchange, learner: Learner, rates: Rates | None, directory: Path, config: ProfileConfig
    ) -> None:
        self._exchange = exchange
        self._learner = learner
        self._rates = rates
        self._config = config
        self._kept = directory / "decisions.json"
        self._files = BaselineFiles(directory / "baselines")
        self._from_fleet: dict[tuple[str, str], Decisions] = {}
        self._looked_ns = 0

    def start(self, now_ns: int) -> None:
        """Take up the decisions of files and of an earlier run. Problems are logged and keep nothing else up."""
        self._from_fleet = {(d.workload, d.version): d for d in self._restored()}
        self._look(now_ns)
        self._decide()

    def tick(self, now_ns: int) -> None:
        """Exchange what there is. Costs microseconds where there is nothing."""
        self._exchange.offer(self._learner.profiles(), now_ns)
        for update in self._exchange.take_profiles():
            self._learner.fleet(profile_of(update.snapshot, self._config), update.inherited_from)
        self._take_decisions(now_ns)
        if self._rates is not None:
            self._exchange.offer_windows(self._rates.take())
            for forest in self._exchange.take_forests():
                if problem := self._rates.adopt(forest.workload, forest.version, forest.body):
                    log.warning("forest of %s is not used: %s", forest.workload[:200], problem)

    def counters(self) -> Mapping[str, int]:
        """What was exchanged, by what became of it."""
        return self._exchange.counters()

    def _take_decisions(self, now_ns: int) -> None:
        news = self._exchange.take_decisions()
        for decided in news:
            self._from_fleet[decided.workload, decided.version] = decided
        if news:
            self._from_fleet = {key: decided for key, decided in self._from_fleet.items() if decided}
            self._keep()
        if self._look(now_ns) or news:
            self._decide()

    def _look(self, now_ns: int) -> bool:
        """Look at the baseline files, now and then; whether they changed."""
        if 0 <= now_ns - self._looked_ns < _LOOK_NS:
            return False
        self._looked_ns = now_ns
        changed, problems = self._files.changed()
        for problem in problems:
            log.error("baseline file %s", problem)
        return changed

    def _decide(self) -> None:
        self._learner.decide(DecisionBook([*self._files.decisions(), *self._from_fleet.values()]))

    def _keep(self) -> None:
        fresh = self._kept.with_name(self._kept.name + ".new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(orjson.dumps([to_plain(decided) for decided in self._from_fleet.values()]))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._kept)
        except OSError as error:
            log.error("decisions could not be saved to %s: %s; they hold until this run ends", self._kept, error)

    def _restored(self) -> list[Decisions]:
        try:
            with self._kept.open("rb") as file:
                return [parse(plain) for plain in orjson.loads(file.read(_MAX_KEPT))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, DetectionError) as error:
            log.error("decisions in %s cannot be read: %s; the collector sends them again", self._kept, error)
            return []
