"""A recording of system calls: which ones a workload made, and how much was watched to say so.

Units as in profiles: a steady unit is a time slot in which containers of the workload ran, a unit of startup is a
slot in which some started, in sight from their first call on. However many replicas there are, a slot is one unit:
replicas move together. What the next unit may still bring is bounded as for any class (`completeness.unseen_upper`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from detection.baseline.completeness import Incidence, unseen_upper, window_of
from detection.errors import DetectionError

FORMAT = 1
_MOST_CALLS = 2048
_MOST_WINDOWS = 64
_LARGEST = 1 << 62
_NUMBERS = ("containers", "starts", "slots", "first_ns", "last_ns", "seconds")


class RecordingError(DetectionError):
    """Data that is no recording; says which part."""


@dataclass(slots=True)
class Recording:
    """`calls` and `compat` (of 32-bit programs) by name. `incomplete` says why some calls may be missing."""

    workload: str
    version: str
    machine: str
    calls: set[str] = field(default_factory=set)
    compat: set[str] = field(default_factory=set)
    containers: int = 0
    starts: int = 0
    slots: int = 0
    seconds: int = 0  # container time, the sum over containers
    first_ns: int = 0
    last_ns: int = 0
    steady: list[list[int]] = field(default_factory=list)  # [units, units that brought a call nobody made before]
    startup: list[list[int]] = field(default_factory=list)
    incomplete: str = ""

    def add(self, calls: Iterable[str], compat: Iterable[str] = ()) -> bool:
        """Calls that were made; whether any was new."""
        before = len(self.calls) + len(self.compat)
        self.calls.update(calls)
        self.compat.update(compat)
        return len(self.calls) + len(self.compat) > before

    def count(self, windows: list[list[int]], novel: bool) -> None:
        """One more unit, of `steady` or of `startup`."""
        window = window_of(_units(windows) + 1)
        while len(windows) <= window:
            windows.append([0, 0])
        windows[window][0] += 1
        windows[window][1] += novel

    def bound(self, windows: list[list[int]]) -> float:
        """Upper bound of the chance that the next unit brings a call that is not in the recording."""
        units = _units(windows)
        data = Incidence(units=units, novel=tuple(n for _, n in windows), spans=tuple(u for u, _ in windows))
        return unseen_upper(data, 0.95) if units else 1.0

    @property
    def sentence(self) -> str:
        """How complete it is, for a person."""
        text = (
            f"{len(self.calls | self.compat)} different ones in {self.seconds / 60:.0f} minutes of "
            f"{self.containers} container{'s' * (self.containers != 1)}; "
            f"{self._of('start', self.starts, self.startup)}; {self._of('slot', self.slots, self.steady)}"
        )
        return f"{text}; {self.incomplete}" if self.incomplete else text

    def _of(self, what: str, number: int, windows: list[list[int]]) -> str:
        if not number:
            return f"no {what} watched"
        bound = f"the next brings another call in at most {100 * self.bound(windows):.1f} % of cases"
        return f"{number} {what}{'' if number == 1 else 's'} watched, {bound}"


def _units(windows: list[list[int]]) -> int:
    return sum(units for units, _ in windows)


def recording_to_dict(recording: Recording) -> dict[str, Any]:
    """Plain JSON-ready form."""
    numbers = {name: getattr(recording, name) for name in _NUMBERS}
    return {
        "format": FORMAT, "workload": recording.workload, "version": recording.version, "machine": recording.machine,
        "calls": sorted(recording.calls), "compat": sorted(recording.compat), **numbers,
        "steady": recording.steady, "startup": recording.startup, "incomplete": recording.incomplete,
    }  # fmt: skip


def recording_from_dict(data: Any) -> Recording:
    """The recording `recording_to_dict` gave. Raises: RecordingError."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise RecordingError(f"no recording of system calls of format {FORMAT}")
    recording = Recording(_text(data, "workload"), _text(data, "version"), _text(data, "machine"))
    recording.calls, recording.compat = _calls(data, "calls"), _calls(data, "compat")
    for name in _NUMBERS:
        setattr(recording, name, _number(data.get(name), name))
    recording.steady, recording.startup = _windows(data, "steady"), _windows(data, "startup")
    recording.incomplete = _text(data, "incomplete")
    return recording


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or len(value) > 1024:
        raise RecordingError(f"{name}: expected text")
    return value


def _number(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise RecordingError(f"{name}: expected a count")
    return value


def _calls(data: dict[str, Any], name: str) -> set[str]:
    value = data.get(name)
    if not isinstance(value, list) or len(value) > _MOST_CALLS:
        raise RecordingError(f"{name}: expected a list of names")
    for call in value:
        if not isinstance(call, str) or not (call.removeprefix("#").replace("_", "").isalnum() and call.isascii()):
            raise RecordingError(f"{name}: {str(call)[:40]!r} is no name of a system call")
    return set(value)


def _windows(data: dict[str, Any], name: str) -> list[list[int]]:
    value = data.get(name)
    if not isinstance(value, list) or len(value) > _MOST_WINDOWS:
        raise RecordingError(f"{name}: expected windows")
    windows = [[_number(n, name) for n in pair] for pair in value if isinstance(pair, list)]
    if len(windows) != len(value) or any(len(pair) != 2 or pair[1] > pair[0] for pair in windows):
        raise RecordingError(f"{name}: expected units and novel units")
    return windows
