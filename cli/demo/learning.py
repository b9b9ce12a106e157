"""Reads the agent's status file: how complete the shop's profiles are, and what the agent counted."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.demo.errors import DemoError
from cli.demo.pods import NAMESPACE
from cli.demo.process import Child
from cli.demo.progress import Progress

_POLL_S = 0.1
# The classes the shop has behaviour in. The backend connects nowhere: an empty class never becomes stable.
NEEDED = (("web", "exec"), ("web", "write"), ("web", "egress"), ("backend", "exec"), ("backend", "write"))


@dataclass(frozen=True, slots=True)
class ClassState:
    """One behaviour class of one of the shop's profiles; `completeness` is 0..1."""

    app: str
    behaviour: str
    state: str
    completeness: float
    members: int

    def __str__(self) -> str:
        return f"{self.app}/{self.behaviour} {self.completeness:.0%} {self.state}"


def read_status(path: Path) -> dict[str, Any]:
    """The agent's newest status; {} before it wrote one."""
    try:
        status = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def states(status: dict[str, Any]) -> list[ClassState]:
    """The shop's classes in a status. Workload keys are k8s/NAMESPACE/KIND/NAME/CONTAINER."""
    found = []
    for profile in status.get("profiles", []):
        key = str(profile["workload"]).split("/")
        if profile.get("phase", "steady") != "steady":
            continue
        if key[:2] == ["k8s", NAMESPACE] and len(key) == 5 and key[3] == key[4]:
            known = (profile["state"], float(profile["completeness"]), int(profile["members"]))
            found.append(ClassState(key[3], str(profile["behaviour"]), *known))
    return found


def await_stable(path: Path, agent: Child, progress: Progress, deadline_s: float) -> list[ClassState]:
    """Wait until every needed class is stable. Raises: DemoError at the deadline, saying which are not."""
    end = time.monotonic() + deadline_s
    while True:
        agent.check()
        found = states(read_status(path))
        progress.update(summary(found))
        if not _missing(found):
            return found
        if time.monotonic() > end:
            raise DemoError(_unstable(found, deadline_s, path))
        time.sleep(_POLL_S)


def summary(found: Sequence[ClassState]) -> str:
    """One line: completeness of every needed class."""
    known = {(s.app, s.behaviour): s for s in found}
    return "  ".join(_short(known.get(key), *key) for key in NEEDED)


def _short(state: ClassState | None, app: str, behaviour: str) -> str:
    if state is None:
        return f"{app}/{behaviour} –"
    return f"{app}/{behaviour} {state.completeness:.0%}{' ✓' if state.state == 'stable' else ''}"


def _missing(found: Sequence[ClassState]) -> list[tuple[str, str]]:
    stable = {(s.app, s.behaviour) for s in found if s.state == "stable"}
    return [key for key in NEEDED if key not in stable]


def _unstable(found: Sequence[ClassState], deadline_s: float, path: Path) -> str:
    missing = ", ".join("/".join(key) for key in _missing(found))
    known = "; ".join(map(str, found)) or "nothing"
    return f"after {deadline_s:g} s the profiles {missing} are not stable; the agent knows: {known} (status in {path})"
