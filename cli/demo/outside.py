"""The network's other ends in the demo: the intruder's servers, and a stand-in for the API server.

The stand-in answers two requests, checks the bearer token against the pods' own, and writes the audit records an
API server would have written: with the address, the user agent, the URI and the time of the request that came in.
"""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cli.demo import controlplane
from cli.demo.controlplane import AuditLog
from cli.demo.image import static_busybox
from cli.demo.pods import NAMESPACE, RunningPod

DROP_PORT = 8000
BEACON_PORT = 4444
API_PORT = 6443
_MAX_BODY = 1 << 20
_SCRIPT = b"#!/bin/sh\nhostname\nid -u\n"
_ORDERS = b"hostname; id; exit\n"


@contextmanager
def serving(outside: str, gateway: str, audit: AuditLog, pods: Sequence[RunningPod]) -> Iterator[list[str]]:
    """Serve until the context ends; the list grows with what beacons say. Raises: OSError if a port is taken."""
    beacons: list[str] = []
    drop = ThreadingHTTPServer((outside, DROP_PORT), _drop_handler())
    api = ThreadingHTTPServer((gateway, API_PORT), _api_handler(audit, pods))
    with drop, api, socket.create_server((outside, BEACON_PORT)) as listener:
        threads = [threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True) for s in (drop, api)]
        threads.append(threading.Thread(target=_receive, args=(listener, beacons), daemon=True))
        for thread in threads:
            thread.start()
        try:
            yield beacons
        finally:
            drop.shutdown()
            api.shutdown()
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            for thread in threads:
                thread.join()


def _receive(listener: socket.socket, beacons: list[str]) -> None:
    """Give every caller the same orders and keep what it says, until the listener is shut down."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            beacons.append(_conversation(connection))


def _conversation(connection: socket.socket) -> str:
    connection.settimeout(2)
    said = b""
    try:
        connection.sendall(_ORDERS)
        connection.shutdown(socket.SHUT_WR)
        while len(said) < _MAX_BODY and (chunk := connection.recv(4096)):
            said += chunk
    except OSError:
        pass  # it hung up, or says nothing more: what it said is kept
    return said.decode(errors="replace")


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the name is the base class's
        """Nothing on stderr: the terminal belongs to the story."""

    def answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _drop_handler() -> type[_Quiet]:
    files = {"/busybox.x64": static_busybox().read_bytes(), "/stage2": _SCRIPT}

    class Drop(_Quiet):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.answer(404 if body is None else 200, body or b"", "application/octet-stream")

    return Drop


def _api_handler(audit: AuditLog, pods: Sequence[RunningPod]) -> type[_Quiet]:
    owners = {pod.pod.token.jwt: pod for pod in pods if pod.pod.token is not None}
    secrets = {"kind": "SecretList", "apiVersion": "v1", "items": [{"metadata": {"name": "payment-gateway"}}]}

    class Api(_Quiet):
        def do_GET(self) -> None:
            received = datetime.now(UTC)
            caller = self._caller(received, "list")
            if caller is not None and self.path.startswith(f"/api/v1/namespaces/{NAMESPACE}/secrets"):
                audit.write(controlplane.secrets_listed(caller, self.path, received))
                self.answer(200, json.dumps(secrets).encode() + b"\n", "application/json")
            elif caller is not None:
                self.answer(404, b"{}", "application/json")

        def do_POST(self) -> None:
            received = datetime.now(UTC)
            specification = self._body()
            caller = self._caller(received, "create")
            if caller is not None and self.path.startswith(f"/api/v1/namespaces/{NAMESPACE}/pods"):
                audit.write(controlplane.pod_created(caller, self.path, specification, received))
                self.answer(201, b'{"kind":"Pod","apiVersion":"v1"}\n', "application/json")
            elif caller is not None:
                self.answer(404, b"{}", "application/json")

        def _caller(self, received: datetime, verb: str) -> controlplane.Caller | None:
            pod = owners.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            address, agent = str(self.client_address[0]), self.headers.get("User-Agent", "")
            if pod is not None:
                return controlplane.service_account(pod, address, agent)
            audit.write(controlplane.refused(self.path, verb, address, agent, received))
            self.answer(401, b'{"kind":"Status","code":401}\n', "application/json")
            return None

        def _body(self) -> dict[str, Any]:
            try:
                length = min(int(self.headers.get("Content-Length", "0")), _MAX_BODY)
                body = json.loads(self.rfile.read(length))
            except ValueError:
                return {}
            return body if isinstance(body, dict) else {}

    return Api
