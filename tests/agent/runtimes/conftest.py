"""Runtimes that behave, and sockets that do not."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Talk = Callable[[socket.socket, threading.Event], None]


class HostileServer:
    """A unix socket; every connection is handed to `talk` in a thread of its own."""

    def __init__(self, path: Path, talk: Talk) -> None:
        self.path = str(path)
        self.connections = 0
        self._talk = talk
        self._over = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._over.is_set():
                connection.close()
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._talk(connection, self._over)
            except OSError:
                pass

    def stop(self) -> None:
        self._over.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.path)
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Callable[[Talk], HostileServer]]:
    """Makes a server that talks so."""
    made: list[HostileServer] = []

    def make(talk: Talk) -> HostileServer:
        made.append(HostileServer(tmp_path / f"h{len(made)}.sock", talk))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for a condition, with a deadline."""

    def wait(condition: Callable[[], object]) -> None:
        pause, deadline = threading.Event(), time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "not within 10 s"
            pause.wait(0.005)

    return wait
