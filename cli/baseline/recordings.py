"""Recordings of system calls, where an agent's state directory is at hand."""

from typing import Any

import click

from agent.syscalls.store import RecordingFileError, RecordingStore
from cli.baseline.places import Place
from detection.baseline.recording import Recording, recording_to_dict

__all__ = ["Recording", "Recordings", "recording_facts", "recordings_at"]


class Recordings:
    """Those of a place; a collector has none."""

    def __init__(self, store: RecordingStore | None) -> None:
        self._store = store

    def find(self, workload: str, version: str) -> Recording | None:
        """The recording of one version. Raises: click.ClickException for a broken one."""
        try:
            return self._store.find(workload, version) if self._store else None
        except RecordingFileError as error:
            raise click.ClickException(str(error)) from error


def recordings_at(place: Place) -> Recordings:
    """The recordings of a place."""
    return Recordings(RecordingStore(place.state_dir / "syscalls") if place.state_dir else None)


def recording_facts(recording: Recording | None) -> dict[str, Any] | None:
    """As plain data."""
    return recording_to_dict(recording) | {"sentence": recording.sentence} if recording else None
