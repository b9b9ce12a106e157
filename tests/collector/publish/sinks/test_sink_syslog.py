"""Syslog to a real listener: whole frames over TLS, and nothing counts that the far end's kernel does not have."""

import contextlib
import socket
import threading

import pytest

from collector.publish.sinks.config import SyslogEnd, Tls
from collector.publish.sinks.formats import cef
from collector.publish.sinks.port import Item, RetryError
from collector.publish.sinks.syslog import SyslogSink


class Listener:
    """Takes frames by their octet counts; `mute` accepts and never reads, `cut` hangs up after so many frames."""

    def __init__(self, context=None, *, mute=False, cut=0):
        self.frames = []
        self.connections = 0
        self._context, self._mute, self._cut = context, mute, cut
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._held = []
        if mute:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._held.append(connection)
            if not self._mute:
                with contextlib.suppress(OSError, ValueError):
                    self._take(connection)

    def _take(self, connection):
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as stream:
            while length := self._length(stream):
                self.frames.append(stream.read(length))
                if self._cut and len(self.frames) == self._cut:
                    connection.shutdown(socket.SHUT_RDWR)
                    return

    def _length(self, stream):
        digits = b""
        while (byte := stream.read(1)) not in (b" ", b""):
            digits += byte
        return int(digits or b"0")

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(20)
        for connection in self._held:
            connection.close()


@pytest.fixture
def listen():
    made = []

    def start(*args, **options):
        made.append(Listener(*args, **options))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


@pytest.fixture
def items(make):
    return [Item(n, make.runtime(n), cef(make.runtime(n))) for n in range(1, 51)]


def test_frames_over_tls_arrive_whole_and_in_order(listen, server_tls, items, until):
    listener = listen(server_tls.context)
    sink = SyslogSink(SyslogEnd("localhost", listener.port, Tls(ca=str(server_tls.ca))), 20.0)
    sink.send(items[:20])
    sink.send(items[20:])
    until(lambda: len(listener.frames) == 50)
    sink.close()
    assert [frame.split(b"\xef\xbb\xbf")[1] for frame in listener.frames] == [item.body for item in items]
    assert listener.connections == 1


def test_a_certificate_of_nobody_known_is_not_accepted(listen, server_tls, items):
    listener = listen(server_tls.context)
    sink = SyslogSink(SyslogEnd("localhost", listener.port, Tls()), 20.0)
    with pytest.raises(RetryError, match="its certificate is not accepted"):
        sink.send(items)
    wrong_name = SyslogSink(SyslogEnd("127.0.0.1", listener.port, Tls(ca=str(server_tls.ca))), 20.0)
    with pytest.raises(RetryError, match="its certificate is not accepted"):
        wrong_name.send(items)
    assert listener.frames == []


def test_a_far_end_that_reads_nothing_is_not_taken_for_delivered(listen, items):
    listener = listen(mute=True)
    sink = SyslogSink(SyslogEnd("127.0.0.1", listener.port, None), 0.3)
    big = [item._replace(body=item.body * 400) for item in items]
    with pytest.raises(RetryError, match=r"timed out|not taken"):
        sink.send(big)


def test_nobody_listening_is_said(items):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RetryError, match="refused"):
        SyslogSink(SyslogEnd("127.0.0.1", port, None), 5.0).send(items)


def test_after_a_hang_up_the_rest_arrives_over_a_new_connection(listen, commit, deliver, until):
    """What the far end's kernel had taken but its reader had not can be lost: syslog has no answer to that."""
    newest = commit(range(60))
    wanted = [f"f-{n:06d}" for n in range(60)]
    listener = listen(cut=7)
    sink = SyslogSink(SyslogEnd("127.0.0.1", listener.port, None), 20.0)
    running = deliver(sink, batch=5)
    until(lambda: running.delivery.cursor == newest)
    until(lambda: {f.split(b"\xef\xbb\xbf")[1].decode() for f in listener.frames} >= set(wanted[10:]))
    assert listener.connections >= 2
