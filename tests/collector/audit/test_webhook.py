"""The webhook answers 200 only for what is committed, and says clearly what it refuses."""

import asyncio
import base64
import contextlib
import datetime
import http.client
import ssl

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from collector.audit import FORMATS, AuditWebhook, WebhookTls
from collector.errors import ConfigError

PATH = "/kubernetes/audit"
FORMS = {PATH: FORMATS["kubernetes-audit"]}


@contextlib.asynccontextmanager
async def _serving(webhook, store):
    task = asyncio.create_task(webhook.run(store))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _call(port, body, method="POST", path=PATH, headers=None, context=None):
    """(status, text) of one request; waits for the server to accept at most 10 s."""
    kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
    more = {} if context is None else {"context": context}
    connection = kind("127.0.0.1", port, timeout=10, **more)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _exchange(webhook, store, *calls):
    """Answers to calls made one after the other."""

    async def run():
        async with _serving(webhook, store):
            return [await asyncio.to_thread(_call, webhook.port, **call) for call in calls]

    return asyncio.run(run())


def _webhook(detector, **options):
    return AuditWebhook("127.0.0.1", 0, FORMS, detector, **options)


def test_events_are_committed_and_then_answered_with_200(detector, store, record):
    body = orjson.dumps({"kind": "EventList", "items": [record("e1"), record("e2")]})
    webhook = _webhook(detector)
    answers = _exchange(webhook, store, {"body": body}, {"body": body})
    assert answers == [(200, "2 events, 4 findings, 0 bad records\n"), (200, "2 events, 0 findings, 0 bad records\n")]
    assert store.audit_ids() == ["e1", "e1", "e2", "e2"]
    assert webhook.counters() == {"bytes": 2 * len(body), "records": 4, "http_200": 2}


def test_a_store_that_refuses_gives_503_and_the_repeat_is_taken(detector, store, record):
    store.refuse = 1
    body = orjson.dumps(record("e1"))
    answers = _exchange(_webhook(detector), store, {"body": body}, {"body": body})
    assert [status for status, _ in answers] == [503, 200]
    assert store.audit_ids() == ["e1", "e1"]


def test_bad_json_gives_400_with_a_reason_and_a_bad_record_costs_only_itself(detector, store, record):
    mixed = orjson.dumps({"items": [{"foo": 1}, record("e1")]})
    webhook = _webhook(detector)
    answers = _exchange(webhook, store, {"body": b"{nope"}, {"body": mixed}, {"body": b"[1]"})
    assert [status for status, _ in answers] == [400, 200, 400]
    assert answers[0][1].startswith("no usable audit event: webhook request 1: not JSON at character")
    assert answers[1][1] == "1 events, 2 findings, 1 bad records\n"
    assert webhook.counters()["bad_record"] == 3


def test_a_body_too_large_gives_413_with_and_without_its_length(detector, store):
    chunked = iter([b"x" * 600, b"x" * 600])
    webhook = _webhook(detector, max_body=1000)
    answers = _exchange(webhook, store, {"body": b"x" * 1001}, {"body": chunked})
    assert [status for status, _ in answers] == [413, 413]


def test_the_token_is_asked_for_and_may_change_in_place(detector, store, record, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    body = orjson.dumps(record())
    webhook = _webhook(detector, token_file=token)
    good, bad = {"Authorization": "Bearer s3cret"}, {"Authorization": "Bearer s3cre"}
    answers = _exchange(webhook, store, {"body": body}, {"body": body, "headers": bad}, {"body": body, "headers": good})
    assert [status for status, _ in answers] == [401, 401, 200]
    token.write_text("")
    empty = {"body": body, "headers": {"Authorization": "Bearer "}}
    again = _webhook(detector, token_file=token)
    assert _exchange(again, store, empty, {"body": body, "headers": good})[0][0] == 401


def test_too_many_requests_waiting_for_the_store_give_503(detector, record):
    async def run():
        release = asyncio.Event()
        waiting = 0

        async def slow(findings):
            nonlocal waiting
            waiting += 1
            await release.wait()

        webhook = _webhook(detector, max_waiting=2)
        async with _serving(webhook, slow):
            calls = [
                asyncio.create_task(asyncio.to_thread(_call, webhook.port, orjson.dumps(record(str(n)))))
                for n in (1, 2)
            ]
            async with asyncio.timeout(10):
                while waiting < 2:
                    await asyncio.sleep(0.005)
            behind = await asyncio.to_thread(_call, webhook.port, orjson.dumps(record("3")))
            health = await asyncio.to_thread(_call, webhook.port, None, "GET", "/healthz")
            release.set()
            return behind, health, [(await call)[0] for call in calls]

    behind, health, served = asyncio.run(run())
    assert (behind[0], health[0], served) == (503, 503, [200, 200])


def test_a_store_that_hangs_gives_503_in_time(detector, record):
    async def hang(findings):
        await asyncio.Event().wait()

    webhook = _webhook(detector, commit_timeout_s=0.05)
    assert _exchange(webhook, hang, {"body": orjson.dumps(record())})[0][0] == 503


def test_health_and_other_methods(detector, store):
    get = {"body": None, "method": "GET"}
    answers = _exchange(_webhook(detector), store, get | {"path": "/healthz"}, get, get | {"path": "/"})
    assert [status for status, _ in answers] == [200, 405, 404]


def test_without_tls_only_loopback_is_allowed(detector):
    with pytest.raises(ConfigError, match="without TLS"):
        AuditWebhook("0.0.0.0", 0, FORMS, detector)


def test_a_port_in_use_says_so(detector):
    first = _webhook(detector)
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{first.port}"):
        AuditWebhook("127.0.0.1", first.port, FORMS, detector)
    first.close()


def _certificate(tmp_path, name, issuer=None):
    """A certificate and key in files, self-signed or by another: (path, key path, (cert, key))."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName(name)]), critical=False)
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    paths = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return *paths, (certificate, key)


def test_over_tls_a_client_ca_admits_only_its_clients(detector, store, record, tmp_path):
    ca, _, authority = _certificate(tmp_path, "ca")
    server, server_key, _ = _certificate(tmp_path, "server", authority)
    client, client_key, _ = _certificate(tmp_path, "client", authority)
    webhook = _webhook(detector, tls=WebhookTls(server, server_key, ca))
    known, unknown = (ssl.create_default_context(cafile=str(ca)) for _ in range(2))
    known.check_hostname = unknown.check_hostname = False
    known.load_cert_chain(client, client_key)
    body = orjson.dumps(record())

    async def run():
        async with _serving(webhook, store):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                await asyncio.to_thread(_call, webhook.port, body, context=unknown)
            return await asyncio.to_thread(_call, webhook.port, body, context=known)

    assert asyncio.run(run())[0] == 200
    assert len(store.findings) == 2


def test_pushed_messages_of_pub_sub_are_taken_one_for_each_request(store, record, detector):
    message = {"data": base64.b64encode(orjson.dumps(record("e1"))).decode(), "messageId": "7", "attributes": {}}
    webhook = _webhook(detector)
    (answer,) = _exchange(webhook, store, {"body": orjson.dumps({"message": message, "subscription": "s"})})
    assert answer == (200, "1 events, 2 findings, 0 bad records\n")
