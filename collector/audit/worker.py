"""Blocking calls of client libraries in a thread of their own: one that hangs stops neither others nor the process."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls one after another in a daemon thread, which begins with the first call.

    The pool threads of asyncio are few, shared, and waited for at exit; a call here may hang for ever.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, work: Callable[[], T]) -> T:
        """What the call gives. Cancelling waits for nothing: the call goes on unseen. Raises: what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._put(lambda: _run(work, loop, answer))
        return await answer

    def close(self) -> None:
        """End the thread once its calls have returned; waits for nothing."""
        self._jobs.put(None)

    def _put(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _run(work: Callable[[], T], loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]") -> None:
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
        _tell(loop, answer, partial(answer.set_exception, error))
    else:
        _tell(loop, answer, partial(answer.set_result, result))


def _tell(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]", tell: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for it
        loop.call_soon_threadsafe(lambda: None if answer.done() else tell())
