"""Webhook and OTLP against a real HTTPS receiver: signed, judged by the answer, and no secret in an error."""

import http.server
import threading
import time

import orjson
import pytest

from collector.errors import ConfigError
from collector.publish.sinks.config import HttpEnd, Tls
from collector.publish.sinks.formats import falco, ocsf, otlp_record
from collector.publish.sinks.otlp import OtlpSink
from collector.publish.sinks.port import Item, RefusedError, RetryError
from collector.publish.sinks.webhook import WebhookSink, signature, verified


class Receiver:
    """Answers with `answers`, one per request, then 200 {}; keeps path, headers and body."""

    def __init__(self, context=None):
        self.requests = []
        self.answers = []
        self.rule = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                status, headers, answer = outer.answers.pop(0) if outer.answers else (200, {}, b"{}")
                if outer.rule is not None:
                    status, headers, answer = outer.rule(body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)


@pytest.fixture
def https(server_tls):
    receiver = Receiver(server_tls.context)
    yield receiver
    receiver.close()


@pytest.fixture
def tls(server_tls):
    return Tls(ca=str(server_tls.ca))


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    return path


@pytest.fixture
def items(make):
    return [Item(n, make.runtime(n), ocsf(make.runtime(n))) for n in range(1, 6)]


def test_a_batch_is_an_array_whose_signature_a_receiver_can_verify(https, tls, secret, items):
    sink = WebhookSink(HttpEnd(f"{https.url}/hook?a=b", tls, secret), 20.0, single=False)
    sink.send(items)
    sink.send(items[:1])
    sink.close()
    (path, headers, body), _ = https.requests
    assert path == "/hook?a=b"
    assert [event["metadata"]["uid"] for event in orjson.loads(body)] == [item.subject.id for item in items]
    assert headers["Vedette-Delivery"] == "1-5"
    signed = headers["Vedette-Signature"]
    now = time.time()
    assert verified(signed, "hunter2", body, now)
    assert not verified(signed, "hunter2", body + b" ", now)
    assert not verified(signed, "hunter3", body, now)
    assert not verified(signed, "hunter2", body, now + 301), "a replay"
    assert b"hunter2" not in b"".join(str(request).encode() for request in https.requests)


def test_while_a_secret_is_changed_both_verify():
    header = signature(["new", "old"], 1000, b"{}")
    assert verified(header, "new", b"{}", 1000)
    assert verified(header, "old", b"{}", 1000)
    # what docs/siem.md tells a receiver to compute, by another hand: printf '1000.{}' | openssl dgst -sha256 -hmac new
    assert header.startswith("t=1000,v1=")
    for broken in ("", "t=1000", "v1=", "t=x,v1=y", "t=1000,t=1000,v1=z", "é"):
        assert not verified(broken, "new", b"{}", 1000)


def test_one_event_alone_is_an_object_as_routers_want_it(https, tls, make):
    sink = WebhookSink(HttpEnd(https.url, tls), 20.0, single=True)
    sink.send([Item(1, make.runtime(), falco(make.runtime()))])
    sink.close()
    assert orjson.loads(https.requests[0][2])["rule"] == "Shell | run by a web server"
    assert "Vedette-Signature" not in https.requests[0][1]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, RefusedError) for status in (400, 413, 415, 422)),
        *((status, RetryError) for status in (301, 401, 403, 404, 408, 425, 429, 500, 502, 503)),
    ],
)
def test_what_an_answer_means(status, error, https, tls, items):
    """Wrong credentials or a wrong path say nothing about the events: they are kept until it is mended."""
    https.answers = [(status, {"Retry-After": "7", "Location": "http://localhost/"}, b"said\x1b[31m")]
    sink = WebhookSink(HttpEnd(https.url, tls), 20.0, single=False)
    with pytest.raises(error, match=f"HTTP {status} said�") as caught:
        sink.send(items)
    sink.close()
    assert len(https.requests) == 1
    if error is RetryError:
        assert caught.value.after_s == 7.0


def test_a_token_is_sent_and_never_told(https, tls, secret, items, caplog):
    https.answers = [(403, {}, b"no")]
    sink = WebhookSink(HttpEnd(https.url, tls, authorization=secret), 20.0, single=False)
    with pytest.raises(RetryError) as caught:
        sink.send(items)
    assert https.requests[0][1]["Authorization"] == "hunter2"
    secret.write_text("bad\x00hunter2")
    with pytest.raises(ConfigError, match="not printable ASCII") as again:
        sink.send(items)
    sink.close()
    for error in (caught, again):
        assert "hunter2" not in f"{error.value} {error.value.__cause__}"
    assert "hunter2" not in caplog.text


def test_an_unknown_certificate_is_not_accepted(https, items):
    with pytest.raises(RetryError, match="its certificate is not accepted"):
        WebhookSink(HttpEnd(https.url, Tls()), 20.0, single=False).send(items)
    assert https.requests == []


def test_through_outages_and_refusals_everything_sound_arrives(https, tls, commit, deliver, until, tmp_path):
    chance = iter([503, 429, 500] * 3)

    def rule(body):
        if (status := next(chance, 200)) != 200:
            return status, {}, b""
        return (422, {}, b"poison") if b"f-000013" in body else (200, {}, b"")

    https.rule = rule
    newest = commit(range(40))
    sink = WebhookSink(HttpEnd(https.url, tls), 20.0, single=False)
    running = deliver(sink, form=lambda subject: orjson.dumps(subject.id))
    until(lambda: running.delivery.cursor == newest)
    assert running.count("retried") == 9
    assert [orjson.loads(x)["id"] for x in (tmp_path / "s.dead.jsonl").read_bytes().splitlines()] == ["f-000013"]
    sent = [id_ for _, _, body in https.requests for id_ in orjson.loads(body)]
    assert list(dict.fromkeys(sent)) == [f"f-{n:06d}" for n in range(40)]


def test_otlp_is_accepted_and_a_partial_success_is_taken_apart(https, tls, make, commit, deliver, until, tmp_path):
    def rule(body):
        records = orjson.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        ids = [a["value"]["stringValue"] for r in records for a in r["attributes"] if a["key"] == "vedette.id"]
        if "f-000004" not in ids:
            return 200, {}, b"{}"
        return 200, {}, orjson.dumps({"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "too old"}})

    https.rule = rule
    newest = commit(range(8))
    sink = OtlpSink(HttpEnd(f"{https.url}/v1/logs", tls), 20.0)
    running = deliver(sink, form=otlp_record)
    until(lambda: running.delivery.cursor == newest)
    assert {path for path, _, _ in https.requests} == {"/v1/logs"}
    assert {headers["Content-Type"] for _, headers, _ in https.requests} == {"application/json"}
    letter = orjson.loads((tmp_path / "s.dead.jsonl").read_bytes())
    assert (letter["id"], letter["reason"]) == ("f-000004", "rejected: too old")


def test_a_far_end_that_never_answers_ends_with_the_timeout(items, until):
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = WebhookSink(HttpEnd(f"http://127.0.0.1:{server.getsockname()[1]}/", Tls()), 0.3, single=False)
        with pytest.raises(RetryError, match="timed out"):
            sink.send(items)
