"""Secrets go, the rest of the command line stays."""

import random

import pytest

from detection.redact import MARK, command_line, redact_argv, redact_text

SECRET = [
    ("mysql", "-uroot", "-pS3CRET"),
    ("sshpass", "-p", "S3CRET", "ssh", "host"),
    ("redis-cli", "-a", "S3CRET"),
    ("app", "--password", "S3CRET with blanks"),
    ("app", "--password=S3CRET with blanks"),
    ("app", "--db-password=S3CRET"),
    ("app", "-token", "S3CRET"),
    ("env", "AWS_SECRET_ACCESS_KEY=S3CRET", "aws"),
    ("env", "MYSQL_PWD=S3CRET"),
    ("curl", "-u", "bob:S3CRET", "http://h/"),
    ("curl", "-H", "Authorization: Basic S3CRET"),
    ("curl", "-H", "X-Vault-Token: S3CRET"),
    ("curl", "-H", "Cookie: session=S3CRET; x=S3CRET"),
    ("git", "clone", "https://bob:S3CRET@example.com/x.git"),
    ("psql", "postgresql://app:S3CRET@db:5432/shop"),
    ("curl", "http://h/?a=1&access_token=S3CRET&b=2"),
    ("curl", "http://h/o?X-Amz-Signature=S3CRET"),
    ("curl", "-d", '{"user": "bob", "password": "S3CRET"}'),
    ("sh", "-c", "curl --token S3CRET http://h/"),
    ("sh", "-c", "export DB_PASSWORD='S3CRET'; run"),
    ("sh", "-c", 'wget --header "Authorization: Bearer S3CRET" http://h/'),
    ("echo", "-----BEGIN RSA PRIVATE KEY-----\nS3CRET\n-----END RSA PRIVATE KEY-----"),
    ("echo", "-----BEGIN PRIVATE KEY----- S3CRET"),
]


@pytest.mark.parametrize("argv", SECRET, ids=[" ".join(a)[:40] for a in SECRET])
def test_a_secret_is_replaced(argv: tuple[str, ...]) -> None:
    shown = command_line(argv)
    assert "S3CRET" not in shown
    assert MARK in shown


@pytest.mark.parametrize(
    "token",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "xoxb-1234567890-abc",
    ],
)
def test_well_known_tokens_go_wherever_they_stand(token: str) -> None:
    assert redact_text(f"x {token} y") == f"x {MARK} y"


PLAIN = [
    ("cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"),
    ("kubectl", "get", "secrets", "-n", "shop"),
    ("app", "--token-file=/run/token"),
    ("app", "--password-file", "/run/secrets/db"),
    ("wget", "-q", "-O", "/tmp/x", "http://10.0.0.7:8080/cgi-bin/stock?item=1"),
    ("nc", "203.0.113.5", "4444", "-e", "/bin/sh"),
    ("ssh", "-p", "22", "bob@host"),
    ("mysql", "-p", "shop"),
    ("curl", "-u", "bob", "https://h:8443/a@b"),
    ("find", "/", "-name", "*password*"),
]


@pytest.mark.parametrize("argv", PLAIN, ids=[" ".join(a)[:40] for a in PLAIN])
def test_evidence_stays(argv: tuple[str, ...]) -> None:
    assert command_line(argv) == " ".join(argv)


def test_hostile_text_is_redacted_in_linear_time_and_without_error() -> None:
    source = random.Random(5)
    pieces = [
        "--password",
        "=",
        ":",
        "//",
        "@",
        "'",
        '"',
        " ",
        "a" * 50,
        "eyJ",
        ".",
        "-----BEGIN",
        "token",
        "\n",
        "\x00",
        "é",
    ]
    for _ in range(300):
        redact_text("".join(source.choices(pieces, k=200)))
    for piece in (
        "a://",
        "--a-",
        "-password",
        "token-",
        "eyJaaaaaaaa.",
        "-----BEGIN ",
        "authorization:",
        "x" * 10 + ":",
    ):
        redact_text(piece * 3000)


@pytest.mark.parametrize(
    "secret_text",
    [
        "curl -H 'Authorization: Bearer hunter2'",
        "PGPASSWORD=hunter2 psql",
        "vault login --token hunter2",
        "mysql://root:hunter2@db/x",
        '{"api_key": "hunter2"}',
        "echo eyJhbGciOiJI.hunter2hunter2.sig",
    ],
)
def test_secrets_in_a_text_are_hidden(secret_text):
    assert "hunter2" not in redact_text(secret_text)
    assert MARK in redact_text(secret_text)


def test_the_argument_after_a_password_flag_is_hidden():
    assert redact_argv(["mysql", "--password", "hunter2", "-h", "db"]) == (
        "mysql",
        "--password",
        MARK,
        "-h",
        "db",
    )
