"""Real programs in real containers, recorded and replayed without a rule: they converge, intrusions stand out."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from agent.learn.config import LearnConfig
from agent.record import Bounds, Recorder, create
from agent.source.core_re import CoReSource
from bench.real import tables
from bench.real.command import intrude
from bench.real.intrusions import INTRUSIONS
from bench.real.judge import Course, play
from bench.real.packages import absent
from bench.real.redis import REDIS
from bench.real.web import plain_web
from bench.real.world import Journal, Pace, RealWorld, read_journal, started
from detection.baseline.profile import ProfileConfig
from detection.finding import Severity

pytestmark = [pytest.mark.bpf, pytest.mark.container]

_LEARNING_S = 26
_SLOT_S = 0.1
_NAMES = ("web shell: the service runs a shell", "redis writes a cron file", "a program that was never a file")
_CHOSEN = [i for i in INTRUSIONS if i.name in _NAMES]
# A slot of a tenth of a second stands for a minute: what is promised is as much smaller.
_CONFIG = LearnConfig(slot_s=_SLOT_S, profile=ProfileConfig(target=0.05, empty_factor=1.0))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Recording of two programs with three intrusions at its end; the journal."""
    workloads = (plain_web(), REDIS)
    if lacking := absent([p for w in workloads for p in w.packages]):
        pytest.skip(f"needs the packages {', '.join(lacking)}")
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2")
    home = tmp_path_factory.mktemp("real")
    journal = Journal(home / "journal")
    tag = f"vt{os.getpid() % 10000}"
    world = RealWorld(home, workloads, journal, Pace(tag, tag, hurry=12, restart_s=600))
    stop, lost = threading.Event(), []
    with create(home / "a.vrec") as file:
        recorder = Recorder(CoReSource(), file, node="node-1", boot_id="boot")
        bounds = Bounds(seconds=120, slot_s=_SLOT_S)
        thread = threading.Thread(target=lambda: lost.append(recorder.run(stop, bounds).lost))
        thread.start()
        try:
            with world.up():
                stop.wait(_LEARNING_S)
                intrude(world, journal, _CHOSEN, between_s=0.5)
        finally:
            stop.set()
            thread.join(60)
    assert lost == [0]
    return home / "a.vrec", home / "journal"


@pytest.fixture(scope="module")
def course(recorded: tuple[Path, Path]) -> Course:
    """The recording played once."""
    return play(recorded[0], _CONFIG, started(read_journal(recorded[1])))[0]


def test_profiles_of_real_programs_become_stable(course: Course) -> None:
    """What the intrusions below show in is known well enough before they begin."""
    states = {key: curve[-1].state for key, curve in course.curves.items()}
    assert {states[key] for key in (("web", "exec"), ("redis", "write"), ("redis", "exec"))} == {"stable"}


def test_ordinary_load_stays_quiet_and_intrusions_do_not(course: Course, recorded: tuple[Path, Path]) -> None:
    done = tables.deeds(read_journal(recorded[1]))
    wrong = [r for r in tables.benign(course, done) if r.anomaly.severity >= Severity.MEDIUM]
    assert [tables.said(r) for r in wrong] == []
    assert {v.deed.name for v in tables.verdicts(course, done) if v.named} == set(_NAMES)
