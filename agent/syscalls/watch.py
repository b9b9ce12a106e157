"""The recording an agent makes beside its watch (`--record-syscalls`)."""

import logging
from contextlib import ExitStack
from pathlib import Path

from agent.errors import AgentError
from agent.source.syscalls import CallSource
from agent.syscalls.recorder import CallRecorder, Inhabitants
from agent.syscalls.store import RecordingStore

log = logging.getLogger(__name__)


class CallWatch:
    """`tick` about once a second. Once it runs, what goes wrong with a recording is logged and stops nothing."""

    def __init__(self, directory: Path, slot_s: float) -> None:
        store = RecordingStore(directory)
        self._store, self._source, self._stack = store, CallSource(), ExitStack()
        self._recorder = CallRecorder(self._source, store, slot_s)
        self._slot_ns = int(slot_s * 1e9)
        self._slot_began_ns = 0
        self._running = False

    def start(self) -> None:
        """Raises: AgentError where it cannot record, or another does."""
        self._stack.enter_context(self._store.writing())
        self._stack.callback(self._source.stop)
        self._source.start()
        self._running = True

    def tick(self, inhabitants: Inhabitants, now_ns: int) -> None:
        """Take in what containers called; a slot that is over is counted and saved."""
        self._recorder.look(inhabitants, now_ns)
        self._slot_began_ns = self._slot_began_ns or now_ns
        if not 0 <= now_ns - self._slot_began_ns < self._slot_ns:
            self._slot_began_ns = now_ns
            self._close_slot()

    def stop(self, inhabitants: Inhabitants, now_ns: int) -> None:
        """Take in the last calls, end the open slot and detach."""
        if self._running:
            self._recorder.look(inhabitants, now_ns)
            self._close_slot()
        self._running = False
        self._stack.close()

    def _close_slot(self) -> None:
        try:
            self._recorder.close_slot()
        except AgentError as error:
            log.error("%s", error)
