"""Skips, with a reason, what this machine cannot run; and fixtures every test may use."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


def _missing_for(marker: str) -> str:
    """Why tests with this marker cannot run here, "" when they can."""
    if marker == "external":
        return "" if SHARED_DATA.is_dir() else f"needs the recorded data at {SHARED_DATA}"
    if os.geteuid() != 0:
        return "needs root"
    if marker in ("bpf", "e2e") and not (ROOT / "agent/source/lib/vedette.bpf.o").exists():
        return "needs the compiled sensor: make build"
    if marker == "container" and shutil.which("runc") is None:
        return "needs runc"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip by marker."""
    reasons = {marker: _missing_for(marker) for marker in ("external", "bpf", "container", "e2e")}
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded data of real systems; only for tests marked `external`."""
    return SHARED_DATA
