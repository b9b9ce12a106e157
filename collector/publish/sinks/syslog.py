"""Syslog over a stream: RFC 5424 messages, octet counting (RFC 6587 over TCP, RFC 5425 over TLS).

Syslog acknowledges nothing. What comes closest: a batch counts as delivered when the far end's kernel has
acknowledged its last byte (the socket's send queue is empty), and a connection the far end closed is not written to.
"""

import fcntl
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from typing import Any

from collector.plain import plain
from collector.publish.sinks.config import SyslogEnd
from collector.publish.sinks.formats.facts import Facts, first_last, iso
from collector.publish.sinks.port import Item, RetryError, Subject
from collector.publish.sinks.secure import tls_context
from detection.finding import Finding

_FACILITY = 13  # log audit
_LEVELS = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2}  # informational, notice, warning, error, critical
_POLL_S = 0.005


class SyslogSink:
    """One connection, made when it is needed."""

    def __init__(self, end: SyslogEnd, timeout_s: float) -> None:
        self._end = end
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._place = f"syslog {end.host}:{end.port}"

    def send(self, items: Sequence[Item]) -> None:
        """Write all and wait until the far end's kernel has them. Raises: RetryError, ConfigError (its files)."""
        try:
            connection = self._connected()
            connection.sendall(b"".join(frame(item.subject, item.body) for item in items))
            self._wait_taken(connection)
        except OSError as error:
            self.close()
            raise RetryError(f"{self._place}: {_said(error)}") from error

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is not None and self._hung_up(self._socket):
            self.close()
        if self._socket is None:
            raw = socket.create_connection((self._end.host, self._end.port), self._timeout_s)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = raw
            if self._end.tls is not None:
                context = tls_context(self._end.tls, self._place)
                self._socket = context.wrap_socket(raw, server_hostname=self._end.host)
        return self._socket

    def _hung_up(self, connection: socket.socket) -> bool:
        """Whether the far end closed; what it says otherwise is thrown away."""
        connection.setblocking(False)
        try:
            return connection.recv(4096) == b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            connection.settimeout(self._timeout_s)

    def _wait_taken(self, connection: socket.socket) -> None:
        end = time.monotonic() + self._timeout_s
        while waiting := _unacknowledged(connection):
            if time.monotonic() > end:
                raise TimeoutError(f"{waiting} bytes not taken within {self._timeout_s:g} s")
            time.sleep(_POLL_S)
        if self._hung_up(connection):
            raise ConnectionResetError("closed by the far end; what it did not read may be lost")


def frame(subject: Subject, message: bytes) -> bytes:
    """One message with its length in front: `LEN SP <PRI>1 TIME HOST vedette - MSGID - BOM MSG`."""
    _, last = first_last(subject)
    priority = _FACILITY * 8 + _LEVELS[int(subject.severity)]
    finding = isinstance(subject, Finding)
    host = (Facts(subject).node if isinstance(subject, Finding) else "") or socket.gethostname()
    time_ = iso(last)[:26] + "Z"  # microseconds are the most RFC 5424 allows
    head = f"<{priority}>1 {time_} {_word(host, 255)} vedette - {'finding' if finding else 'incident'} - "
    body = head.encode() + b"\xef\xbb\xbf" + message
    return b"%d %s" % (len(body), body)


def _word(text: str, limit: int) -> str:
    """Printable US-ASCII without blanks, "-" for nothing."""
    return "".join(c if "!" <= c <= "~" else "_" for c in text[:limit]) or "-"


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes in the send queue (SIOCOUTQ, tcp(7))."""
    answer: Any = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {plain(error.verify_message, 200)}"
    return plain(str(error) or type(error).__name__, 200)
