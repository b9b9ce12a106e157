"""How to reach the collector: mutual TLS over TCP, plaintext on a unix socket only."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from agent.errors import UplinkError

MAX_MESSAGE = 8 << 20
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The uplink has its own backoff; gRPC's must not add to it.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of the agent's identity, PEM. Read anew for every connection, so they can be replaced in place."""

    certificate: Path
    key: Path
    ca: Path


def check_target(target: str, credentials: Credentials | None) -> None:
    """Raises: UplinkError when the target would be reached in plaintext over the network, or files are unusable."""
    if target.startswith("unix:"):
        return
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit():
        raise UplinkError(f"collector {target!r}: write host:port, or unix:/path for a collector on this machine")
    if credentials is None:
        raise UplinkError(
            f"collector {target}: plaintext over TCP is refused; give a certificate, key and CA "
            "(`vedette pki` makes them), or use unix:/path on this machine"
        )
    _check_files(credentials)


def _check_files(credentials: Credentials) -> None:
    """Let OpenSSL read them once: gRPC would only say that the connection failed."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(credentials.certificate, credentials.key)
        context.load_verify_locations(credentials.ca)
    except (OSError, ssl.SSLError) as error:
        files = f"{credentials.certificate}, {credentials.key}, {credentials.ca}"
        raise UplinkError(
            f"certificate files ({files}): {error.strerror or error}; issue them with `vedette pki`"
        ) from error


def open_channel(target: str, credentials: Credentials | None) -> grpc.Channel:
    """A channel to the collector; connects when first used. Raises: UplinkError."""
    if target.startswith("unix:"):
        return grpc.insecure_channel(target, options=_OPTIONS)
    check_target(target, credentials)
    assert credentials is not None
    try:
        tls = grpc.ssl_channel_credentials(
            root_certificates=credentials.ca.read_bytes(),
            private_key=credentials.key.read_bytes(),
            certificate_chain=credentials.certificate.read_bytes(),
        )
    except OSError as error:
        raise UplinkError(f"certificate files: {error.strerror} ({error.filename})") from error
    return grpc.secure_channel(target, tls, options=_OPTIONS)
