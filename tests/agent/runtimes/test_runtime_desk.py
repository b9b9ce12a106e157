"""The desk never blocks, answers every accepted question once, and says how each runtime stands."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.identify.sources import Answer, Question, Said, Standing
from agent.runtimes.desk import Desk
from agent.runtimes.engine import AnswerError, EngineError, FakeEngine, Trouble
from agent.runtimes.sockets import Socket, parse_socket, present, usual
from agent.runtimes.worker import Pace

ID = "ab" * 32
QUICK = Pace(retry_s=0.001, tries=4, backoff_s=(0.01, 0.05), greet_s=0.05)
UP = (Standing.UP, "cri")


class Bench:
    """A desk over fake engines at sockets nobody needs to listen at."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.engines: dict[str, FakeEngine] = {}
        self.desks: list[Desk] = []
        self._sockets: list[socket.socket] = []

    def place(self, name: str, kind: str = "cri", told: bool = True) -> Socket:
        path = str(self.base / name)
        self._sockets.append(socket.socket(socket.AF_UNIX))
        self._sockets[-1].bind(path)
        self.engines.setdefault(path, FakeEngine(kind=kind))
        return Socket("cri" if kind == "cri" else "docker", path, told=told)

    def desk(self, *places: Socket, look_s: float = 60.0) -> Desk:
        self.desks.append(Desk(places, lambda place: self.engines[place.path], pace=QUICK, look_s=look_s))
        self.desks[-1].start()
        return self.desks[-1]

    def close(self) -> None:
        for desk in self.desks:
            desk.stop()
        for one in self._sockets:
            one.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def _answers(desk: Desk, until: Callable[[Callable[[], object]], None], number: int) -> list[Answer]:
    found: list[Answer] = []

    def enough() -> bool:
        found.extend(desk.take())
        return len(found) >= number

    until(enough)
    return found


def test_a_known_container_is_answered_once_however_often_it_is_asked_for(bench: Bench, until: Any) -> None:
    """Also while the runtime is still being greeted."""
    place = bench.place("c.sock")
    engine = bench.engines[place.path]
    engine.known[ID] = Said(ID, "cri", name="web")
    desk = bench.desk(place)
    assert [desk.ask(Question(ID, "cri-containerd")) for _ in range(3)] == [UP] * 3
    assert _answers(desk, until, 1) == [Answer(ID, engine.known[ID], Standing.UP, "cri")]
    assert engine.asked == [ID]
    until(lambda: desk.states()[0].answers == 1)
    assert [(s.kind, s.state, s.version) for s in desk.states()] == [("cri", "answering", "fake 1.0")]


def test_a_container_not_known_yet_is_asked_for_again_and_then_given_up(bench: Bench, until: Any) -> None:
    """Four tries; one that turns up in between is found."""
    place = bench.place("c.sock")
    desk = bench.desk(place)
    desk.ask(Question(ID, "cri-o"))
    assert _answers(desk, until, 1) == [Answer(ID, None, Standing.UP, "cri")]
    assert bench.engines[place.path].asked == [ID] * 4


@pytest.mark.parametrize(
    ("question", "standing"),
    [
        (Question(ID, "runc"), (Standing.NONE, "")),
        (Question(ID, "containerd"), (Standing.NONE, "")),
        (Question(ID), (Standing.NONE, "")),
        (Question(ID, "", "uid"), UP),
        (Question(ID, "podman"), (Standing.NONE, "podman")),
    ],
)
def test_only_who_can_know_a_container_is_asked(bench: Bench, question: Question, standing: Any) -> None:
    """A bare id of unknown origin is nobody's; one in a pod's cgroup is the CRI's."""
    assert bench.desk(bench.place("c.sock")).ask(question) == standing


