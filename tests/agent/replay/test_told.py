"""What runtimes told while recording is told again in a replay: answers, refusals, and silence."""

from dataclasses import replace

import pytest

from agent.facts import RecordedFiles, TappedFiles
from agent.identify.host import HERE
from agent.identify.sources import Answer, FakeEngines, Question, Said, Standing
from agent.told import TappedEngines, ToldEngines

ID = "ab" * 32
SAID = Said(ID, "cri", name="web", labels={"a": "b"}, created_ns=7, sandbox=True)


def _replayed(tap: TappedFiles) -> ToldEngines:
    files = RecordedFiles()
    files.apply(tap.take())
    return ToldEngines(files)


def test_an_answer_comes_back_whole() -> None:
    """Every field."""
    tap, fake = TappedFiles(HERE), FakeEngines()
    fake.known[ID] = SAID
    tapped = TappedEngines(fake, tap)
    assert tapped.ask(Question(ID)) == (Standing.UP, "cri")
    fake.answer()
    assert tapped.take() == [Answer(ID, SAID, Standing.UP, "cri")]
    told = _replayed(tap)
    assert told.ask(Question(ID)) == (Standing.UP, "cri")
    assert told.take() == [Answer(ID, SAID, Standing.UP, "cri")]
    assert told.take() == []


@pytest.mark.parametrize("standing", [Standing.DOWN, Standing.NONE])
def test_that_nobody_could_be_asked_is_told_too(standing: Standing) -> None:
    """A replay waits for no runtime that was down."""
    tap = TappedFiles(HERE)
    TappedEngines(FakeEngines(standing), tap).ask(Question(ID))
    assert _replayed(tap).ask(Question(ID)) == (standing, "cri")


def test_an_answer_that_came_later_comes_later() -> None:
    """Asked before the recording says it: open until it does."""
    tap, fake, files = TappedFiles(HERE), FakeEngines(), RecordedFiles()
    tapped, told = TappedEngines(fake, tap), ToldEngines(files)
    tapped.ask(Question(ID))
    files.apply(tap.take())
    assert told.ask(Question(ID))[0] is Standing.UP
    assert told.take() == []
    fake.answer()
    tapped.take()
    files.apply(tap.take())
    assert told.take() == [Answer(ID, None, Standing.UP, "cri")]


def test_what_cannot_be_written_or_read_is_no_answer() -> None:
    """A lone surrogate; a mangled fact."""
    tap, fake = TappedFiles(HERE), FakeEngines()
    fake.known[ID] = replace(SAID, name="\udc80")
    tapped = TappedEngines(fake, tap)
    tapped.ask(Question(ID))
    fake.answer()
    tapped.take()
    told = _replayed(tap)
    told.ask(Question(ID))
    assert [answer.said for answer in told.take()] == [None]
    tap.note(f"runtime:{ID}", b'["up", 7]')
    assert _replayed(tap).take() == []
