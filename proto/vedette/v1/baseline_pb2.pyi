from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Profile(_message.Message):
    __slots__ = ("workload", "version", "number", "base", "part", "parts", "run_id", "closed_ns", "classes", "agents", "inherited_from")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CLOSED_NS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    INHERITED_FROM_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    number: int
    base: int
    part: int
    parts: int
    run_id: str
    closed_ns: int
    classes: _containers.RepeatedCompositeFieldContainer[ProfileClass]
    agents: int
    inherited_from: str
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ..., number: _Optional[int] = ..., base: _Optional[int] = ..., part: _Optional[int] = ..., parts: _Optional[int] = ..., run_id: _Optional[str] = ..., closed_ns: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[ProfileClass, _Mapping]]] = ..., agents: _Optional[int] = ..., inherited_from: _Optional[str] = ...) -> None: ...

class ProfileClass(_message.Message):
    __slots__ = ("behaviour", "windows", "instances", "members", "condemned", "overflow", "loss_left", "slots")
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    CONDEMNED_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    LOSS_LEFT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    behaviour: str
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    instances: int
    members: bytes
    condemned: _containers.RepeatedScalarFieldContainer[str]
    overflow: int
    loss_left: int
    slots: int
    def __init__(self, behaviour: _Optional[str] = ..., windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ..., instances: _Optional[int] = ..., members: _Optional[bytes] = ..., condemned: _Optional[_Iterable[str]] = ..., overflow: _Optional[int] = ..., loss_left: _Optional[int] = ..., slots: _Optional[int] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("units", "novel")
    UNITS_FIELD_NUMBER: _ClassVar[int]
    NOVEL_FIELD_NUMBER: _ClassVar[int]
    units: int
    novel: int
    def __init__(self, units: _Optional[int] = ..., novel: _Optional[int] = ...) -> None: ...

class ProfileAck(_message.Message):
    __slots__ = ("workload", "version", "number")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    number: int
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class WorkloadDecisions(_message.Message):
    __slots__ = ("workload", "version", "lock", "classes", "withdrawn")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOCK_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    lock: bool
    classes: _containers.RepeatedCompositeFieldContainer[ClassDecisions]
    withdrawn: bool
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ..., lock: _Optional[bool] = ..., classes: _Optional[_Iterable[_Union[ClassDecisions, _Mapping]]] = ..., withdrawn: _Optional[bool] = ...) -> None: ...

class ClassDecisions(_message.Message):
    __slots__ = ("behaviour", "accepted", "condemned", "listed")
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CONDEMNED_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    behaviour: str
    accepted: _containers.RepeatedScalarFieldContainer[str]
    condemned: _containers.RepeatedScalarFieldContainer[str]
    listed: bool
    def __init__(self, behaviour: _Optional[str] = ..., accepted: _Optional[_Iterable[str]] = ..., condemned: _Optional[_Iterable[str]] = ..., listed: _Optional[bool] = ...) -> None: ...

class ListBaselinesRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListBaselinesResponse(_message.Message):
    __slots__ = ("baselines",)
    BASELINES_FIELD_NUMBER: _ClassVar[int]
    baselines: _containers.RepeatedCompositeFieldContainer[BaselineSummary]
    def __init__(self, baselines: _Optional[_Iterable[_Union[BaselineSummary, _Mapping]]] = ...) -> None: ...

class BaselineSummary(_message.Message):
    __slots__ = ("workload", "version", "agents", "last_ns", "classes", "locked")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    LAST_NS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    agents: int
    last_ns: int
    classes: _containers.RepeatedCompositeFieldContainer[ClassSummary]
    locked: bool
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ..., agents: _Optional[int] = ..., last_ns: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[ClassSummary, _Mapping]]] = ..., locked: _Optional[bool] = ...) -> None: ...

class ClassSummary(_message.Message):
    __slots__ = ("behaviour", "state", "completeness", "unseen_upper", "units", "members", "held", "condemned")
    BEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    UNSEEN_UPPER_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CONDEMNED_FIELD_NUMBER: _ClassVar[int]
    behaviour: str
    state: str
    completeness: float
    unseen_upper: float
    units: int
    members: int
    held: int
    condemned: int
    def __init__(self, behaviour: _Optional[str] = ..., state: _Optional[str] = ..., completeness: _Optional[float] = ..., unseen_upper: _Optional[float] = ..., units: _Optional[int] = ..., members: _Optional[int] = ..., held: _Optional[int] = ..., condemned: _Optional[int] = ...) -> None: ...

class GetBaselineRequest(_message.Message):
    __slots__ = ("workload", "version")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Baseline(_message.Message):
    __slots__ = ("summary", "profile", "decisions")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    summary: BaselineSummary
    profile: Profile
    decisions: _containers.RepeatedCompositeFieldContainer[WorkloadDecisions]
    def __init__(self, summary: _Optional[_Union[BaselineSummary, _Mapping]] = ..., profile: _Optional[_Union[Profile, _Mapping]] = ..., decisions: _Optional[_Iterable[_Union[WorkloadDecisions, _Mapping]]] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("add", "remove", "set_lock")
    ADD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    SET_LOCK_FIELD_NUMBER: _ClassVar[int]
    add: WorkloadDecisions
    remove: _containers.RepeatedCompositeFieldContainer[ClassDecisions]
    set_lock: bool
    def __init__(self, add: _Optional[_Union[WorkloadDecisions, _Mapping]] = ..., remove: _Optional[_Iterable[_Union[ClassDecisions, _Mapping]]] = ..., set_lock: _Optional[bool] = ...) -> None: ...

class ImportDecisionsRequest(_message.Message):
    __slots__ = ("decisions",)
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[WorkloadDecisions]
    def __init__(self, decisions: _Optional[_Iterable[_Union[WorkloadDecisions, _Mapping]]] = ...) -> None: ...

class ImportDecisionsResponse(_message.Message):
    __slots__ = ("changed",)
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    changed: int
    def __init__(self, changed: _Optional[int] = ...) -> None: ...
