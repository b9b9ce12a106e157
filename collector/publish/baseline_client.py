"""A client of BaselineService: what `vedette baseline` uses against a collector."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import grpc
from google.protobuf.message import Message
from vedette.v1 import baseline_pb2, baseline_pb2_grpc

from collector.errors import MessageError, QueryError
from collector.publish.baselines import decisions_from
from collector.publish.client import query_error
from collector.receive.profiles import decisions_message, part_from
from detection.baseline.decision import Decisions
from detection.baseline.parts import Assembler, PartError
from detection.baseline.snapshot import Snapshot

M = TypeVar("M", bound=Message)


class ClassSummary(NamedTuple):
    """State of one class in the whole fleet; see `vedette.v1.ClassSummary`."""

    behaviour: str
    state: str
    completeness: float
    unseen_upper: float
    units: int
    members: int
    held: int
    condemned: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One profile of the fleet, without members."""

    workload: str
    version: str
    agents: int
    last_ns: int
    locked: bool
    classes: tuple[ClassSummary, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """One profile of the fleet; `detection.baseline.snapshot.profile_of` makes a Profile of the snapshot."""

    summary: Summary
    snapshot: Snapshot
    inherited_from: str
    decisions: tuple[Decisions, ...]


class BaselineClient:
    """Blocking calls over one channel (`collector.publish.client.open_channel`).

    All raise QueryError (UnreachableError where trying again may help).
    """

    def __init__(self, channel: grpc.Channel, timeout_s: float = 30.0) -> None:
        self._stub = baseline_pb2_grpc.BaselineServiceStub(channel)
        self._timeout_s = timeout_s

    def summaries(self, limit: int = 1000) -> list[Summary]:
        """Every profile of the fleet, in order of workload and version."""
        answer = self._call(self._stub.ListBaselines, baseline_pb2.ListBaselinesRequest(limit=limit))
        return [_summary(summary) for summary in answer.baselines]

    def baseline(self, workload: str, version: str = "") -> Baseline:
        """One profile; without a version the one seen last."""
        request = baseline_pb2.GetBaselineRequest(workload=workload, version=version)
        answer = self._call(self._stub.GetBaseline, request)
        try:
            update = Assembler().add(part_from(answer.profile))
            decided = tuple(decisions_from(message) for message in answer.decisions)
        except (MessageError, PartError) as error:
            raise QueryError(f"profile of {workload} is in no form this version knows: {error}") from error
        assert update is not None
        return Baseline(_summary(answer.summary), update.snapshot, update.inherited_from, decided)

    def decide(
        self,
        workload: str,
        version: str = "",
        *,
        accept: Mapping[str, Iterable[str]] | None = None,
        condemn: Mapping[str, Iterable[str]] | None = None,
        remove: Mapping[str, Iterable[str]] | None = None,
        lock: bool | None = None,
    ) -> Decisions:
        """Add to the decisions about a workload or take some back, by class; what holds now."""
        add = baseline_pb2.WorkloadDecisions(
            workload=workload,
            version=version,
            lock=bool(lock),
            classes=[
                *(baseline_pb2.ClassDecisions(behaviour=n, accepted=list(m)) for n, m in (accept or {}).items()),
                *(baseline_pb2.ClassDecisions(behaviour=n, condemned=list(m)) for n, m in (condemn or {}).items()),
            ],
        )
        back = [baseline_pb2.ClassDecisions(behaviour=n, accepted=list(m)) for n, m in (remove or {}).items()]
        request = baseline_pb2.DecideRequest(add=add, remove=back, set_lock=lock is not None)
        return decisions_from(self._call(self._stub.Decide, request))

    def import_decisions(self, decided: Iterable[Decisions]) -> int:
        """Replace the decisions about each workload named, all or none; how many changed anything."""
        messages = [decisions_message(decisions) for decisions in decided]
        request = baseline_pb2.ImportDecisionsRequest(decisions=messages)
        return int(self._call(self._stub.ImportDecisions, request).changed)

    def _call(self, method: Callable[..., M], request: Any) -> M:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise query_error(error) from error


def _summary(message: baseline_pb2.BaselineSummary) -> Summary:
    classes = tuple(
        ClassSummary(
            c.behaviour, c.state, c.completeness, c.unseen_upper, c.units, c.members, c.held, c.condemned
        )
        for c in message.classes
    )  # fmt: skip
    return Summary(message.workload, message.version, message.agents, message.last_ns, message.locked, classes)
