"""The rules of this collector: the shipped ones with a team's own, for audit logs here and for its agents' events.

A team's rules are parsed at start and again at SIGHUP. Bad ones are logged with file and line and counted, the good
ones are used; nothing that is wrong with them ends or holds up the process.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rules
from collector.metrics import Metrics
from collector.plain import plain
from detection.rules import RuleSet, dump_rules, load_compiled
from detection.rules.ir import Problem
from rules.own import build

log = logging.getLogger(__name__)

_SHOWN_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Offer:
    """The rules agents are to run, as compiled. Without a digest: those they came with."""

    digest: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Loaded:
    audit: RuleSet
    offer: Offer
    count: int
    problems: tuple[Problem, ...]


class Rulebook:
    """For one event loop, but for the constructor, which reads and parses. `directory`: the team's rules, if any."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._metrics: Metrics | None = None
        self._listeners: list[Callable[[RuleSet], None]] = []
        self._news = asyncio.Condition()
        self._one_at_a_time = asyncio.Lock()
        self._now = self._load()
        self._say()

    @property
    def audit(self) -> RuleSet:
        """The rules over audit logs that are in force."""
        return self._now.audit

    @property
    def offer(self) -> Offer:
        """What agents are to run."""
        return self._now.offer

    def listen(self, use: Callable[[RuleSet], None]) -> None:
        """Call this with the audit rules whenever they are replaced; it runs between two batches of records."""
        self._listeners.append(use)

    def show_in(self, metrics: Metrics) -> None:
        """Keep these metrics: rules, rule_problems, rule_reloads."""
        self._metrics = metrics
        self._show()

    async def other_than(self, digest: str) -> Offer:
        """What agents are to run, once that is another set than this one."""
        async with self._news:
            await self._news.wait_for(lambda: self._now.offer.digest != digest)
            return self._now.offer

    async def reload(self) -> None:
        """Read the team's rules again and put them in force."""
        async with self._one_at_a_time:
            if self._directory is not None and not self._directory.exists():
                self._count("failed")
                log.error("rules: %s is gone; those in force stay", self._directory)
                return
            try:
                loaded = await asyncio.to_thread(self._load)
            except Exception:  # whatever is in those files, the process goes on with what it has
                self._count("failed")
                log.exception("rules of %s could not be loaded; those in force stay", self._directory)
                return
            self._now = loaded
            self._say()
            self._show()
            self._count("loaded")
            for use in self._listeners:
                use(loaded.audit)
            async with self._news:
                self._news.notify_all()

    def _count(self, result: str) -> None:
        if self._metrics is not None:
            self._metrics.count("rule_reloads", result=result)

    def _show(self) -> None:
        if self._metrics is not None:
            self._metrics.set("rules", self._now.count)
            self._metrics.set("rule_problems", len(self._now.problems))

    def _say(self) -> None:
        now = self._now
        for problem in now.problems[:_SHOWN_PROBLEMS]:
            log.warning("rule is not used: %s", plain(str(problem), 600))
        if len(now.problems) > _SHOWN_PROBLEMS:
            more = len(now.problems) - _SHOWN_PROBLEMS
            log.warning("%d more rules are not used; `vedette rules check` names them", more)
        if self._directory is not None:
            digest = now.offer.digest[:12]
            log.info("%d rules in force, %d not used; agents get %s", now.count, len(now.problems), digest)

    def _load(self) -> _Loaded:
        if self._directory is None:
            return _shipped()
        built = build([self._directory])
        audit, runtime = built.kinds["audit"], built.kinds["runtime"]
        ruleset = RuleSet.from_ir(audit.rules, audit.correlations, audit.exemptions)
        body = dump_rules(runtime.rules, runtime.correlations, runtime.exemptions)
        count = sum(len(one.rules) + len(one.correlations) for one in built.kinds.values())
        offer = Offer(hashlib.sha256(body).hexdigest(), body)
        return _Loaded(ruleset, offer, count, (*built.problems, *ruleset.problems))


def _shipped() -> _Loaded:
    audit, runtime = (load_compiled(rules.compiled(kind)) for kind in ("audit", "runtime"))
    count = sum(len(one.rules) + len(one.correlations) for one in (audit, runtime))
    return _Loaded(audit, Offer(), count, audit.problems)
