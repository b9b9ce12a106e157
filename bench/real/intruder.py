"""The intruder's half: servers at an address of the world, and what intrusions have in common."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.real.container import Container
from bench.real.nginx import request
from bench.real.web import PORT
from bench.real.workload import World

SHELL_PORT, POOL_PORT, RESOLVER_PORT, DROP_PORT, LISTEN_PORT = 4443, 3333, 53, 8443, 31337
STAGE_TWO = "#!/bin/sh\nid > /tmp/.x\nuname -a >> /tmp/.x\n"


@dataclass(frozen=True, slots=True)
class Intrusion:
    """`act` does it to the workload and gives the containers it was done in. `words`: what a right reason names,
    any of them."""

    name: str
    workload: str
    act: Callable[[World], list[Container]]
    words: tuple[str, ...]


class Servers:
    """Takes every connection at the world's address, says what a shell's master would say, and drinks what it gets."""

    def __init__(self, address: str) -> None:
        self._sockets = [_listener(address, port) for port in (SHELL_PORT, POOL_PORT, DROP_PORT, 6380)]
        self._resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._resolver.bind((address, RESOLVER_PORT))
        self._files = ThreadingHTTPServer((address, 8080), _StageTwo)

    def start(self) -> None:
        """Begin to listen, in threads."""
        for server in self._sockets:
            threading.Thread(target=_drink, args=(server,), daemon=True).start()
        threading.Thread(target=self._files.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close all."""
        for server in (*self._sockets, self._resolver):
            server.close()
        self._files.shutdown()
        self._files.server_close()


class _StageTwo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(STAGE_TWO.encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _listener(address: str, port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(16)
    return server


def _drink(server: socket.socket) -> None:
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_swallow, args=(peer,), daemon=True).start()


def _swallow(peer: socket.socket) -> None:
    with peer:
        peer.settimeout(10)
        try:
            peer.sendall(b"id\n")
            while peer.recv(65536):
                pass
        except OSError:
            pass


def inject(container: Container, code: str) -> str:
    """Run Python in a worker of the web service, through its hole."""
    try:
        return request(container.address, PORT, "/debug", code.encode()).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"({error})"


def wait(seconds: float) -> None:
    """For what was set going to happen."""
    time.sleep(seconds)
