"""A recording without an agent: `vedette baseline syscalls`."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from agent.identify.identify import Identifier
from agent.identify.workloads import Scope
from agent.runtimes.desk import Desk
from agent.runtimes.sockets import usual
from agent.source.syscalls import CallSource
from agent.syscalls.recorder import CallRecorder
from agent.syscalls.store import RecordingStore
from agent.workload import Container, Workload
from detection.baseline.recording import Recording

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Session:
    """For a `with`: recording begins and ends with it. Raises: AgentError where it cannot begin."""

    def __init__(
        self, directory: Path, slot_s: float, wanted: Callable[[str, str], bool], cluster: str = "", node: str = ""
    ) -> None:
        self._stack = ExitStack()
        self._store, self._source, self._desk = RecordingStore(directory), CallSource(), Desk(usual())
        scope = Scope(node or socket.gethostname(), cluster, "")
        self._identifier = Identifier(boot_id=_BOOT_ID.read_text().strip(), engines=self._desk, scope=scope)
        self._slot_ns = int(slot_s * 1e9)
        self._slot_began_ns = 0

        def is_wanted(container: Container, workload: Workload) -> bool:
            return not container.sandbox and wanted(container.id, workload.key)

        self._recorder = CallRecorder(self._source, self._store, slot_s, is_wanted)

    def __enter__(self) -> "Session":
        self._stack.enter_context(self._store.writing())
        self._source.start()
        self._stack.callback(self._source.stop)
        self._desk.start()
        self._stack.callback(self._desk.stop)
        self._slot_began_ns = time.time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def look(self, now_ns: int) -> None:
        """Find the containers, take in what they called; a slot that is over is counted and saved."""
        self._identifier.seed(now_ns)
        self._identifier.hear(now_ns, [c.id for c in self._identifier.containers() if not c.complete])
        self._identifier.tick(now_ns)
        self._recorder.look(self._identifier.inhabited(), now_ns)
        if now_ns - self._slot_began_ns >= self._slot_ns:
            self._slot_began_ns = now_ns
            self._recorder.close_slot()

    def finish(self) -> list[Recording]:
        """End the open slot; what is recorded."""
        return self._recorder.close_slot()
