"""Docker's and Podman's API over a unix socket: what a container is; and sockets that answer anything else."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.runtimes.docker import DockerEngine, unix_ns
from agent.runtimes.engine import AnswerError, EngineError, Greeting, Trouble

ID = "ab" * 32
IMAGE = "sha256:" + "1" * 64
DIGEST = "sha256:" + "2" * 64
CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Created": "2026-01-02T03:04:05.5Z",
    "Name": "/shop-web-1",
    "Image": IMAGE,
    "State": {"Pid": 4242},
    "Config": {
        "Image": "nginx:1",
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
    },
    "GraphDriver": {
        "Data": {"UpperDir": "/var/lib/docker/overlay2/x/diff", "MergedDir": "/var/lib/docker/overlay2/x/merged"}
    },
}
ANSWERS: dict[str, Any] = {
    "/version": {"ApiVersion": "1.41", "Version": "20.10"},
    f"/containers/{ID}/json": CONTAINER,
    f"/images/{IMAGE.replace(':', '%3A')}/json": {"RepoDigests": [f"z/nginx@{DIGEST}", f"nginx@{DIGEST}"]},
}


def _reply(status: int, body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def _answering(answers: dict[str, Any], headers: str = "") -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        target = connection.recv(65536).split(b" ")[1].decode()
        found = answers.get(target)
        connection.sendall(_reply(404, b"{}") if found is None else _reply(200, json.dumps(found).encode(), headers))

    return talk


def test_a_container_with_its_images_digest(hostile: Any) -> None:
    """Every field the identity needs; the image is looked up once for all its containers."""
    server = hostile(_answering(ANSWERS))
    engine = DockerEngine(server.path)
    assert engine.greet() == Greeting("docker", "20.10")
    said = engine.describe(ID)
    assert said is not None
    assert (said.runtime, said.name, said.image, said.image_digest) == ("docker", "shop-web-1", "nginx:1", DIGEST)
    assert (said.init_pid, said.created_ns) == (4242, 1_767_323_045_500_000_000)
    assert (said.upper_dir, said.rootfs) == ("/var/lib/docker/overlay2/x/diff", "/var/lib/docker/overlay2/x/merged")
    before = server.connections
    assert engine.describe(ID) == said
    assert server.connections == before + 1
    assert engine.describe("cd" * 32) is None
    assert engine.describe("../x") is None


def test_podman_says_so_itself(hostile: Any) -> None:
    """By the header its service sends; an image without registry has its own id for a digest."""
    answers = {**ANSWERS, f"/containers/{ID}/json": {**CONTAINER, "Image": "3" * 64}}
    engine = DockerEngine(hostile(_answering(answers, "Libpod-API-Version: 4.3.1\r\n")).path)
    assert engine.greet().kind == "podman"
    said = engine.describe(ID)
    assert said is not None
    assert (said.runtime, said.image_digest) == ("podman", "sha256:" + "3" * 64)


def _never(connection: socket.socket, over: threading.Event) -> None:
    over.wait(10)


def _drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not over.wait(0.02):
        connection.sendall(b"x")


def _drip_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not over.wait(0.02):
        connection.sendall(b"{")


def _hang_up(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(10)


@pytest.mark.parametrize(
    ("talk", "trouble"),
    [
        (_never, Trouble.SILENT),
        (_drip, Trouble.SILENT),
        (_drip_body, Trouble.SILENT),
        (_hang_up, Trouble.UNREACHABLE),
        (lambda c, _: c.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 9), Trouble.GARBLED),
        (lambda c, _: (c.recv(9999), c.sendall(_reply(200, b"[]"))), Trouble.GARBLED),
        (lambda c, _: (c.recv(9999), c.sendall(_reply(200, b"{"))), Trouble.GARBLED),
        (lambda c, _: (c.recv(9999), c.sendall(_reply(500, b"{}"))), Trouble.GARBLED),
        (lambda c, _: (c.recv(9999), c.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000)), Trouble.GARBLED),
    ],
)
def test_a_socket_that_misbehaves_is_named_for_what_it_does_in_bounded_time(
    hostile: Any, talk: Any, trouble: Trouble
) -> None:
    """Silent, dripping a byte at a time, hanging up, or talking something else."""
    engine = DockerEngine(hostile(talk).path, timeout_s=0.3)
    begun = time.monotonic()
    with pytest.raises(EngineError) as failed:
        engine.greet()
    assert time.monotonic() - begun < 2
    assert failed.value.trouble in ((trouble, Trouble.UNREACHABLE) if trouble is Trouble.GARBLED else (trouble,))


def test_a_huge_answer_costs_the_answer_not_the_runtime(hostile: Any) -> None:
    """At most the limit is read."""
    engine = DockerEngine(
        hostile(lambda c, _: (c.recv(9999), c.sendall(_reply(200, b" " * 3_000_000)))).path, max_bytes=1 << 20
    )
    with pytest.raises(AnswerError):
        engine.describe(ID)


def test_no_socket_and_nobody_listening(tmp_path: Any) -> None:
    """Two different words for the ledger."""
    with pytest.raises(EngineError) as absent:
        DockerEngine(str(tmp_path / "no.sock")).greet()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "dead.sock"))
    dead.close()
    with pytest.raises(EngineError) as unreachable:
        DockerEngine(str(tmp_path / "dead.sock")).greet()
    assert (absent.value.trouble, unreachable.value.trouble) == (Trouble.ABSENT, Trouble.UNREACHABLE)


def _mangled(dice: random.Random, value: Any) -> Any:
    """A JSON value with something in it replaced by something of another type."""
    odd = [None, 7, -1, "x" * 5000, "\x1b[0m", [], {}, [[]], {"": ""}, True, 1e308]
    if dice.random() < 0.25:
        return dice.choice(odd)
    if isinstance(value, dict):
        return {k: _mangled(dice, v) for k, v in value.items()}
    return value


def test_answers_of_any_shape_give_a_container_or_an_error_of_ours(hostile: Any) -> None:
    """Three hundred mangled answers."""
    dice = random.Random(7)
    answers = dict(ANSWERS)
    engine = DockerEngine(hostile(_answering(answers)).path)
    for _ in range(300):
        answers[f"/containers/{ID}/json"] = _mangled(dice, CONTAINER)
        try:
            said = engine.describe(ID)
        except EngineError:
            continue
        assert said is None or said.id == ID


@pytest.mark.parametrize("text", ["", "now", "0001-01-01T00:00:00+23:59", "2026-13-01T00:00:00Z", "9" * 40])
def test_a_time_that_is_none_is_zero(text: str) -> None:
    """And raises nothing."""
    assert unix_ns(text) == 0
