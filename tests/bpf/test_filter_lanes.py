"""Load: what is shed first, what never, and that every record held back or lost is counted."""

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.decode.decode import Decoder
from agent.events import Event, EventType, Exec, Exit, Fork, Open, Throttle
from agent.source.core_re import CoReSource
from agent.source.port import BehaviourKey, Phase
from agent.source.throttle import UNLIMITED, Limit

pytestmark = pytest.mark.bpf

FLOOD, EXECS, DEADLINE_S = 20_000, 2_000, 20.0


@contextmanager
def started(**options: object) -> Iterator[CoReSource]:
    source = CoReSource(**options)
    source.start()
    try:
        yield source
    finally:
        source.stop()


def drain(source: CoReSource, decoder: Decoder, timeout_s: float = 0) -> list[Event]:
    events: list[Event] = []
    while batch := source.read(timeout_s):
        events += decoder.decode(batch)
    return events


def wait_for(condition: Callable[[], object]) -> object:
    """The condition's first true value."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if value := condition():
            return value
    pytest.fail("it did not happen")


@pytest.fixture
def group(cgroup_root) -> Iterator[Path]:
    """A cgroup of its own."""
    path = cgroup_root / f"vt-flood-{os.getpid()}"
    path.mkdir()
    yield path
    wait_for(lambda: "populated 0" in (path / "cgroup.events").read_text())
    path.rmdir()


@pytest.fixture
def flood(load, group) -> Callable[[Path, int], None]:
    """Open so many new files in the cgroup."""

    def open_new(directory: Path, files: int) -> None:
        directory.mkdir(exist_ok=True)
        script = 'echo $$ > "$1/cgroup.procs"; exec "$2" opens "$3" "$4" "$3"'
        subprocess.run(["sh", "-c", script, "sh", group, load, str(files), directory], check=True)

    return open_new


def test_a_flood_of_opens_costs_no_exec(load, tmp_path):
    """A tiny ring, two floods of new files, 2,000 execs in between: every fork, exec and exit arrives, in order."""
    events: list[Event] = []
    with started(ring_bytes=32 << 10, limits=UNLIMITED, filter_entries=1 << 17) as source:
        directories = [tmp_path / name for name in "ab"]
        for directory in directories:
            directory.mkdir()
        running = [subprocess.Popen([load, "opens", str(FLOOD), d, str(FLOOD)]) for d in directories]
        running.append(subprocess.Popen([load, "execs", str(EXECS), "/bin/true"]))
        decoder = Decoder()
        while any(process.poll() is None for process in running):
            events += drain(source, decoder, 0.05)
        assert [process.returncode for process in running] == [0, 0, 0]
        events += drain(source, decoder)
        counters = source.counters()
    for kind in ("fork", "exec", "exit"):
        assert {cause: n for cause, n in counters[kind].items() if cause.startswith("lost") and n} == {}
    opens, mine = counters["open"], [e for e in events if isinstance(e, Open) and e.path.startswith(f"{tmp_path}/")]
    missing = 2 * FLOOD - len(mine)
    assert 0 < missing <= opens["lost_ring"]
    assert sum(opens[cause] for cause in ("emitted", "filtered", "lost_ring", "throttled")) >= 2 * FLOOD
    assert opens["emitted"] == sum(isinstance(e, Open) for e in events)
    assert lives(events, running[-1].pid) == {"fork exec exit": EXECS}


def lives(events: list[Event], parent: int) -> dict[str, int]:
    """How many children of a process had which sequence of events."""
    told: dict[int, list[str]] = defaultdict(list)
    for event in events:
        if isinstance(event, Fork | Exec | Exit) and event.head.task.ppid == parent:
            told[event.head.task.start_ns].append(event.head.type.name.lower())
    sequences = [" ".join(sequence) for sequence in told.values()]
    return {sequence: sequences.count(sequence) for sequence in sequences}


def test_two_rings_are_read_as_one(load, tmp_path):
    """A program's exec comes before its opens and these before its exit, though they take different rings."""
    events: list[Event] = []
    with started() as source:
        decoder = Decoder()
        running = subprocess.Popen(
            ["sh", "-c", 'i=0; while [ $i -lt 300 ]; do "$0" file 65 "$1/f$i"; i=$((i+1)); done', load, tmp_path]
        )
        while running.poll() is None:
            events += drain(source, decoder)
        events += drain(source, decoder)
    order: dict[int, list[str]] = defaultdict(list)
    for event in events:
        if isinstance(event, Exec | Exit) or (isinstance(event, Open) and event.path.startswith(f"{tmp_path}/")):
            order[event.head.task.start_ns].append(event.head.type.name)
    mine = [kinds for kinds in order.values() if "OPEN" in kinds]
    assert mine == [["EXEC", "OPEN", "EXIT"]] * 300


