from vedette.v1 import finding_pb2 as _finding_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscribeRequest(_message.Message):
    __slots__ = ("cursor", "tail", "min_severity", "end_at_newest")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    MIN_SEVERITY_FIELD_NUMBER: _ClassVar[int]
    END_AT_NEWEST_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    tail: bool
    min_severity: _finding_pb2.Severity
    end_at_newest: bool
    def __init__(self, cursor: _Optional[int] = ..., tail: _Optional[bool] = ..., min_severity: _Optional[_Union[_finding_pb2.Severity, str]] = ..., end_at_newest: _Optional[bool] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("cursor", "finding", "incident", "heartbeat")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    finding: _finding_pb2.Finding
    incident: Incident
    heartbeat: Heartbeat
    def __init__(self, cursor: _Optional[int] = ..., finding: _Optional[_Union[_finding_pb2.Finding, _Mapping]] = ..., incident: _Optional[_Union[Incident, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListIncidentsRequest(_message.Message):
    __slots__ = ("limit", "min_severity")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_SEVERITY_FIELD_NUMBER: _ClassVar[int]
    limit: int
    min_severity: _finding_pb2.Severity
    def __init__(self, limit: _Optional[int] = ..., min_severity: _Optional[_Union[_finding_pb2.Severity, str]] = ...) -> None: ...

class ListIncidentsResponse(_message.Message):
    __slots__ = ("incidents",)
    INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    incidents: _containers.RepeatedCompositeFieldContainer[Incident]
    def __init__(self, incidents: _Optional[_Iterable[_Union[Incident, _Mapping]]] = ...) -> None: ...

class GetIncidentRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class Incident(_message.Message):
    __slots__ = ("id", "revision", "title", "severity", "score", "score_parts", "first_ns", "last_ns", "actors", "findings", "joins", "tactics", "finding_count", "sources", "superseded_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SCORE_PARTS_FIELD_NUMBER: _ClassVar[int]
    FIRST_NS_FIELD_NUMBER: _ClassVar[int]
    LAST_NS_FIELD_NUMBER: _ClassVar[int]
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    JOINS_FIELD_NUMBER: _ClassVar[int]
    TACTICS_FIELD_NUMBER: _ClassVar[int]
    FINDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    revision: int
    title: str
    severity: _finding_pb2.Severity
    score: float
    score_parts: _containers.RepeatedScalarFieldContainer[str]
    first_ns: int
    last_ns: int
    actors: _containers.RepeatedCompositeFieldContainer[_finding_pb2.Entity]
    findings: _containers.RepeatedCompositeFieldContainer[_finding_pb2.Finding]
    joins: _containers.RepeatedCompositeFieldContainer[Join]
    tactics: _containers.RepeatedScalarFieldContainer[str]
    finding_count: int
    sources: _containers.RepeatedScalarFieldContainer[str]
    superseded_by: str
    def __init__(self, id: _Optional[str] = ..., revision: _Optional[int] = ..., title: _Optional[str] = ..., severity: _Optional[_Union[_finding_pb2.Severity, str]] = ..., score: _Optional[float] = ..., score_parts: _Optional[_Iterable[str]] = ..., first_ns: _Optional[int] = ..., last_ns: _Optional[int] = ..., actors: _Optional[_Iterable[_Union[_finding_pb2.Entity, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[_finding_pb2.Finding, _Mapping]]] = ..., joins: _Optional[_Iterable[_Union[Join, _Mapping]]] = ..., tactics: _Optional[_Iterable[str]] = ..., finding_count: _Optional[int] = ..., sources: _Optional[_Iterable[str]] = ..., superseded_by: _Optional[str] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("key", "value", "from_finding", "to_finding", "confidence", "reason")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    FROM_FINDING_FIELD_NUMBER: _ClassVar[int]
    TO_FINDING_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    from_finding: str
    to_finding: str
    confidence: float
    reason: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., from_finding: _Optional[str] = ..., to_finding: _Optional[str] = ..., confidence: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...
