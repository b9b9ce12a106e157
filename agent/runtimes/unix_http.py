"""GET over a unix socket: bounded in time and size whatever the other end does.

The standard library's client does the protocol; its timeouts are per read, so a server that sends a byte a second
could hold it for ever. Here every read shares one deadline.
"""

import io
import socket
import time
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

import orjson

from agent.runtimes.engine import AnswerError, EngineError, Trouble


class Reply(NamedTuple):
    """Status, headers (lower-case names) and body."""

    status: int
    headers: dict[str, str]
    body: bytes


class UnixHttp:
    """One request, one connection. `timeout_s` bounds a request as a whole, `max_bytes` its answer."""

    def __init__(self, path: str, timeout_s: float, max_bytes: int) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes

    def get(self, target: str) -> Reply:
        """Raises: EngineError where nobody answers well, AnswerError where the answer is too large."""
        deadline = time.monotonic() + self._timeout_s
        connection = _UnixConnection(self._path, deadline)
        try:
            connection.request("GET", target, headers={"Connection": "close", "Accept": "application/json"})
            response = connection.getresponse()
            body = response.read(self._max_bytes + 1)
            reply = Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
        except TimeoutError as error:
            raise EngineError(Trouble.SILENT, f"{self._path}: no answer within {self._timeout_s:g} s") from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise EngineError(Trouble.ABSENT, f"{self._path}: no such socket") from error
        except PermissionError as error:
            raise EngineError(Trouble.REFUSED, f"{self._path}: permission denied; run the agent as root") from error
        except OSError as error:
            raise EngineError(Trouble.UNREACHABLE, f"{self._path}: {error.strerror or 'connection lost'}") from error
        except (HTTPException, ValueError) as error:
            raise EngineError(Trouble.GARBLED, f"{self._path}: what answers does not speak HTTP") from error
        finally:
            connection.hang_up()
        if len(body) > self._max_bytes:
            raise AnswerError(f"{self._path}: an answer over {self._max_bytes} bytes")
        return reply

    def get_json(self, target: str) -> tuple[Reply, dict[str, Any]]:
        """As `get`; the body as an object, {} where the status is not 200. Raises: EngineError, AnswerError."""
        reply = self.get(target)
        if reply.status != 200:
            return reply, {}
        try:
            found = orjson.loads(reply.body)
        except ValueError as error:
            raise EngineError(Trouble.GARBLED, f"{self._path}: the answer is not JSON") from error
        if not isinstance(found, dict):
            raise EngineError(Trouble.GARBLED, f"{self._path}: the answer is not an object")
        return reply, found


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket, with one deadline."""

    def __init__(self, path: str, deadline: float) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = deadline
        self._plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def connect(self) -> None:
        self._plain.settimeout(_left(self._deadline))
        self._plain.connect(self._path)
        self.sock = _Deadlined(self._plain, self._deadline)

    def hang_up(self) -> None:
        """End it, whatever was read."""
        self.close()
        self._plain.close()


class _Deadlined:
    """As much of a socket as http.client uses; every read and write ends at the deadline."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self._socket = plain
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_left(self._deadline))
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._socket, self._deadline))

    def close(self) -> None:
        """http.client closes before it reads an answer's body; `hang_up` does it after."""


class _Reader(io.RawIOBase):
    """The socket's bytes until the deadline."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        super().__init__()
        self._socket = plain
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(_left(self._deadline))
        return self._socket.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