def test_a_cgroup_over_its_budget_is_held_back_and_counted(flood, group, tmp_path):
    """One START, then what was emitted and what was held back are all; user space says STOP where nothing follows."""
    with started(limits={EventType.OPEN: Limit(1000, 500)}) as source:
        flood(tmp_path, FLOOD)
        events = drain(source, decoder := Decoder())
        inode = group.stat().st_ino
        mine = [e for e in events if isinstance(e, Open) and e.head.task.cgroup_id == inode]
        told = [e for e in events if isinstance(e, Throttle) and e.cgroup_id == inode]
        assert [(e.type, e.stop, e.held_back) for e in told] == [(EventType.OPEN, False, 0)]
        assert any(isinstance(e, Exec) and e.head.task.cgroup_id == inode for e in events)
        [state] = [s for s in source.throttled() if s.cgroup_id == inode]
        done = FLOOD + sum(not e.path.startswith(f"{tmp_path}/") for e in mine)  # the shell's, too
        assert 500 <= len(mine) < FLOOD // 2
        assert state.held_back + len(mine) == done
        assert source.counters()["open"]["throttled"] >= state.held_back
        released = wait_for(lambda: [s for s in source.release() if s.cgroup_id == inode])
        assert released == [state]
        assert [s for s in source.throttled() if s.cgroup_id == inode] == []
        assert [e for e in drain(source, decoder) if isinstance(e, Throttle) and e.cgroup_id == inode] == []


def test_the_next_record_after_a_flood_says_that_it_ended(flood, group, tmp_path):
    """STOP from the kernel, with the count; then new behaviours are reported again."""
    with started(limits={EventType.OPEN: Limit(1000, 500)}) as source:
        decoder, inode, rounds = Decoder(), group.stat().st_ino, iter(range(10_000))
        flood(tmp_path, 5000)
        [state] = [s for s in source.throttled() if s.cgroup_id == inode]

        def stopped() -> list[Throttle]:
            flood(tmp_path / f"r{next(rounds)}", 1)
            events = drain(source, decoder)
            told = [e for e in events if isinstance(e, Throttle) and e.cgroup_id == inode and e.stop]
            return [e for e in told if e.held_back >= state.held_back]  # not of an earlier turn in the same flood

        assert wait_for(stopped)
        flood(tmp_path / "after", 1)
        assert [e.path for e in drain(source, decoder) if isinstance(e, Open) and "/after/" in e.path] == [
            str(tmp_path / "after/f0")
        ]


def test_cold_behaviours_make_room_and_none_is_counted_twice_or_not_at_all(load, tmp_path):
    """A filter of 1,024 and 4,096 new files: what is used stays, what was seen once goes, the sums stay exact."""
    hot, cold = tmp_path / "hot", tmp_path / "cold"
    with started(filter_entries=1024) as source:
        decoder = Decoder()
        for directory in (hot, cold):
            directory.mkdir()
        for directory, opens, files in ((hot, 200, 64), (cold, 500, 500), (hot, 200, 64)):
            subprocess.run([load, "opens", str(opens), directory, str(files)], check=True)
            source.sweep()
        subprocess.run([load, "opens", "4096", cold, "4096"], check=True)
        drain(source, decoder)
        assert source.counters()["open"]["filter_full"] > 0
        source.sweep(crowded=True)
        let_go = source.counters()["open"]["evicted"]
        assert let_go >= 128
        subprocess.run([load, "opens", "200", hot, "64"], check=True)
        again = [e for e in drain(source, decoder) if isinstance(e, Open) and e.path.startswith(f"{hot}/")]
        assert again == []
        before = seen(source)
        counted = sum(n for key, n in source.behaviours() if key.type == EventType.OPEN) + source.folded(EventType.OPEN)
        assert before <= counted <= seen(source)


def seen(source: CoReSource) -> int:
    """Opens that are in the filter's counts, or were."""
    opens = source.counters()["open"]
    return opens["emitted"] + opens["filtered"] - opens["filter_full"]


def test_a_whole_cycle_of_phases_reports_everything_once_more(load, tmp_path):
    """Each behaviour is due in one phase of the cycle, and again known afterwards."""
    with started() as source:
        decoder = Decoder()

        def opened() -> int:
            subprocess.run([load, "opens", "128", tmp_path, "64"], check=True)
            return sum(isinstance(e, Open) and e.path.startswith(f"{tmp_path}/f") for e in drain(source, decoder))

        assert opened() == 64
        parts = []
        for index in range(4):
            source.sweep(Phase(index, 4))
            parts.append(opened())
        assert sum(parts) == 64
        assert all(parts)
        assert opened() == 0


def test_a_sweep_hands_on_only_what_changed(load, tmp_path):
    """Behaviours that did not happen again are read in C and cost Python nothing."""
    with started() as source:
        subprocess.run([load, "opens", "64", tmp_path, "64"], check=True)
        [event] = [e for e in drain(source, Decoder()) if isinstance(e, Open) and e.path == str(tmp_path / "f0")]
        first = [n for key, n in source.sweep() if key.exe == event.exe and key.type == EventType.OPEN]
        assert first == [1] * 64
        subprocess.run([load, "opens", "5", tmp_path, "5"], check=True)
        assert [n for key, n in source.sweep() if key.exe == event.exe and key.type == EventType.OPEN] == [2] * 5


def test_a_program_is_reported_again_in_one_class_only(load, tmp_path):
    """Letting go of what a program does by (cgroup, program, type), whatever the objects."""
    with started() as source:
        decoder = Decoder()

        def opened() -> list[Open]:
            subprocess.run([load, "opens", "16", tmp_path, "8"], check=True)
            return [e for e in drain(source, decoder) if isinstance(e, Open) and e.path.startswith(f"{tmp_path}/f")]

        first = opened()[0]
        other = BehaviourKey(first.head.task.cgroup_id, EventType.CONNECT, first.exe, b"")
        source.sweep(programs=[other])
        assert opened() == []
        source.sweep(programs=[other._replace(type=EventType.OPEN)])
        assert len(opened()) == 8
