"""Which rules this agent runs: its own file's, the collector's, or those it came with; and how they are replaced.

Reading and compiling happen in a thread of their own; the core's thread only swaps a finished set in, between two
events, so none is lost or judged twice. A set that cannot be read is refused, and what is in force stays.
"""

import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import rules
from agent.errors import ConfigError
from agent.rule_mail import MAX_SET, Delivery, RuleMail, RuleSetError
from detection.errors import RuleError
from detection.rules import RuleSet, load_compiled

log = logging.getLogger(__name__)

_FILE_NAME = "runtime.json"
_SHOWN_PROBLEMS = 20
_NEWS = 16


class RulesState(NamedTuple):
    """For ledger, status and metrics. `source`: shipped, file or collector; see `vedette.v1.RulesState`."""

    digest: str = ""
    source: str = ""
    rules: int = 0
    problems: int = 0
    refused_digest: str = ""
    refusal: str = ""
    replaced: int = 0


class _Set(NamedTuple):
    digest: str
    source: str
    rules: RuleSet


class _Refusal(NamedTuple):
    digest: str
    why: str


class Rulebook:
    """`load`, `start`, then `tick` from the core's thread, then `stop`.

    own: file, or directory with a runtime.json, of `vedette rules compile --output`; with one the collector's rules
    are not taken. kept: where the collector's are kept, so that a restart without it begins with them.
    """

    def __init__(self, own: Path | None, kept: Path, mail: RuleMail) -> None:
        self._own = own / _FILE_NAME if own is not None and own.is_dir() else own
        self._kept = kept
        self._mail = mail
        self._stopping = False
        self._asked = False
        self._news: deque[_Set | _Refusal] = deque(maxlen=_NEWS)
        self._state = RulesState()
        self._thread = threading.Thread(target=self._work, name="rules", daemon=True)

    @property
    def state(self) -> RulesState:
        """How it stands now."""
        return self._state

    def load(self, *, with_collector: bool) -> RuleSet:
        """The rules to start with. Raises: ConfigError when the agent's own file is not usable."""
        self._mail.wanted = with_collector and self._own is None
        found = self._first()
        self._in_force(found, replaced=0)
        return found.rules

    def start(self) -> None:
        """Begin to take new ones."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        self._stopping = True
        self._mail.came.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def reload(self) -> None:
        """Read the file again, soon; may be called by a signal handler."""
        self._asked = True

    def tick(self, use: Callable[[RuleSet], None]) -> bool:
        """Put a new set in force, if there is one; whether there is something to tell of. In the core's thread."""
        if self._asked:
            self._mail.came.set()
        if not self._news:
            return False
        while self._news:
            news = self._news.popleft()
            if isinstance(news, _Refusal):
                self._state = self._state._replace(refused_digest=news.digest, refusal=news.why)
                continue
            use(news.rules)
            self._in_force(news, self._state.replaced + 1)
            log.info("%d rules in force, of %s (%s)", self._state.rules, news.source, news.digest[:12])
        return True

    def _in_force(self, found: _Set, replaced: int) -> None:
        problems = found.rules.problems
        for problem in problems[:_SHOWN_PROBLEMS]:
            log.warning("rule is not used: %s", problem)
        if len(problems) > _SHOWN_PROBLEMS:
            log.warning("%d more rules are not used; `vedette rules check` names them", len(problems) - _SHOWN_PROBLEMS)
        count = len(found.rules.rules) + len(found.rules.correlations)
        self._state = RulesState(found.digest, found.source, count, len(problems), replaced=replaced)
        self._mail.running = found.digest
        self._mail.held = found.digest if found.source == "collector" else ""

    def _first(self) -> _Set:
        if self._own is not None:
            try:
                return _read(self._own, "file")
            except RuleSetError as error:
                raise ConfigError(f"--rules {self._own}: {error}") from error
        if self._mail.wanted and self._kept.exists():
            try:
                return _read(self._kept, "collector")
            except RuleSetError as error:
                log.error("rules of the collector in %s: %s; it sends them again", self._kept, error)
        return _shipped()

    # -- the rulebook's thread

    def _work(self) -> None:
        while True:
            self._mail.came.wait()
            self._mail.came.clear()
            if self._stopping:
                return
            try:
                self._look()
            except Exception:  # whatever this set was, the next one is another
                log.exception("rules could not be taken, those in force stay")

    def _look(self) -> None:
        if self._asked:
            self._asked = False
            self._again()
        if (delivery := self._mail.take()) is not None:
            self._delivered(delivery)

    def _again(self) -> None:
        """SIGHUP: the agent's own file, or the kept one."""
        if self._own is None and not (self._mail.wanted and self._kept.exists()):
            self._news.append(_shipped())
            return
        path, source = (self._own, "file") if self._own is not None else (self._kept, "collector")
        try:
            self._news.append(_read(path, source))
        except RuleSetError as error:
            self._refuse("", f"{path}: {error}")

    def _delivered(self, delivery: Delivery) -> None:
        try:
            if not delivery.digest:
                self._kept.unlink(missing_ok=True)
                self._news.append(_shipped())
                return
            fresh = _of_delivery(delivery)
        except (RuleSetError, OSError) as error:
            self._refuse(delivery.digest, str(error))
            return
        try:
            _write(self._kept, delivery.body)
        except OSError as error:
            log.error("rules could not be saved to %s: %s; they hold until this run ends", self._kept, error)
        self._news.append(fresh)

    def _refuse(self, digest: str, why: str) -> None:
        log.error("rules are not taken, those in force stay: %s", why)
        self._news.append(_Refusal("".join(c if c.isprintable() else "?" for c in digest), why[:300]))


def _shipped() -> _Set:
    data = rules.runtime_rules()
    return _Set(hashlib.sha256(data).hexdigest(), "shipped", load_compiled(data))


def _of_delivery(delivery: Delivery) -> _Set:
    """Raises: RuleSetError."""
    if delivery.problem:
        raise RuleSetError(delivery.problem)
    if hashlib.sha256(delivery.body).hexdigest() != delivery.digest:
        raise RuleSetError("its bytes are not those its digest names")
    return _compiled(delivery.body, "collector")


def _read(path: Path, source: str) -> _Set:
    """Raises: RuleSetError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SET + 1)
    except OSError as error:
        raise RuleSetError(f"{error.strerror}; `vedette rules compile --output DIR` writes it") from error
    return _compiled(data, source)


def _compiled(data: bytes, source: str) -> _Set:
    """Raises: RuleSetError."""
    if len(data) > MAX_SET:
        raise RuleSetError(f"larger than {MAX_SET >> 20} MiB")
    try:
        return _Set(hashlib.sha256(data).hexdigest(), source, load_compiled(data))
    except (RuleError, RecursionError) as error:
        raise RuleSetError(str(error)) from error


def _write(path: Path, data: bytes) -> None:
    """Replace the file in one step. Raises: OSError."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
