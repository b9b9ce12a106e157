"""The CRI over gRPC: a well-behaved server of our own, and sockets that answer anything else."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from vedette.cri.v1 import runtime_pb2 as cri
from vedette.cri.v1 import runtime_pb2_grpc

from agent.runtimes.cri import CriEngine
from agent.runtimes.engine import AnswerError, EngineError, Trouble

ID, SANDBOX = "ab" * 32, "cd" * 32
UID = "0d9a3c1e-1111-4222-8333-444455556666"


class Service(runtime_pb2_grpc.RuntimeServiceServicer):  # type: ignore[misc]
    """CRI-O, as far as it is asked; `bend` may change what it answers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bend: Callable[[Any], Any] = lambda answer: answer

    def Version(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("version")
        return self.bend(cri.VersionResponse(runtime_name="cri-o", runtime_version="1.30", runtime_api_version="v1"))

    def ListContainers(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("list")
        found = cri.Container(
            id=ID,
            pod_sandbox_id=SANDBOX,
            metadata=cri.ContainerMetadata(name="web"),
            image=cri.ImageSpec(image="sha256:" + "1" * 64),
            image_ref="registry.local/shop@sha256:" + "2" * 64,
            created_at=1_700_000_000_000_000_000,
        )
        listed = [found] if ID.startswith(request.filter.id) else []
        return self.bend(cri.ListContainersResponse(containers=listed))

    def ContainerStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("status")
        status = cri.ContainerStatus(id=ID, image=cri.ImageSpec(image="registry.local/shop:1"))
        return self.bend(cri.ContainerStatusResponse(status=status))

    def PodSandboxStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls.append("pod")
        if request.pod_sandbox_id != SANDBOX:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such pod")
        status = cri.PodSandboxStatus(
            id=SANDBOX,
            metadata=cri.PodSandboxMetadata(name="shop-7d4b9c5f68-x2kzq", uid=UID, namespace="prod"),
            labels={"pod-template-hash": "7d4b9c5f68"},
        )
        return self.bend(cri.PodSandboxStatusResponse(status=status))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Service, str]]:
    """A server and its socket."""
    made = Service()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    runtime_pb2_grpc.add_RuntimeServiceServicer_to_server(made, server)
    path = tmp_path / "crio.sock"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield made, str(path)
    server.stop(None).wait()


@pytest.fixture
def engine() -> Iterator[Callable[..., CriEngine]]:
    """Opens engines and closes them."""
    made: list[CriEngine] = []

    def open_at(path: str, **options: Any) -> CriEngine:
        made.append(CriEngine(path, timeout_s=0.5, **options))
        return made[-1]

    yield open_at
    for one in made:
        one.close()


def test_a_container_with_the_labels_of_its_pod(service: tuple[Service, str], engine: Any) -> None:
    """The controller's labels are on the pod; a bare image id gives way to the name; a pod is looked up once."""
    server, path = service
    asked = engine(path)
    assert asked.greet().version == "cri-o 1.30"
    said = asked.describe(ID)
    assert (said.runtime, said.name, said.image, said.pod_name) == (
        "cri-o",
        "web",
        "registry.local/shop:1",
        "shop-7d4b9c5f68-x2kzq",
    )
    assert (said.labels, said.namespace, said.pod_uid) == ({"pod-template-hash": "7d4b9c5f68"}, "prod", UID)
    assert asked.describe(ID) == said
    assert server.calls == ["version", "list", "pod", "status", "list", "status"]


def test_a_sandbox_is_a_sandbox_and_a_prefix_is_nobody(service: tuple[Service, str], engine: Any) -> None:
    """The filter takes prefixes; identity does not."""
    asked = engine(service[1])
    assert asked.describe(SANDBOX).sandbox is True
    assert asked.describe(ID[:20]) is None


def test_a_huge_answer_costs_the_answer_only(service: tuple[Service, str], engine: Any) -> None:
    """Over the limit gRPC stops reading; the next question is answered."""
    server, path = service
    asked = engine(path, max_bytes=64 << 10)
    server.bend = lambda answer: cri.ListContainersResponse(
        containers=[cri.Container(id=ID, labels={str(n): "x" * 1000 for n in range(200)})]
    )
    with pytest.raises(AnswerError):
        asked.describe(ID)
    server.bend = lambda answer: answer
    assert asked.describe(ID).name == "web"


def test_a_runtime_that_stops_answering_is_silent_and_one_that_breaks_is_unknown(
    service: tuple[Service, str], engine: Any
) -> None:
    """A hanging call ends at its deadline; an error inside the runtime is no answer about this container."""
    server, path = service
    asked = engine(path)
    hold = threading.Event()
    server.bend = lambda answer: hold.wait(5) and answer
    begun = time.monotonic()
    with pytest.raises(EngineError) as silent:
        asked.describe(ID)
    hold.set()
    assert (silent.value.trouble, time.monotonic() - begun < 2) == (Trouble.SILENT, True)


def _preface(connection: socket.socket, over: threading.Event) -> None:
    """HTTP/2 settings, then nothing ever again."""
    connection.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    over.wait(10)


@pytest.mark.parametrize(
    "talk",
    [
        lambda c, over: over.wait(10),
        _preface,
        lambda c, over: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda c, over: c.sendall(b"\xff" * 70_000),
        lambda c, over: c.recv(1),
    ],
)
def test_a_socket_that_is_no_cri_is_told_so_within_the_deadline(hostile: Any, engine: Any, talk: Any) -> None:
    """Silence, half a protocol, another protocol, noise, hanging up."""
    asked = engine(hostile(talk).path)
    begun = time.monotonic()
    with pytest.raises(EngineError) as failed:
        asked.greet()
    assert time.monotonic() - begun < 3
    assert failed.value.trouble in (Trouble.SILENT, Trouble.UNREACHABLE, Trouble.GARBLED)


def test_no_socket_is_unreachable(tmp_path: Path, engine: Any) -> None:
    """Nobody listens."""
    with pytest.raises(EngineError) as failed:
        engine(str(tmp_path / "no.sock")).greet()
    assert failed.value.trouble is Trouble.UNREACHABLE