def test_containers_of_a_runtime_without_a_socket_are_told_of_in_the_ledger(bench: Bench) -> None:
    """Absent, and where was looked."""
    desk = bench.desk(bench.place("c.sock"))
    desk.ask(Question(ID, "docker"))
    (absent,) = [s for s in desk.states() if s.state == "absent"]
    assert absent.kind == "docker"
    assert "no socket among" in absent.problem


@pytest.mark.parametrize("trouble", [Trouble.SILENT, Trouble.GARBLED, Trouble.UNREACHABLE])
def test_a_runtime_that_fails_answers_down_to_all_and_comes_back_by_itself(
    bench: Bench, until: Any, trouble: Trouble
) -> None:
    """Nobody is left waiting; while it is down questions are refused at once; afterwards they are answered."""
    place = bench.place("c.sock")
    engine = bench.engines[place.path]
    desk = bench.desk(place)
    until(lambda: desk.states()[0].state == "answering")
    engine.fail = EngineError(trouble, "c.sock: broken")
    accepted = [i for i in (f"{n:064x}" for n in range(50)) if desk.ask(Question(i, "cri-o")) == UP]
    assert {a.id for a in _answers(desk, until, len(accepted))} == set(accepted)
    until(lambda: desk.states()[0].state == trouble.value)
    assert desk.states()[0].problem == "c.sock: broken"
    assert desk.ask(Question(ID, "cri-o")) == (Standing.DOWN, "cri")
    engine.fail = None
    engine.known[ID] = Said(ID, "cri")
    until(lambda: desk.ask(Question(ID, "cri-o")) == UP)
    assert [a.said for a in _answers(desk, until, 1)] == [engine.known[ID]]
    assert engine.closed >= 1


def test_an_engine_that_breaks_does_not_end_its_thread(bench: Bench, until: Any) -> None:
    """An error nobody foresaw is "garbled"; one answer too large costs that answer only."""
    place = bench.place("c.sock")
    engine = bench.engines[place.path]
    engine.fail = RuntimeError("bug")
    desk = bench.desk(place)
    until(lambda: desk.states()[0].state == "garbled")
    engine.fail = None
    until(lambda: desk.states()[0].state == "answering")
    engine.fail = AnswerError("too large")
    until(lambda: desk.ask(Question(ID, "cri-o")) == UP)
    assert _answers(desk, until, 1)[0].said is None


def test_of_two_runtimes_the_one_that_knows_has_the_word(bench: Bench, until: Any) -> None:
    """And "unknown" only when both said so."""
    one, two = bench.place("1.sock"), bench.place("2.sock")
    bench.engines[two.path].known[ID] = Said(ID, "cri", name="web")
    desk = bench.desk(one, two)
    desk.ask(Question(ID, "", "uid"))
    assert [a.said and a.said.name for a in _answers(desk, until, 1)] == ["web"]
    desk.ask(Question("cd" * 32, "", "uid"))
    assert _answers(desk, until, 1) == [Answer("cd" * 32, None, Standing.UP, "cri")]


def test_a_socket_that_appears_later_is_found(bench: Bench, until: Any) -> None:
    """Looked for from time to time."""
    path = str(bench.base / "late.sock")
    desk = bench.desk(Socket("cri", path, told=True), look_s=0.01)
    until(lambda: [s.state for s in desk.states()] == ["absent"])
    bench.place("late.sock")
    until(lambda: [s.state for s in desk.states()] == ["answering"])


def test_asking_never_blocks_while_an_engine_hangs(bench: Bench, until: Any) -> None:
    """Ten thousand questions behind one that hangs: taken or refused at once, the queue is bounded."""
    place = bench.place("c.sock")
    hold, entered = threading.Event(), threading.Event()

    class Hanging(FakeEngine):
        def describe(self, container_id: str) -> Said | None:
            entered.set()
            hold.wait(10)
            return None

    bench.engines[place.path] = Hanging()
    desk = bench.desk(place)
    desk.ask(Question(ID, "cri-o"))
    until(entered.is_set)
    standings = [desk.ask(Question(f"{n:064x}", "cri-o"))[0] for n in range(10_000)]
    assert standings.count(Standing.UP) == 4096
    hold.set()


