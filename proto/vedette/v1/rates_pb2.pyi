from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class RateWindow(_message.Message):
    __slots__ = ("workload", "version", "container_id", "end_ns", "seconds", "features_version", "values", "missing", "lossy", "anomalous", "lasting")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    END_NS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_VERSION_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    LOSSY_FIELD_NUMBER: _ClassVar[int]
    ANOMALOUS_FIELD_NUMBER: _ClassVar[int]
    LASTING_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    container_id: str
    end_ns: int
    seconds: float
    features_version: int
    values: _containers.RepeatedScalarFieldContainer[float]
    missing: int
    lossy: bool
    anomalous: bool
    lasting: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ..., container_id: _Optional[str] = ..., end_ns: _Optional[int] = ..., seconds: _Optional[float] = ..., features_version: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., missing: _Optional[int] = ..., lossy: _Optional[bool] = ..., anomalous: _Optional[bool] = ..., lasting: _Optional[_Iterable[float]] = ...) -> None: ...

class RateForest(_message.Message):
    __slots__ = ("workload", "version", "revision", "body")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    workload: str
    version: str
    revision: int
    body: bytes
    def __init__(self, workload: _Optional[str] = ..., version: _Optional[str] = ..., revision: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...
