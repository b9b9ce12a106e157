"""Recordings on disk: `<state dir>/syscalls/`, a file each, shared by the agent and the command line under a lock."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import orjson

from agent.errors import AgentError
from detection.baseline.recording import Recording, RecordingError, recording_from_dict, recording_to_dict

log = logging.getLogger(__name__)
_MOST_BYTES = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class RecordingFileError(AgentError):
    """A recording cannot be read or written."""


class RecordingStore:
    """The recordings below a directory. A file that is broken is as good as none: it says so, and is written anew."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, workload: str, version: str) -> Recording | None:
        """The recording of one version of a workload. Raises: RecordingFileError for a broken one."""
        path = self._path(workload, version)
        try:
            with path.open("rb") as file:
                found = recording_from_dict(orjson.loads(file.read(_MOST_BYTES)))
        except FileNotFoundError:
            return None
        except (OSError, orjson.JSONDecodeError, RecordingError) as error:
            raise RecordingFileError(f"recording {path}: {error}; remove it and record anew") from error
        return found if (found.workload, found.version) == (workload, version) else None

    def take_up(self, workload: str, version: str, machine: str) -> Recording:
        """What was recorded so far on this kind of machine; an empty recording where there is nothing."""
        try:
            found = self.find(workload, version)
        except RecordingFileError as error:
            log.error("%s", error)
            found = None
        return found if found is not None and found.machine == machine else Recording(workload, version, machine)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Only one writer at a time. Raises: RecordingFileError where another records into this directory."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RecordingFileError(f"{self._directory}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise RecordingFileError(f"system calls are being recorded into {self._directory} already") from None
        finally:
            os.close(fd)

    def save(self, recording: Recording) -> None:
        """Write it atomically. Raises: RecordingFileError."""
        path = self._path(recording.workload, recording.version)
        fresh = path.with_name(path.name + ".new")
        try:
            with os.fdopen(os.open(fresh, _NEW, 0o600), "wb") as file:
                file.write(orjson.dumps(recording_to_dict(recording)))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise RecordingFileError(f"recording {path} could not be saved: {error.strerror}") from error

    def _path(self, workload: str, version: str) -> Path:
        key = f"{workload}\0{version}".encode("utf-8", "replace")
        return self._directory / f"{blake2b(key, digest_size=16).hexdigest()}.json"
