"""Options of commands that read from a collector, and the client they make."""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

    from collector.publish.client import EventClient

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT = "127.0.0.1:4317"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option(
        "--collector",
        envvar="VEDETTE_COLLECTOR",
        default=DEFAULT,
        show_default=True,
        metavar="HOST:PORT|unix:/PATH",
        help="Where the collector listens.",
    ),
    click.option("--cert", envvar="VEDETTE_CERT", type=_FILE, help="Reader certificate, PEM."),
    click.option("--key", envvar="VEDETTE_KEY", type=_FILE, help="Its private key, PEM."),
    click.option("--ca", envvar="VEDETTE_CA", type=_FILE, help="CA that signed the collector's certificate, PEM."),
)


def connection_options(command: F) -> F:
    """--collector, --cert, --key, --ca (also VEDETTE_COLLECTOR, VEDETTE_CERT …)."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def client(
    collector: str, cert: Path | None, key: Path | None, ca: Path | None
) -> "AbstractContextManager[EventClient]":
    """A client for the time of a `with`; errors become the command's. Raises: click.ClickException."""
    return _client(collector, cert, key, ca)


@contextmanager
def _client(collector: str, cert: Path | None, key: Path | None, ca: Path | None) -> "Iterator[EventClient]":
    from collector.publish.client import EventClient  # noqa: PLC0415

    with open_connection(collector, cert, key, ca) as channel:
        yield EventClient(channel)


@contextmanager
def open_connection(collector: str, cert: Path | None, key: Path | None, ca: Path | None) -> "Iterator[grpc.Channel]":
    """A channel for the time of a `with`; the collector's errors become the command's. Raises: click.ClickException."""
    from collector.config import TlsFiles  # noqa: PLC0415
    from collector.errors import CollectorError  # noqa: PLC0415
    from collector.publish.client import open_channel  # noqa: PLC0415

    given = [path for path in (cert, key, ca) if path is not None]
    if given and len(given) != 3:
        raise click.UsageError("--cert, --key and --ca go together")
    tls = TlsFiles(*given) if given else None
    try:
        with open_channel(collector, tls) as channel:
            yield channel
    except CollectorError as error:
        raise click.ClickException(str(error)) from error
