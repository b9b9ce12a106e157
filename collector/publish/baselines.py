"""BaselineService: what the fleet knows, for people, and what they decide. Reading needs a reader's certificate,
deciding an administrator's."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from vedette.v1 import baseline_pb2

from collector.errors import CollectorError, MessageError, QueryError, StoreError
from collector.fleet import Fleet
from collector.metrics import Metrics
from collector.plain import plain
from collector.receive.identity import Identity, Role, peer_identity
from collector.receive.profiles import decisions_message, profile_messages
from collector.store.profiles import ProfileKey
from detection.baseline.decision import DecisionError, Decisions, parse
from detection.baseline.parts import Update
from detection.baseline.profile import ClassProfile, ProfileConfig
from detection.baseline.snapshot import profile_of

M = TypeVar("M", bound=Message)
A = TypeVar("A", bound=Message)

SERVICE = "vedette.v1.BaselineService"
_READERS = (Role.READER, Role.ADMIN, Role.LOCAL)
_DECIDERS = (Role.ADMIN, Role.LOCAL)
_MAX_LIST = 10_000
_MAX_IMPORT = 1000

Context = "grpc.aio.ServicerContext[bytes, bytes]"
Handler = Callable[[bytes, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]


class BaselineService:
    """Answers from the fleet; `config` is what states are judged by, as agents do."""

    def __init__(self, fleet: Fleet, metrics: Metrics, config: ProfileConfig | None = None) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._config = config or ProfileConfig()
        self._summaries: dict[ProfileKey, tuple[tuple[int, int], baseline_pb2.BaselineSummary]] = {}

    def handler(self) -> "grpc.GenericRpcHandler[bytes, bytes]":
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        pb = baseline_pb2
        methods = {
            "ListBaselines": self._method(pb.ListBaselinesRequest, self._list, _READERS),
            "GetBaseline": self._method(pb.GetBaselineRequest, self._get, _READERS),
            "Decide": self._method(pb.DecideRequest, self._decide, _DECIDERS),
            "ImportDecisions": self._method(pb.ImportDecisionsRequest, self._import, _DECIDERS),
        }
        handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _method(
        self, kind: type[M], answer: Callable[[M, Identity], Awaitable[Message]], roles: tuple[Role, ...]
    ) -> Handler:
        async def handle(data: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
            peer = peer_identity(context)
            if peer is None or peer.role not in roles:
                self._metrics.count("messages_bad", cause="identity")
                text = f"this needs the certificate of {' or '.join(r.value for r in roles[:-1])}"
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{text}; issue one with `vedette pki`")
            try:
                request = kind.FromString(data)
            except (DecodeError, UnicodeDecodeError):
                self._metrics.count("messages_bad", cause="malformed")
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"request is not a {kind.DESCRIPTOR.full_name}")
            try:
                found = await answer(request, peer)
            except CollectorError as error:
                await context.abort(_status_of(error), plain(error, 600))
            return bytes(found.SerializeToString())

        return handle

    async def _list(self, request: baseline_pb2.ListBaselinesRequest, _: Identity) -> Message:
        limit = min(request.limit or 1000, _MAX_LIST)
        keys = sorted(self._fleet.profiles())[:limit]
        return baseline_pb2.ListBaselinesResponse(baselines=[await self._summary(key) for key in keys])

    async def _get(self, request: baseline_pb2.GetBaselineRequest, _: Identity) -> Message:
        key = self._choose(request.workload, request.version)
        merged = (await self._fleet.current(key)).update
        decided = [d for d in self._fleet.decisions() if d.workload == key[0] and d.version in ("", key[1])]
        messages = profile_messages(merged)
        whole = messages[0]
        for message in messages[1:]:
            whole.classes.extend(message.classes)
        whole.part = whole.parts = 1
        return baseline_pb2.Baseline(
            summary=self._summarised(key, merged), profile=whole, decisions=[decisions_message(d) for d in decided]
        )

    async def _decide(self, request: baseline_pb2.DecideRequest, who: Identity) -> Message:
        add = request.add
        before = next(
            (d for d in self._fleet.decisions() if (d.workload, d.version) == (add.workload, add.version)),
            Decisions(add.workload, add.version),
        )
        try:
            after = before.changed(
                accept={known.behaviour: list(known.accepted) for known in add.classes if known.accepted},
                condemn={known.behaviour: list(known.condemned) for known in add.classes if known.condemned},
                remove={known.behaviour: [*known.accepted, *known.condemned] for known in request.remove},
                lock=add.lock if request.set_lock else None,
            )
        except DecisionError as error:
            raise MessageError(f"decision about {plain(add.workload)}: {error}") from error
        await self._fleet.decide([after], _name(who))
        return decisions_message(after)

    async def _import(self, request: baseline_pb2.ImportDecisionsRequest, who: Identity) -> Message:
        if len(request.decisions) > _MAX_IMPORT:
            raise MessageError(f"{len(request.decisions)} decisions at once; at most {_MAX_IMPORT} are taken")
        decided = [decisions_from(message) for message in request.decisions]
        if len({(d.workload, d.version) for d in decided}) != len(decided):
            raise MessageError("two decisions about the same workload and version; nothing was changed")
        changed = await self._fleet.decide(decided, _name(who))
        return baseline_pb2.ImportDecisionsResponse(changed=changed)

    def _choose(self, workload: str, version: str) -> ProfileKey:
        profiles = self._fleet.profiles()
        found = [key for key in profiles if key[0] == workload and version in ("", key[1])]
        if not found:
            raise QueryError(f"no profile of {plain(workload)!r}; `vedette baseline list` names them")
        return max(found, key=lambda key: max(head.seen_ns for head in profiles[key].values()))

    async def _summary(self, key: ProfileKey) -> baseline_pb2.BaselineSummary:
        stand = self._fleet.stand(key)
        known = self._summaries.get(key)
        if known is not None and known[0] == stand:
            return known[1]
        if len(self._summaries) >= _MAX_LIST:
            self._summaries.clear()
        summary = self._summarised(key, (await self._fleet.current(key)).update)
        self._summaries[key] = (stand, summary)
        return summary

    def _summarised(self, key: ProfileKey, merged: Update) -> baseline_pb2.BaselineSummary:
        profile = profile_of(merged.snapshot, self._config)
        decided = self._fleet.decided(key)
        heads = self._fleet.profiles().get(key, {})
        return baseline_pb2.BaselineSummary(
            workload=key[0],
            version=key[1],
            agents=len(heads),
            last_ns=max((head.seen_ns for head in heads.values()), default=0),
            classes=[_class(str(name), known) for name, known in profile.classes.items() if known.units],
            locked=decided is not None and decided.lock,
        )


def _class(name: str, known: ClassProfile) -> baseline_pb2.ClassSummary:
    return baseline_pb2.ClassSummary(
        behaviour=name,
        state=known.state.value,
        completeness=known.completeness,
        unseen_upper=known.unseen_upper,
        units=known.units,
        members=len(known.members),
        held=len(known.quarantine),
        condemned=len(known.condemned),
    )


def decisions_from(message: baseline_pb2.WorkloadDecisions) -> Decisions:
    """What a person sent. Raises: MessageError."""
    try:
        return parse(
            {
                "workload": message.workload,
                "version": message.version,
                "lock": message.lock,
                "accepted": {c.behaviour: list(c.accepted) for c in message.classes if c.listed or c.accepted},
                "condemned": {c.behaviour: list(c.condemned) for c in message.classes if c.condemned},
            }
        )
    except DecisionError as error:
        raise MessageError(f"decisions about {plain(message.workload)}: {error}; nothing was changed") from error


def _name(who: Identity) -> str:
    return f"{who.role.value} {who.name}".strip()


def _status_of(error: CollectorError) -> grpc.StatusCode:
    if isinstance(error, MessageError):
        return grpc.StatusCode.INVALID_ARGUMENT
    return grpc.StatusCode.UNAVAILABLE if isinstance(error, StoreError) else grpc.StatusCode.NOT_FOUND
