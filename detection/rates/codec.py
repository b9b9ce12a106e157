"""A model as bytes: JSON, its arrays little-endian in base64; on the wire, in the store and on the agent's disk."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from detection.errors import ForestError
from detection.rates.features import COUNT, FEATURES_VERSION
from detection.rates.forest import Forest
from detection.rates.model import RateModel, Summary
from detection.rates.relation import Relation
from detection.rates.tail import Tail

FORMAT = 1
MAX_BYTES = 4 << 20
_ARRAYS = {"roots": "<u4", "feature": "u1", "threshold": "<f4", "right": "<u4", "depth": "u1", "size": "<u2"}
_RELATION = ("weights", "offset")
_PLAIN = ("workload", "version", "revision", "trained_ns", "seconds", "windows", "containers", "missing")


def model_bytes(model: RateModel) -> bytes:
    """The model in full."""
    forest = {name: _packed(getattr(model.forest, name), kind) for name, kind in _ARRAYS.items()}
    return orjson.dumps(
        {
            "format": FORMAT,
            "features_version": FEATURES_VERSION,
            **{name: getattr(model, name) for name in _PLAIN},
            "forest": {**forest, "samples": model.forest.samples},
            "scores": asdict(model.scores),
            "summaries": [asdict(summary) for summary in model.summaries],
            "lasting": [asdict(summary) for summary in model.lasting],
            "relative": [asdict(summary) for summary in model.relative],
            "relation": {name: _packed(getattr(model.relation, name), "<f8") for name in _RELATION},
        }
    )


def model_from(data: bytes) -> RateModel:
    """What `model_bytes` made. Raises: ForestError for anything else, saying what is wrong with it."""
    if len(data) > MAX_BYTES:
        raise ForestError(f"a forest of {len(data)} bytes; at most {MAX_BYTES} are taken")
    try:
        raw = orjson.loads(data)
        found = _versions(raw)
        if found != (FORMAT, FEATURES_VERSION):
            raise ForestError(
                f"a forest of format {found[0]} and features {found[1]}; this version reads {FORMAT} and "
                f"{FEATURES_VERSION}: it will be trained anew"
            )
        model = _model(raw)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise ForestError(f"not a forest: {type(error).__name__}: {str(error)[:200]}") from error
    model.forest.check(COUNT)
    return model


def _versions(raw: Mapping[str, Any]) -> tuple[int, int]:
    return int(raw["format"]), int(raw["features_version"])


def _model(raw: Mapping[str, Any]) -> RateModel:
    summaries, lasting, relative = (tuple(map(_summary, raw[name])) for name in ("summaries", "lasting", "relative"))
    if not len(summaries) == len(relative) == COUNT or len(lasting) not in (0, COUNT):
        raise ForestError(f"a forest with {len(summaries)} features; there are {COUNT}")
    arrays = {name: _unpacked(raw["forest"][name], kind) for name, kind in _ARRAYS.items()}
    return RateModel(
        workload=str(raw["workload"]),
        version=str(raw["version"]),
        revision=_whole(raw["revision"]),
        trained_ns=_whole(raw["trained_ns"]),
        seconds=_positive(raw["seconds"]),
        windows=_whole(raw["windows"]),
        containers=_whole(raw["containers"]),
        missing=_whole(raw["missing"]),
        forest=Forest(**arrays, samples=_whole(raw["forest"]["samples"])),
        scores=_tail(raw["scores"]),
        summaries=summaries,
        lasting=lasting,
        relative=relative,
        relation=_relation(raw["relation"]),
    )


def _relation(raw: Mapping[str, Any]) -> Relation:
    weights, offset = (_unpacked(raw[name], "<f8") for name in _RELATION)
    if (weights.size, offset.size) != (COUNT * COUNT, COUNT) or not np.isfinite([*weights, *offset]).all():
        raise ForestError("a forest's relation of rates has another size, or no finite numbers")
    return Relation(weights.reshape(COUNT, COUNT), offset)


def _summary(raw: Mapping[str, Any]) -> Summary:
    return Summary(_real(raw["median"]), _real(raw["high"]), _real(raw["largest"]), _tail(raw["tail"]))


def _tail(raw: Mapping[str, Any]) -> Tail:
    if set(raw) != {field.name for field in fields(Tail)}:
        raise ForestError("a forest's tail has other fields than n, k, start, excess")
    return Tail(_whole(raw["n"]), _whole(raw["k"]), _real(raw["start"]), _positive(raw["excess"]))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ForestError(f"a forest has {value!r:.40} where a count belongs")
    return value


def _real(value: Any) -> float:
    if not isinstance(value, int | float) or not isfinite(value):
        raise ForestError(f"a forest has {value!r:.40} where a number belongs")
    return float(value)


def _positive(value: Any) -> float:
    if _real(value) <= 0:
        raise ForestError(f"a forest has {value!r:.40} where a positive number belongs")
    return float(value)


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    data = np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
    return data.astype(np.dtype(kind).newbyteorder("="))
