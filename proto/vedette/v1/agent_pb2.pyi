from vedette.v1 import baseline_pb2 as _baseline_pb2
from vedette.v1 import finding_pb2 as _finding_pb2
from vedette.v1 import rates_pb2 as _rates_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LedgerEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEDGER_EVENT_UNSPECIFIED: _ClassVar[LedgerEvent]
    LEDGER_EVENT_START: _ClassVar[LedgerEvent]
    LEDGER_EVENT_HEARTBEAT: _ClassVar[LedgerEvent]
    LEDGER_EVENT_STOP: _ClassVar[LedgerEvent]
LEDGER_EVENT_UNSPECIFIED: LedgerEvent
LEDGER_EVENT_START: LedgerEvent
LEDGER_EVENT_HEARTBEAT: LedgerEvent
LEDGER_EVENT_STOP: LedgerEvent

class AgentMessage(_message.Message):
    __slots__ = ("hello", "record", "profile", "rates")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    record: Record
    profile: _baseline_pb2.Profile
    rates: RateWindows
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., record: _Optional[_Union[Record, _Mapping]] = ..., profile: _Optional[_Union[_baseline_pb2.Profile, _Mapping]] = ..., rates: _Optional[_Union[RateWindows, _Mapping]] = ...) -> None: ...

class RateWindows(_message.Message):
    __slots__ = ("windows",)
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[_rates_pb2.RateWindow]
    def __init__(self, windows: _Optional[_Iterable[_Union[_rates_pb2.RateWindow, _Mapping]]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("agent_id", "stream_id", "version", "abi_version", "node", "boot_id", "oldest_seq", "newest_seq", "features", "rules_digest", "rules_held")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ABI_VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    NEWEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    RULES_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RULES_HELD_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    stream_id: str
    version: str
    abi_version: int
    node: str
    boot_id: str
    oldest_seq: int
    newest_seq: int
    features: _containers.RepeatedScalarFieldContainer[str]
    rules_digest: str
    rules_held: str
    def __init__(self, agent_id: _Optional[str] = ..., stream_id: _Optional[str] = ..., version: _Optional[str] = ..., abi_version: _Optional[int] = ..., node: _Optional[str] = ..., boot_id: _Optional[str] = ..., oldest_seq: _Optional[int] = ..., newest_seq: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., rules_digest: _Optional[str] = ..., rules_held: _Optional[str] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("seq", "chain", "payload")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    seq: int
    chain: bytes
    payload: bytes
    def __init__(self, seq: _Optional[int] = ..., chain: _Optional[bytes] = ..., payload: _Optional[bytes] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("finding", "ledger")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    finding: _finding_pb2.Finding
    ledger: Ledger
    def __init__(self, finding: _Optional[_Union[_finding_pb2.Finding, _Mapping]] = ..., ledger: _Optional[_Union[Ledger, _Mapping]] = ...) -> None: ...

class Ledger(_message.Message):
    __slots__ = ("time_ns", "event", "run_id", "watching_since_ns", "previous_entry_ns", "probes", "counters", "container_ids", "dropped", "profiles", "throttles", "runtimes", "rules")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WATCHING_SINCE_NS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_ENTRY_NS_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_IDS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    THROTTLES_FIELD_NUMBER: _ClassVar[int]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    event: LedgerEvent
    run_id: str
    watching_since_ns: int
    previous_entry_ns: int
    probes: _containers.RepeatedCompositeFieldContainer[ProbeState]
    counters: _containers.RepeatedCompositeFieldContainer[ClassCounters]
    container_ids: _containers.RepeatedScalarFieldContainer[str]
    dropped: _containers.ScalarMap[str, int]
    profiles: _containers.RepeatedCompositeFieldContainer[ProfileState]
    throttles: _containers.RepeatedCompositeFieldContainer[Throttle]
    runtimes: _containers.RepeatedCompositeFieldContainer[RuntimeState]
    rules: RulesState
    def __init__(self, time_ns: _Optional[int] = ..., event: _Optional[_Union[LedgerEvent, str]] = ..., run_id: _Optional[str] = ..., watching_since_ns: _Optional[int] = ..., previous_entry_ns: _Optional[int] = ..., probes: _Optional[_Iterable[_Union[ProbeState, _Mapping]]] = ..., counters: _Optional[_Iterable[_Union[ClassCounters, _Mapping]]] = ..., container_ids: _Optional[_Iterable[str]] = ..., dropped: _Optional[_Mapping[str, int]] = ..., profiles: _Optional[_Iterable[_Union[ProfileState, _Mapping]]] = ..., throttles: _Optional[_Iterable[_Union[Throttle, _Mapping]]] = ..., runtimes: _Optional[_Iterable[_Union[RuntimeState, _Mapping]]] = ..., rules: _Optional[_Union[RulesState, _Mapping]] = ...) -> None: ...

class RulesState(_message.Message):
    __slots__ = ("digest", "source", "rules", "problems", "refused_digest", "refusal", "replaced")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    digest: str
    source: str
    rules: int
    problems: int
    refused_digest: str
    refusal: str
    replaced: int
    def __init__(self, digest: _Optional[str] = ..., source: _Optional[str] = ..., rules: _Optional[int] = ..., problems: _Optional[int] = ..., refused_digest: _Optional[str] = ..., refusal: _Optional[str] = ..., replaced: _Optional[int] = ...) -> None: ...

class RuntimeState(_message.Message):
    __slots__ = ("kind", "socket", "state", "problem", "version", "answers", "failures")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SOCKET_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    socket: str
    state: str
    problem: str
    version: str
    answers: int
    failures: int
    def __init__(self, kind: _Optional[str] = ..., socket: _Optional[str] = ..., state: _Optional[str] = ..., problem: _Optional[str] = ..., version: _Optional[str] = ..., answers: _Optional[int] = ..., failures: _Optional[int] = ...) -> None: ...

class ProbeState(_message.Message):
    __slots__ = ("name", "attached", "consequence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    CONSEQUENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    attached: bool
    consequence: str
    def __init__(self, name: _Optional[str] = ..., attached: _Optional[bool] = ..., consequence: _Optional[str] = ...) -> None: ...

class ClassCounters(_message.Message):
    __slots__ = ("event_class", "counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EVENT_CLASS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    event_class: str
    counts: _containers.ScalarMap[str, int]
    def __init__(self, event_class: _Optional[str] = ..., counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Throttle(_message.Message):
    __slots__ = ("container_id", "workload", "event_class", "times", "held_back", "active_since_ns")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    EVENT_CLASS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_SINCE_NS_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    workload: str
    event_class: str
    times: int
    held_back: int
    active_since_ns: int
    def __init__(self, container_id: _Optional[str] = ..., workload: _Optional[str] = ..., event_class: _Optional[str] = ..., times: _Optional[int] = ..., held_back: _Optional[int] = ..., active_since_ns: _Optional[int] = ...) -> None: ...

class ProfileState(_message.Message):
    __slots__ = ("workload", "behaviour", "state", "completeness", "members", "phase")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    workload: str
    behaviour: str
    state: str
    completeness: float
    members: int
    phase: str
    def __init__(self, workload: _Optional[str] = ..., behaviour: _Optional[str] = ..., state: _Optional[str] = ..., completeness: _Optional[float] = ..., members: _Optional[int] = ..., phase: _Optional[str] = ...) -> None: ...

class CollectorMessage(_message.Message):
    __slots__ = ("welcome", "ack", "profile_ack", "fleet_profile", "decisions", "rate_forest", "rule_set")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    PROFILE_ACK_FIELD_NUMBER: _ClassVar[int]
    FLEET_PROFILE_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    RATE_FOREST_FIELD_NUMBER: _ClassVar[int]
    RULE_SET_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    profile_ack: _baseline_pb2.ProfileAck
    fleet_profile: _baseline_pb2.Profile
    decisions: _baseline_pb2.WorkloadDecisions
    rate_forest: _rates_pb2.RateForest
    rule_set: RuleSetPart
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., profile_ack: _Optional[_Union[_baseline_pb2.ProfileAck, _Mapping]] = ..., fleet_profile: _Optional[_Union[_baseline_pb2.Profile, _Mapping]] = ..., decisions: _Optional[_Union[_baseline_pb2.WorkloadDecisions, _Mapping]] = ..., rate_forest: _Optional[_Union[_rates_pb2.RateForest, _Mapping]] = ..., rule_set: _Optional[_Union[RuleSetPart, _Mapping]] = ...) -> None: ...

class RuleSetPart(_message.Message):
    __slots__ = ("digest", "part", "parts", "body")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    digest: str
    part: int
    parts: int
    body: bytes
    def __init__(self, digest: _Optional[str] = ..., part: _Optional[int] = ..., parts: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("committed_seq", "version", "features")
    COMMITTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    committed_seq: int
    version: str
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, committed_seq: _Optional[int] = ..., version: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...
