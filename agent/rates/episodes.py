"""Findings of rates: one for each episode, however many windows it lasts."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import log10

from agent.detect.entities import container_entities
from agent.workload import Container, Workload
from detection.finding import Entity, EntityKind, FieldValue, Finding, Kind, Source
from detection.rates.features import shown
from detection.rates.judge import Verdict
from detection.rates.model import RateModel
from detection.rates.window import RateWindow

RULE = "rates"
_LEAST_P = 1e-300


@dataclass(slots=True)
class _Episode:
    finding: Finding
    features: frozenset[str]
    quiet: int = 0


class Episodes:
    """A miner that runs for hours is one finding whose count grows; a window in which something else is the most
    improbable makes another.

    Bounded by the containers `keep` is told of.
    """

    def __init__(self, node: str, quiet_windows: int) -> None:
        self._node = node
        self._quiet_windows = quiet_windows
        self._open: dict[str, _Episode] = {}

    def keep(self, container_ids: Collection[str]) -> None:
        """Forget the episodes of all other containers."""
        for gone in self._open.keys() - set(container_ids):
            del self._open[gone]

    def note(
        self, container: Container, workload: Workload, window: RateWindow, model: RateModel, verdict: Verdict
    ) -> Finding | None:
        """The finding of this window: new, or the episode's with its count; None where there is nothing to say."""
        episode = self._open.get(container.id)
        if verdict.severity is None:
            self._pause(container.id, episode)
            return None
        features = frozenset(s.name for s in verdict.standout)
        known = episode.features if episode is not None else frozenset()
        if episode is None or (verdict.standout and verdict.standout[0].name not in known):
            finding = self._finding(container, workload, window, model, verdict)
        else:
            finding = self._again(episode.finding, workload, window, verdict)
        self._open[container.id] = _Episode(finding, features | known)
        return finding

    def _again(self, finding: Finding, workload: Workload, window: RateWindow, verdict: Verdict) -> Finding:
        """One window more of what was reported; with what is said of it now, where it has become worse."""
        assert verdict.severity is not None
        finding = replace(finding, count=finding.count + 1, last_ns=window.end_ns)
        if verdict.severity <= finding.severity:
            return finding
        return replace(
            finding,
            severity=verdict.severity,
            surprise=_surprise(verdict.p),
            title=_title(workload.key, verdict),
            reason=" ".join(verdict.reasons),
            fields=_fields(window, verdict),
        )

    def _pause(self, container_id: str, episode: _Episode | None) -> None:
        if episode is not None:
            episode.quiet += 1
            if episode.quiet >= self._quiet_windows:
                del self._open[container_id]

    def _finding(
        self, container: Container, workload: Workload, window: RateWindow, model: RateModel, verdict: Verdict
    ) -> Finding:
        assert verdict.severity is not None
        found = verdict.standout
        entities = [*container_entities(container), Entity(EntityKind.WORKLOAD, workload.key)]
        entities += [Entity(EntityKind.NODE, self._node)] if self._node else []
        return Finding(
            id=self._id(container.id, window.end_ns, verdict),
            time_ns=window.end_ns,
            source=Source.RUNTIME,
            kind=Kind.ANOMALY,
            rule_id=RULE,
            title=_title(workload.key, verdict),
            severity=verdict.severity,
            reason=" ".join(verdict.reasons),
            techniques=verdict.techniques,
            entities=tuple(entities),
            fields=_fields(window, verdict),
            matched=tuple(f"{s.name}: p = {s.p:.1e}" for s in found),
            advice=_ADVICE,
            surprise=_surprise(verdict.p),
            profile=f"stable, {model.windows} windows learned",
            lossy=window.lossy,
        )

    def _id(self, container_id: str, end_ns: int, verdict: Verdict) -> str:
        parts = (self._node, RULE, container_id, str(end_ns), *(s.name for s in verdict.standout))
        return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()


def _title(workload: str, verdict: Verdict) -> str:
    what = "; ".join(s.shown for s in verdict.standout[:2])
    return f"{workload} does things at rates never seen of it: {what or 'an unusual mixture'}"


_ADVICE = (
    "Look at what runs in the container now: its newest programs and connections. If the load is wanted: it is learned "
    "once most containers of the workload show it, or with the next image. Else stop the container and keep its files."
)


def _fields(window: RateWindow, verdict: Verdict) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {"rates.seconds": round(window.seconds, 3), "rates.p": verdict.p}
    for standout in verdict.standout:
        fields[f"rates.{standout.name}"] = shown(standout.index, standout.value)
    return fields


def _surprise(p: float) -> float:
    return -log10(max(p, _LEAST_P))
