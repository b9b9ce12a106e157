"""What container runtimes told, kept in a recording and played back: the two sides of identify's port to them."""

from collections.abc import Sequence
from dataclasses import asdict

import orjson

from agent.facts import TappedFiles
from agent.identify.host import HostFiles
from agent.identify.sources import Answer, Engines, Question, RuntimeState, Said, Standing

_NAME = "runtime:"  # no path begins so
_LIMIT = 8 << 20
_OPEN = 8192


class TappedEngines:
    """An `Engines` that passes on another's answers and keeps them. That nobody will answer is an answer too."""

    def __init__(self, engines: Engines, tap: TappedFiles) -> None:
        self._engines = engines
        self._tap = tap

    def ask(self, question: Question) -> tuple[Standing, str]:
        standing, kind = self._engines.ask(question)
        if standing is not Standing.UP:
            self._keep(Answer(question.id, None, standing, kind))
        return standing, kind

    def take(self) -> Sequence[Answer]:
        answers = self._engines.take()
        for answer in answers:
            self._keep(answer)
        return answers

    def states(self) -> tuple[RuntimeState, ...]:
        return self._engines.states()

    def _keep(self, answer: Answer) -> None:
        said = asdict(answer.said) if answer.said is not None else None
        try:
            value = orjson.dumps([answer.standing.value, answer.kind, said])
        except (TypeError, ValueError):  # a string UTF-8 cannot carry
            value = orjson.dumps([answer.standing.value, answer.kind, None])
        self._tap.note(_NAME + answer.id, value)


class ToldEngines:
    """An `Engines` that answers what a recording's runtimes answered, as soon as the recording says it."""

    def __init__(self, files: HostFiles) -> None:
        self._files = files
        self._open: dict[str, None] = {}

    def ask(self, question: Question) -> tuple[Standing, str]:
        answer = self._answer(question.id)
        if answer is not None and answer.standing is not Standing.UP:
            return answer.standing, answer.kind
        if len(self._open) >= _OPEN:
            return Standing.NONE, ""
        self._open[question.id] = None
        return Standing.UP, answer.kind if answer is not None else ""

    def take(self) -> Sequence[Answer]:
        found = [answer for container_id in self._open if (answer := self._answer(container_id)) is not None]
        for answer in found:
            del self._open[answer.id]
        return found

    def states(self) -> tuple[RuntimeState, ...]:
        return ()

    def _answer(self, container_id: str) -> Answer | None:
        try:
            standing, kind, said = orjson.loads(self._files.read(_NAME + container_id, _LIMIT))
            return Answer(container_id, Said(**said) if said is not None else None, Standing(standing), str(kind))
        except (OSError, ValueError, TypeError):
            return None
