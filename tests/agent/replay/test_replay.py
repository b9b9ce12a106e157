"""A replay says what the live run said, on a machine that knows nothing of the recorded one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import rules
from agent.core import Core
from agent.decode.decode import Decoder
from agent.detect.detector import Detector
from agent.errors import AgentError
from agent.facts import RecordedFiles, TappedFiles
from agent.identify.files import TooLargeError
from agent.identify.identify import Identifier
from agent.identify.paths import Limits, Paths
from agent.learn.learner import Learner
from agent.ledger import Ledger
from agent.record import Bounds, create
from agent.recording import Fact, Kind, RecordingError, RecordingReader, State, Verb
from agent.replay import RecordedSource, Replay
from agent.source.fake import FakeSource
from detection.finding import Finding
from detection.rules import RuleSet, load_compiled


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def finding(self, finding: Finding) -> None:
        self.findings.append(finding)

    def ledger(self, entry: Ledger) -> None: ...

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None: ...


def _shipped() -> RuleSet:
    return load_compiled(rules.runtime_rules())


def _live(host: RecordedFiles, batches: list[Any]) -> list[Finding]:
    """What an agent on the recorded host says."""
    sink = Kept()
    identifier = Identifier("boot", Paths(files=host), Limits(sweep=0))
    core = Core(
        source=FakeSource(),
        decoder=Decoder(),
        identifier=identifier,
        learner=Learner(),
        detector=Detector(_shipped(), "node-1"),
        sink=sink,
    )
    identifier.seed()
    for batch in batches:
        core.handle(batch)
    return sink.findings


def test_a_replay_gives_the_findings_of_the_live_run(recording: Path, scene: Any) -> None:
    live = _live(scene.host(), scene.intrusion())
    assert {f.rule_id for f in live} == {"download-and-run", "dropped-binary-run"}
    replayed = list(Replay(recording, _shipped()).findings())
    assert [f.as_dict() for f in replayed] == [f.as_dict() for f in live]
    assert any(f.fields.get("k8s.pod") == "web-7" for f in replayed)


def test_a_summary_says_what_was_played(recording: Path) -> None:
    replay = Replay(recording, _shipped())
    found = list(replay.findings())
    summary = replay.summary
    assert (summary.about.node, summary.about.boot_id) == ("node-1", "boot")
    assert (summary.batches, summary.records) == (3, 8)
    assert summary.events == {"fork": 2, "exec": 4, "exit": 2}
    assert summary.findings.total() == len(found)
    assert summary.counters == {"exec": {"emitted": 4, "lost_ring": 2}}
    assert summary.end == "it was stopped"
    assert replay.problem == ""


def test_a_recording_without_its_end_says_so(recording: Path) -> None:
    whole = recording.read_bytes()
    recording.write_bytes(whole[:-4])
    replay = Replay(recording, _shipped())
    assert list(replay.findings())
    assert "ends within a frame" in replay.problem


def test_a_recording_cut_before_its_snapshot_is_refused(recording: Path) -> None:
    recording.write_bytes(recording.read_bytes()[:60])
    with pytest.raises(RecordingError, match="snapshot"):
        Replay(recording, _shipped())


def test_the_facts_a_batch_needs_stand_before_it(recording: Path) -> None:
    kinds = [frame.kind for frame in RecordingReader(recording)]
    assert kinds[0] is Kind.ABOUT
    assert kinds.index(Kind.FACTS) < kinds.index(Kind.SEEDED) < kinds.index(Kind.BATCH)
    assert kinds[-1] is Kind.END


def test_a_recorded_source_cannot_forget(recording: Path) -> None:
    source = RecordedSource(recording)
    source.start()
    assert source.forget([]) == 0
    while source.read(0) is not None:
        pass
    assert source.ended == "it was stopped"
    source.stop()


def test_a_tap_tells_an_answer_once_and_again_when_it_changes() -> None:
    host = RecordedFiles()
    tap = TappedFiles(host)
    host.apply([Fact(Verb.READ, "/a", State.SAID, b"1")])
    assert tap.read("/a", 10) == tap.read("/a", 10) == b"1"
    assert [f.value for f in tap.take()] == [b"1"]
    tap.read("/a", 10)
    assert tap.take() == []
    host.apply([Fact(Verb.READ, "/a", State.SAID, b"2")])
    tap.read("/a", 10)
    assert [f.value for f in tap.take()] == [b"2"]


def test_what_was_there_and_then_gone_is_told_in_that_order() -> None:
    host = RecordedFiles()
    tap = TappedFiles(host)
    host.apply([Fact(Verb.LINK, "/a", State.SAID, b"x")])
    assert tap.link("/a") == "x"
    host.apply([Fact(Verb.LINK, "/a", State.ABSENT, b"")])
    with pytest.raises(FileNotFoundError):
        tap.link("/a")
    assert [f.state for f in tap.take()] == [State.SAID]
    assert [f.state for f in tap.take()] == [State.ABSENT]
    assert tap.take() == []


def test_a_refusal_is_replayed_as_one() -> None:
    host = RecordedFiles()
    host.apply([Fact(Verb.READ, "/a", State.REFUSED, b"")])
    tap = TappedFiles(host)
    with pytest.raises(TooLargeError):
        tap.read("/a", 10, regular=True)
    assert [f.state for f in tap.take()] == [State.REFUSED]


def test_directories_and_inodes_come_back(scene: Any) -> None:
    host = scene.host()
    tap = TappedFiles(host)
    entries = tap.entries("/sys/fs/cgroup/")
    number = tap.inode("/sys/fs/cgroup")
    replayed = RecordedFiles()
    replayed.apply(tap.take())
    assert replayed.entries("/sys/fs/cgroup/") == entries
    assert replayed.inode("/sys/fs/cgroup") == number
    with pytest.raises(FileNotFoundError):
        replayed.entries("/never/asked")


def test_nobody_can_make_the_host_say_without_end() -> None:
    host = RecordedFiles()
    facts = (Fact(Verb.READ, f"/{number}", State.SAID, bytes(16 << 20)) for number in range(40))
    with pytest.raises(RecordingError, match="MiB"):
        host.apply(facts)


def test_what_the_filter_counted_is_played_once(tmp_path: Path, scene: Any) -> None:
    path = tmp_path / "a.rec"
    scene.record_to(path, Bounds(slot_s=0))
    source = RecordedSource(path)
    source.start()
    while source.read(0) is not None:
        pass
    assert list(source.behaviours()) == [(scene.behaviour, 7)]
    assert list(source.behaviours()) == []


def test_a_recording_ends_at_its_size(tmp_path: Path, scene: Any) -> None:
    path = tmp_path / "a.rec"
    scene.record_to(path, Bounds(bytes=1))
    replay = Replay(path, _shipped())
    list(replay.findings())
    assert replay.summary.end == "it reached its size"
    assert replay.summary.batches == 1


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with create(path) as file:
        file.write(b"x")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AgentError, match="choose another name"):
        create(path)
    assert path.read_bytes() == b"x"
