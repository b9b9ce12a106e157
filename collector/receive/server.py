"""The gRPC server: listeners, mutual TLS, health and reflection."""

import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from collector.config import TlsFiles
from collector.errors import ConfigError
from collector.receive.wire import MAX_MESSAGE

_OPTIONS = (
    # Above our own limit, so that a message that is merely too large is counted and answered, not cut off.
    ("grpc.max_receive_message_length", 4 * MAX_MESSAGE),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),
)


class Server:
    """A `grpc.aio` server for the given services (full names and handlers)."""

    def __init__(
        self, services: Sequence[tuple[str, "grpc.GenericRpcHandler[bytes, bytes]"]], tls: TlsFiles | None
    ) -> None:
        self._server = grpc.aio.server(options=_OPTIONS)
        self._tls = tls
        self._names = [name for name, _ in services]
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._sockets: list[Path] = []
        self._server.add_generic_rpc_handlers([handler for _, handler in services])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)

    def listen(self, address: str) -> str:
        """Bind `host:port` (mutual TLS) or `unix:/path` (this machine's owner only); the address with its real port.

        Raises: ConfigError.
        """
        try:
            return self._listen_unix(address) if address.startswith("unix:") else self._listen_tls(address)
        except (RuntimeError, OSError) as error:
            raise ConfigError(f"--listen {address}: cannot bind it; is it in use?") from error

    def _listen_unix(self, address: str) -> str:
        path = Path(address.removeprefix("unix:"))
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.stat().st_mode):
                raise ConfigError(f"--listen {address}: there is a file that is no socket; choose another path")
            path.unlink()
        self._server.add_insecure_port(address)
        path.chmod(0o600)
        self._sockets.append(path)
        return address

    def _listen_tls(self, address: str) -> str:
        if self._tls is None:
            raise ConfigError(
                f"--listen {address}: plaintext over TCP is refused; give --cert, --key and --ca "
                "(`vedette pki` makes them), or listen on unix:/path"
            )
        port = self._server.add_secure_port(address, _credentials(self._tls))
        return f"{address.rpartition(':')[0]}:{port}"

    async def start(self) -> None:
        """Serve, and say so to health checks."""
        await self._server.start()
        await self._say(health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Tell health checks that this ends."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Wait for calls under way up to `grace_s`, then end them."""
        await self._server.stop(grace_s)
        for path in self._sockets:
            path.unlink(missing_ok=True)

    async def _say(self, status: int) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    try:
        key, certificate, ca = tls.key.read_bytes(), tls.certificate.read_bytes(), tls.ca.read_bytes()
    except OSError as error:
        raise ConfigError(f"certificate file {error.filename}: {error.strerror}") from error
    return grpc.ssl_server_credentials([(key, certificate)], root_certificates=ca, require_client_auth=True)
