"""TLS towards a far end, from PEM files."""

import ssl

from collector.errors import ConfigError
from collector.publish.sinks.config import Tls


def tls_context(tls: Tls, place: str) -> ssl.SSLContext:
    """TLS 1.2 or later, the far end's name verified. Raises: ConfigError."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{place}: ca, certificate or key cannot be used: {type(error).__name__}") from error
    return context
