"""What the sources have said of each container so far: the runtimes that were asked, and the files they keep."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from agent.identify.cgroup_path import Claim
from agent.identify.images import NO_IMAGE, image_of
from agent.identify.merge import merge
from agent.identify.metadata import describe
from agent.identify.mounts import upper_directory
from agent.identify.paths import Paths
from agent.identify.records import Record
from agent.identify.sources import Answer, Engines, Question, Said, Standing
from agent.workload import Container

_EARLY = 256  # answers kept for containers that have not shown themselves yet


class Knowledge:
    """Of one container. `pending`: a runtime will still answer. `awaited`: the kind of runtime that should know, but is
    down.
    """

    __slots__ = ("awaited", "engine", "files", "pending", "question", "record", "upper_dir")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.record: Record | None = None
        self.files: Said | None = None
        self.engine: Said | None = None
        self.pending = False
        self.awaited = ""
        self.upper_dir = ""

    @property
    def enough(self) -> bool:
        """Whether it can be said whose container this is. A pod's sandbox runs the runtime's own program only."""
        if self.pending:
            return self.files is not None and self.files.sandbox
        return self.files is not None or self.engine is not None


class Describer:
    """Asks, listens and puts together. Never blocks for longer than a few small files take to read."""

    def __init__(self, paths: Paths, engines: Engines, counts: Counter[str]) -> None:
        self._paths = paths
        self._engines = engines
        self._counts = counts
        self._early: OrderedDict[str, Answer] = OrderedDict()
        self._answering: frozenset[str] = frozenset()

    def begin(self, claim: Claim, record: Record | None) -> Knowledge:
        """A container that shows itself: what is known by now; its runtime is asked where it was not already."""
        known = Knowledge(Question(claim.container_id, claim.runtime, claim.pod_uid))
        early = self._early.pop(claim.container_id, None)
        if early is not None:
            self.heard(known, early)
        if record is not None:
            self.recorded(known, record)
        if early is None and not known.pending:
            self._ask(known)
        return known

    def recorded(self, known: Knowledge, record: Record) -> None:
        """The runtime's files have it; perhaps only they tell which runtime it is."""
        known.record = record
        known.files = describe(record, NO_IMAGE)
        if not known.upper_dir and not known.files.sandbox:
            known.upper_dir = self._upper_dir(known.files)  # at once: a short container's root is soon gone
        if not known.question.runtime and record.runtime:
            known.question = known.question._replace(runtime=record.runtime)
            if known.engine is None and not known.pending:
                self._ask(known)

    def heard(self, known: Knowledge, answer: Answer) -> None:
        """A runtime's last word. It may not contradict what the cgroup's path says."""
        known.pending = False
        known.awaited = answer.kind if answer.standing is Standing.DOWN else ""
        said, claimed = answer.said, known.question.pod_uid
        if said is None:
            return
        if said.id != known.question.id or (claimed and said.pod_uid and said.pod_uid != claimed):
            self._counts["runtime_contradicts_cgroup"] += 1
            return
        known.engine = said

    def described(self, known: Knowledge, claimed: Container, node: str) -> Container:
        """The container as it is known now."""
        if known.record is not None and known.engine is None and not known.pending:
            known.files = describe(known.record, image_of(known.record, self._paths, self._counts))
        said = [s for s in (known.engine, known.files) if s is not None]
        container = merge(claimed, said, self._counts, node)
        if not known.upper_dir:
            known.upper_dir = container.upper_dir
        return replace(container, awaited=known.awaited, upper_dir=known.upper_dir)

    def _upper_dir(self, said: Said) -> str:
        return upper_directory(self._paths.proc, said.rootfs, self._paths.files) if said.rootfs else ""

    def foresee(self, claim: Claim, path: str) -> None:
        """A cgroup was made: a container's own is there before its first program, so its runtime is asked at once."""
        if claim.container_id and claim.root == path:
            self._engines.ask(Question(claim.container_id, claim.runtime, claim.pod_uid))

    def answers(self) -> Sequence[Answer]:
        """What was answered since the last call."""
        return self._engines.take()

    def keep(self, answer: Answer) -> None:
        """An answer that came before its container."""
        if answer.said is None:
            return
        self._early[answer.id] = answer
        if len(self._early) > _EARLY:
            self._early.popitem(last=False)

    def changed(self) -> bool:
        """Whether a runtime answers that did not at the last call."""
        answering = frozenset(s.socket for s in self._engines.states() if s.state == "answering")
        more, self._answering = bool(answering - self._answering), answering
        return more

    def ask_again(self, known: Knowledge) -> None:
        """Ask for what no runtime has told."""
        if known.engine is None and not known.pending:
            self._ask(known)

    def _ask(self, known: Knowledge) -> None:
        standing, kind = self._engines.ask(known.question)
        known.pending = standing is Standing.UP
        known.awaited = kind if standing is Standing.DOWN else ""
