"""One runtime's thread: greets it, asks it for containers, tells how it stands. All waiting is done here."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.identify.sources import Answer, RuntimeState, Said, Standing
from agent.runtimes.engine import AnswerError, Engine, EngineError, Trouble
from agent.runtimes.sockets import Socket

log = logging.getLogger(__name__)

_ANSWERING = "answering"
_STARTING = "starting"
_IN_QUEUE = 4096


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a worker is; seconds. A container not known yet is asked for `tries` times, `retry_s` doubled."""

    retry_s: float = 0.05
    tries: int = 6  # 1.55 s in all, less than events wait: a runtime notes a pod only when it runs
    backoff_s: tuple[float, float] = (0.25, 8.0)
    greet_s: float = 30.0  # an idle runtime is greeted as often, so that the ledger is right


@dataclass(order=True)
class _Due:
    """A question and when it is to be asked. Equal times go in order of arrival."""

    due_s: float
    number: int
    id: str = field(compare=False)
    tries: int = field(compare=False, default=0)


class Worker:
    """Owns one engine. `tell` is called from its thread, once per accepted question."""

    def __init__(
        self, place: Socket, open_engine: Callable[[Socket], Engine], tell: Callable[[Answer], None], pace: Pace
    ) -> None:
        self.place = place
        self._open = open_engine
        self._tell = tell
        self._pace = pace
        self._wake = threading.Condition()
        self._queue: list[_Due] = []
        self._numbers = itertools.count()
        self._stopping = False
        self._engine: Engine | None = None
        self._up = False
        self._pause_s = pace.backoff_s[0]
        kind = "podman" if place.kind == "docker" and "podman" in place.path else place.kind
        self._state = RuntimeState(kind, place.path, _STARTING)
        self._thread = threading.Thread(target=self._run, name=f"runtime-{kind}", daemon=True)

    def start(self) -> None:
        """Greet it, in its own thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end, after the call under way, which has a deadline of its own."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(max(0.0, timeout_s))

    @property
    def state(self) -> RuntimeState:
        """As it stands now."""
        return self._state

    @property
    def standing(self) -> Standing:
        """UP while it is being greeted for the first time, too: its word is worth waiting for."""
        return Standing.UP if self._state.state in (_ANSWERING, _STARTING) else Standing.DOWN

    def ask(self, container_id: str) -> bool:
        """Queue a question; False when it is refused because it is down or there are too many."""
        with self._wake:
            if self.standing is Standing.DOWN or len(self._queue) >= _IN_QUEUE or self._stopping:
                return False
            heapq.heappush(self._queue, _Due(time.monotonic(), next(self._numbers), container_id))
            self._wake.notify()
        return True

    def _run(self) -> None:
        while not self._stopping:
            if not self._up:
                self._greet()
            else:
                self._work()
        self._let_go()

    def _greet(self) -> None:
        try:
            if self._engine is None:
                self._engine = self._open(self.place)
            greeting = self._engine.greet()
        except EngineError as error:
            self._down(error)
            self._sleep(self._next_pause())
            return
        except Exception as error:  # noqa: BLE001  (an engine that breaks must not end the thread)
            self._down(EngineError(Trouble.GARBLED, f"{self.place.path}: {type(error).__name__}"))
            self._sleep(self._next_pause())
            return
        with self._wake:
            self._up = True
            state = self._state
            self._state = state._replace(
                kind=greeting.kind,
                state=_ANSWERING,
                problem="",
                version="".join(filter(str.isprintable, greeting.version)),
            )
        if state.state != _ANSWERING:
            log.info("container runtime %s at %s answers", self._state.version, self.place.path)

    def _work(self) -> None:
        """Answer the next question that is due, or greet again after a long silence."""
        with self._wake:
            due = self._queue[0] if self._queue else None
            wait_s = due.due_s - time.monotonic() if due else self._pace.greet_s
            if wait_s > 0:
                self._wake.wait(wait_s)
                self._up = due is not None or bool(self._queue) or self._stopping
                return
            due = heapq.heappop(self._queue)
        self._ask(due)

    def _ask(self, due: _Due) -> None:
        assert self._engine is not None
        try:
            said = self._engine.describe(due.id)
        except AnswerError:
            self._count(answered=False)
            self._answer(due.id, None, Standing.UP)
        except EngineError as error:
            self._put_back(due)
            self._down(error)
        except Exception as error:  # noqa: BLE001
            self._put_back(due)
            self._down(EngineError(Trouble.GARBLED, f"{self.place.path}: {type(error).__name__}"))
        else:
            self._pause_s = self._pace.backoff_s[0]
            if said is None and due.tries + 1 < self._pace.tries:
                self._later(due)
                return
            self._count(answered=said is not None)
            self._answer(due.id, said, Standing.UP)

    def _put_back(self, due: _Due) -> None:
        with self._wake:
            heapq.heappush(self._queue, due)

    def _later(self, due: _Due) -> None:
        wait_s = self._pace.retry_s * 2**due.tries
        self._put_back(_Due(time.monotonic() + wait_s, next(self._numbers), due.id, due.tries + 1))

    def _down(self, error: EngineError) -> None:
        """It does not answer: whoever waits is told, so that nobody waits for it."""
        self._let_go()
        with self._wake:
            self._up = False
            before = self._state
            self._state = before._replace(
                state=error.trouble.value, problem=str(error)[:256], failures=before.failures + 1
            )
            waiting, self._queue = self._queue, []
        if before.state != error.trouble.value:
            log.warning("container runtime: %s; what it keeps on disk is used meanwhile", str(error)[:256])
        for due in waiting:
            self._answer(due.id, None, Standing.DOWN)

    def _next_pause(self) -> float:
        """The pause before the next try. Only an answer about a container shortens it again, a greeting does not."""
        pause, self._pause_s = self._pause_s, min(self._pause_s * 2, self._pace.backoff_s[1])
        return pause

    def _sleep(self, seconds: float) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait_for(lambda: self._stopping, seconds)

    def _let_go(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _count(self, *, answered: bool) -> None:
        state = self._state
        if answered:
            self._state = state._replace(answers=state.answers + 1)
        else:
            self._state = state._replace(failures=state.failures + 1)

    def _answer(self, container_id: str, said: Said | None, standing: Standing) -> None:
        self._tell(Answer(container_id, said, standing, self._state.kind))
