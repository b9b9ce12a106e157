"""Where the core asks runtimes without waiting: finds their sockets, keeps a worker for each, collects answers."""

import threading
import time
from collections.abc import Callable, Sequence

from agent.identify.sources import Answer, Question, RuntimeState, Standing
from agent.runtimes.engine import Engine
from agent.runtimes.sockets import Socket, present, usual
from agent.runtimes.worker import Pace, Worker

_LOOK_S = 5.0
_STOP_S = 1.0
_OPEN = 8192
_ASKED = {  # runtime as a cgroup's path or the files name it → who can be asked for it
    "cri-containerd": ("cri",),
    "cri-o": ("cri",),
    "docker": ("docker",),
    "podman": ("podman",),
}
_OF_PODS = ("cri", "docker")


class Desk:
    """`Engines` over sockets. `start` finds them; sockets that come later are found within `look_s` seconds."""

    def __init__(
        self,
        places: Sequence[Socket] | None = None,
        open_engine: Callable[[Socket], Engine] | None = None,
        *,
        pace: Pace = Pace(),  # noqa: B008
        look_s: float = _LOOK_S,
    ) -> None:
        self._places = usual() if places is None else tuple(places)
        self._open_engine = open_engine or open_socket
        self._pace = pace
        self._look_s = look_s
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}
        self._unusable: dict[str, RuntimeState] = {}
        self._wanted: dict[str, None] = {}
        self._pending: dict[str, int] = {}  # container id → workers that have not answered
        self._answers: list[Answer] = []
        self._stopping = threading.Event()
        self._looker = threading.Thread(target=self._keep_looking, name="runtime-sockets", daemon=True)

    def start(self) -> None:
        """Look once, then from time to time. Returns at once: greetings take place in the workers' threads."""
        self._look()
        self._looker.start()

    def stop(self) -> None:
        """End every thread. Waits a second at most: a call under way ends at its deadline, in its daemon thread."""
        self._stopping.set()
        workers = list(self._workers.values())
        for worker in workers:
            worker.stop()
        end = time.monotonic() + _STOP_S
        for worker in workers:
            worker.join(end - time.monotonic())
        if self._looker.is_alive():
            self._looker.join(max(0.0, end - time.monotonic()))

    def ask(self, question: Question) -> tuple[Standing, str]:
        kinds = _ASKED.get(question.runtime, () if question.runtime or not question.pod_uid else _OF_PODS)
        if not kinds:
            return Standing.NONE, ""
        workers = [w for w in self._workers.values() if w.state.kind in kinds]
        if not workers:
            self._wanted[kinds[0]] = None
            down = any(s.kind in kinds for s in self._unusable.values())
            return (Standing.DOWN if down else Standing.NONE), kinds[0]
        return self._ask(question.id, workers), workers[0].state.kind

    def _ask(self, container_id: str, workers: Sequence[Worker]) -> Standing:
        with self._lock:
            if container_id in self._pending:
                return Standing.UP
            if len(self._pending) >= _OPEN:
                return Standing.DOWN
            self._pending[container_id] = len(workers)
        refused = sum(not worker.ask(container_id) for worker in workers)
        if refused == len(workers):
            with self._lock:
                self._pending.pop(container_id, None)
            return Standing.DOWN
        for _ in range(refused):
            self._heard(Answer(container_id, None, Standing.DOWN, workers[0].state.kind))
        return Standing.UP

    def take(self) -> Sequence[Answer]:
        if not self._answers:
            return ()
        with self._lock:
            answers, self._answers = self._answers, []
        return answers

    def states(self) -> tuple[RuntimeState, ...]:
        found = [worker.state for worker in list(self._workers.values())] + list(self._unusable.values())
        have = {state.kind for state in found}
        where = ", ".join(place.path for place in self._places[:8])
        lacking = (kind for kind in list(self._wanted) if kind not in have)
        found += [
            RuntimeState(kind, "", "absent", f"its containers run here, no socket among {where}") for kind in lacking
        ]
        return tuple(found)

    def _heard(self, answer: Answer) -> None:
        """From a worker's thread. Of several runtimes the first that knows a container has the word."""
        with self._lock:
            left = self._pending.get(answer.id)
            if left is None:
                return
            if answer.said is None and left > 1:
                self._pending[answer.id] = left - 1
                return
            del self._pending[answer.id]
            self._answers.append(answer)

    def _keep_looking(self) -> None:
        while not self._stopping.wait(self._look_s):
            self._look()

    def _look(self) -> None:
        unusable: dict[str, RuntimeState] = {}
        for found in present(self._places):
            path = found.socket.path
            if path in self._workers:
                continue
            if found.trouble is not None:
                unusable[path] = RuntimeState(found.socket.kind, path, found.trouble.value, found.problem)
                continue
            worker = self._workers[path] = Worker(found.socket, self._open_engine, self._heard, self._pace)
            worker.start()
        self._unusable = unusable


def open_socket(place: Socket) -> Engine:
    """The engine that speaks what listens there. gRPC is loaded only where there is a CRI to speak it to."""
    if place.kind == "cri":
        from agent.runtimes.cri import CriEngine  # noqa: PLC0415

        return CriEngine(place.path, place.prefix)
    from agent.runtimes.docker import DockerEngine  # noqa: PLC0415

    return DockerEngine(place.path)
