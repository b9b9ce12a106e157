"""Who is at the other end: taken from the certificate that TLS has verified, never from what it says."""

from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc
from cryptography import x509

_SCHEME = "vedette"


class Role(StrEnum):
    """Roles of certificates; they stand in the URI `vedette://<role>/<name>`."""

    AGENT = "agent"
    READER = "reader"
    ADMIN = "admin"
    LOCAL = "local"  # no certificate: a unix socket, guarded by its file mode


class Identity(NamedTuple):
    """A verified peer."""

    role: Role
    name: str


def peer_identity(context: "grpc.aio.ServicerContext[bytes, bytes]") -> Identity | None:
    """The peer's identity; None when its certificate names none."""
    if context.peer().startswith("unix:"):
        return Identity(Role.LOCAL, "")
    return identity_of(next(iter(context.auth_context().get("x509_pem_cert", ())), b""))


def identity_of(pem: bytes) -> Identity | None:
    """The one identity a PEM certificate names, or None."""
    try:
        names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return None
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    found = [identity for uri in uris if (identity := _from_uri(uri)) is not None]
    return found[0] if len(found) == 1 else None


def _from_uri(uri: str) -> Identity | None:
    parts = urlsplit(uri)
    name = parts.path.removeprefix("/")
    if parts.scheme != _SCHEME or parts.netloc not in ("agent", "reader", "admin") or not name:
        return None
    return Identity(Role(parts.netloc), name)
