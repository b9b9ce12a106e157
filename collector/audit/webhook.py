"""Audit records sent to us: one HTTPS endpoint for each audit log (the API server's webhook backend, a forwarder)."""

import asyncio
import contextlib
import hmac
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from collector.audit.dead_letter import DeadLetter
from collector.audit.detector import Detector
from collector.audit.envelope import parse
from collector.audit.format import Format
from collector.audit.intake import take_in
from collector.audit.port import Emit
from collector.audit.problems import ProblemLog
from collector.audit.record import Parsed
from collector.errors import CollectorError, ConfigError


@dataclass(frozen=True, slots=True)
class WebhookTls:
    """Certificate and key of this listener; with `client_ca`, callers must show a certificate of that CA."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class AuditWebhook:
    """An AuditSource that listens; `forms` gives each path its audit log.

    The socket is bound at once, so `port` is known before `run`.
    Without TLS it listens on loopback only. `token_file` holds a bearer token callers must send; it is read again at
    every request, so it can be changed in place. Raises: ConfigError where the options cannot work.
    """

    def __init__(
        self,
        host: str,
        port: int,
        forms: Mapping[str, Format],
        detector: Detector,
        *,
        tls: WebhookTls | None = None,
        token_file: Path | None = None,
        max_body: int = 32 * 1024 * 1024,
        max_waiting: int = 8,
        commit_timeout_s: float = 20.0,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        if tls is None and not _is_loopback(host):
            raise ConfigError(f"audit webhook on {host}:{port} without TLS: give a certificate, or listen on 127.0.0.1")
        self._tls = tls
        self._receiver = Receiver(
            forms,
            detector,
            token_file=token_file,
            max_body=max_body,
            max_waiting=max_waiting,
            commit_timeout_s=commit_timeout_s,
            dead_letter=dead_letter,
        )
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            raise ConfigError(f"audit webhook cannot listen on {host}:{port}: {error}") from error

    @property
    def port(self) -> int:
        """The port that is bound (useful with port 0)."""
        return int(self._socket.getsockname()[1])

    async def run(self, emit: Emit) -> None:
        """Serve until cancelled; requests under way are finished first (5 s at most)."""
        server = _Server(self._config(self._receiver.app(emit)))
        task = asyncio.ensure_future(server.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            server.should_exit = True
            await task
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Release the port; `run` does it at its end."""
        self._socket.close()

    def counters(self) -> Mapping[str, int]:
        """Requests by outcome, bad records, bytes."""
        return self._receiver.problems.counts()

    def _config(self, app: Starlette) -> uvicorn.Config:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=5,
            limit_concurrency=256,
            h11_max_incomplete_event_size=64 * 1024,
        )
        if self._tls is not None:
            config.ssl_certfile, config.ssl_keyfile = str(self._tls.certificate), str(self._tls.key)
            if self._tls.client_ca is not None:
                config.ssl_ca_certs, config.ssl_cert_reqs = str(self._tls.client_ca), ssl.CERT_REQUIRED
        return config


class Receiver:
    """The endpoint itself, an ASGI app once it knows where findings go."""

    def __init__(
        self,
        forms: Mapping[str, Format],
        detector: Detector,
        *,
        token_file: Path | None,
        max_body: int,
        max_waiting: int,
        commit_timeout_s: float,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        self._forms = forms
        self.problems = ProblemLog("webhook", dead_letter)
        self._detector = detector
        self._token_file = token_file
        self._max_body = max_body
        self._max_waiting = max_waiting
        self._timeout_s = commit_timeout_s
        self._waiting = 0
        self._requests = 0

    def app(self, emit: Emit) -> Starlette:
        """`POST` to the path of each audit log, and `GET /healthz`."""

        async def healthz(_: Request) -> Response:
            behind = self._waiting >= self._max_waiting
            return PlainTextResponse("behind\n" if behind else "ok\n", 503 if behind else 200)

        logs = [Route(path, self._endpoint(form, emit), methods=["POST"]) for path, form in self._forms.items()]
        return Starlette(routes=[*logs, Route("/healthz", healthz)])

    def _endpoint(self, form: Format, emit: Emit) -> Callable[[Request], Awaitable[Response]]:
        async def take(request: Request) -> Response:
            response = await self._answer(form, request, emit)
            self.problems.count(f"http_{response.status_code}")
            return response

        return take

    async def _answer(self, form: Format, request: Request, emit: Emit) -> Response:
        if not self._authorized(request.headers.get("authorization", "")):
            return _text(401, "send the bearer token of this webhook in the Authorization header")
        if self._waiting >= self._max_waiting:
            return _text(503, "audit intake is behind: send again later", {"Retry-After": "5"})
        self._waiting += 1
        try:
            body = await self._body(request)
            if body is None:
                return _text(413, f"body larger than {self._max_body} bytes: lower audit-webhook-batch-max-size")
            return await self._take(form, body, emit)
        except ClientDisconnect:
            return _text(400, "the connection ended before the body did")
        finally:
            self._waiting -= 1

    async def _body(self, request: Request) -> bytes | None:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body:
            return None
        parts = bytearray()
        async for part in request.stream():
            parts += part
            if len(parts) > self._max_body:
                return None
        return bytes(parts)

    async def _take(self, form: Format, body: bytes, emit: Emit) -> Response:
        self._requests += 1
        self.problems.count("bytes", len(body))
        parsed = parse(form, body, f"webhook request {self._requests}")
        self.problems.took(parsed)
        if parsed.problems and not parsed.records:
            return _text(400, _why(parsed))
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await take_in(form, parsed.records, self._detector, emit)
        except (CollectorError, TimeoutError) as error:
            self.problems.note("emit_failed", f"audit findings could not be stored: {error or 'in time'}")
            return _text(503, "findings could not be stored now: send again", {"Retry-After": "5"})
        return _text(200, f"{len(parsed.records)} events, {found} findings, {len(parsed.problems)} bad records")

    def _authorized(self, header: str) -> bool:
        if self._token_file is None:
            return True
        try:
            token = self._token_file.read_bytes().strip()
        except OSError as error:
            self.problems.note("token_unreadable", f"audit webhook token cannot be read, all calls refused: {error}")
            return False
        scheme, _, given = header.partition(" ")
        same = hmac.compare_digest(given.strip().encode(), token)
        return bool(token) and scheme.lower() == "bearer" and same


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone: the collector stops its parts itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _why(parsed: Parsed) -> str:
    first = parsed.problems[0]
    more = f" (and {len(parsed.problems) - 1} more)" if len(parsed.problems) > 1 else ""
    return f"no usable audit event: {first.position}: {first.reason}{more}"


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status, headers=headers)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