def test_the_usual_places_are_looked_at_below_the_hosts_root_too_and_each_socket_once(tmp_path: Path) -> None:
    """The same socket by two names is one; a told one that is absent is named."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "a.sock"))
        os.link(tmp_path / "a.sock", tmp_path / "b.sock")
        places = [
            Socket("cri", str(tmp_path / name), told=name == "no.sock") for name in ("a.sock", "b.sock", "no.sock")
        ]
        found = present(places)
    assert {p.path for p in usual()} >= {"/run/containerd/containerd.sock", "/host/run/crio/crio.sock"}
    assert sorted((f.socket.path, f.trouble) for f in found if f.trouble is None) == [(str(tmp_path / "a.sock"), None)]
    assert [f.trouble for f in found if f.trouble] == [Trouble.ABSENT]


def test_a_usual_place_that_is_not_roots_is_refused(tmp_path: Path) -> None:
    """Whoever made it could give any container another name; told to, it is trusted."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give a socket away")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "a.sock"))
        os.chown(tmp_path / "a.sock", 1000, 1000)
        (found,) = present([Socket("docker", str(tmp_path / "a.sock"))])
        (told,) = present([Socket("docker", str(tmp_path / "a.sock"), told=True)])
    (tmp_path / "file").touch()
    (file,) = present([Socket("docker", str(tmp_path / "file"))])
    assert (found.trouble, told.trouble, file.trouble) == (Trouble.REFUSED, None, Trouble.REFUSED)


@pytest.mark.parametrize(
    ("text", "kind", "path", "prefix"),
    [
        ("/run/x/containerd.sock", "cri", "/run/x/containerd.sock", ""),
        ("unix:///run/docker.sock", "docker", "/run/docker.sock", ""),
        ("podman=/run/p.sock", "docker", "/run/p.sock", ""),
        ("cri=/host/run/crio/crio.sock", "cri", "/host/run/crio/crio.sock", "/host"),
    ],
)
def test_sockets_can_be_named(text: str, kind: str, path: str, prefix: str) -> None:
    """With or without the kind."""
    assert parse_socket(text) == Socket(kind, path, prefix, told=True)


@pytest.mark.parametrize("text", ["", "run/x.sock", "tcp://h:1", "lxc=/x.sock"])
def test_what_is_no_socket_is_refused_with_what_to_write(text: str) -> None:
    """No TCP: a runtime's API without its socket's permissions is everybody's."""
    with pytest.raises(ValueError, match="write /path"):
        parse_socket(text)


def _silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def _noise(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"\xff" * 70_000)
    connection.recv(1)


@pytest.mark.parametrize("kind", ["cri", "docker"])
@pytest.mark.parametrize("talk", [_silent, _noise])
def test_a_hostile_socket_holds_up_nobody_and_is_named(hostile: Any, until: Any, kind: str, talk: Any) -> None:
    """The real clients behind the desk: every question is answered DOWN within the deadline, then refused at once."""
    desk = Desk([Socket(kind, hostile(talk).path, told=True)], pace=Pace(backoff_s=(5, 5)))
    desk.start()
    try:
        runtime = "docker" if kind == "docker" else "cri-containerd"
        accepted = [i for i in (f"{n:064x}" for n in range(100)) if desk.ask(Question(i, runtime))[0] is Standing.UP]
        assert {a.id for a in _answers(desk, until, len(accepted))} == set(accepted)
        assert desk.states()[0].state in ("silent", "garbled", "unreachable")
        begun = time.monotonic()
        assert all(desk.ask(Question(f"{n:064x}", runtime)) == (Standing.DOWN, kind) for n in range(1000))
        assert time.monotonic() - begun < 1
    finally:
        desk.stop()
