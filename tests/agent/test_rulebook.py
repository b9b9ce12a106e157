"""Which rules an agent runs: its own file's, the collector's, the shipped ones; refused sets leave what is in force."""

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rules
from agent.errors import ConfigError
from agent.rule_mail import RuleMail, RuleSetPart
from agent.rulebook import Rulebook
from detection.finding import Severity
from detection.rules import Rule, RuleSet, dump_rules
from detection.rules.ir import Op
from detection.rules.ir import Test as Check

SHIPPED = hashlib.sha256(rules.runtime_rules()).hexdigest()


def compiled(*names: str, pattern: str = "a") -> bytes:
    return dump_rules(
        Rule(name, name, Severity.LOW, "process_creation", Check("Image", Op.RE, (pattern,))) for name in names
    )


def parts(body: bytes, digest: str | None = None, size: int = 64) -> list[RuleSetPart]:
    packed = zlib.compress(body)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    name = hashlib.sha256(body).hexdigest() if digest is None else digest
    return [RuleSetPart(name, number, len(pieces), piece) for number, piece in enumerate(pieces)]


class Book:
    """A rulebook with its mail, and the sets it put in force."""

    def __init__(self, directory: Path, own: Path | None = None, *, with_collector: bool = True) -> None:
        self.mail = RuleMail()
        self.kept = directory / "rules.json"
        self.book = Rulebook(own, self.kept, self.mail)
        self.used: list[RuleSet] = [self.book.load(with_collector=with_collector)]
        self.book.start()

    def send(self, sent: list[RuleSetPart]) -> None:
        for part in sent:
            self.mail.put(part)

    def until(self, what: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(1000):
            self.book.tick(self.used.append)
            if what():
                return
            pause.wait(0.01)
        raise AssertionError(self.book.state)

    def names(self) -> list[str]:
        return [rule.id for rule in self.used[-1].rules]


@pytest.fixture
def make_book(tmp_path: Path) -> Iterator[Callable[..., Book]]:
    made: list[Book] = []

    def make(*args: object, **options: object) -> Book:
        made.append(Book(tmp_path, *args, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for book in made:
        book.book.stop()


def test_without_anything_else_the_shipped_rules_are_run(make_book: Callable[..., Book]) -> None:
    state = make_book().book.state
    assert (state.digest, state.source, state.problems, state.replaced) == (SHIPPED, "shipped", 0, 0)


def test_the_collectors_set_is_put_in_force_kept_and_begun_with(make_book: Callable[..., Book]) -> None:
    body = compiled("one", "two")
    first = make_book()
    first.send(parts(body))
    first.until(lambda: first.book.state.source == "collector")
    assert first.names() == ["one", "two"]
    assert first.kept.read_bytes() == body
    assert first.mail.held == first.mail.running == hashlib.sha256(body).hexdigest()
    again = make_book()
    assert (again.book.state.source, again.names()) == ("collector", ["one", "two"])
    assert again.mail.held == hashlib.sha256(body).hexdigest()


def test_a_collector_that_has_none_any_more_gives_the_shipped_rules_back(make_book: Callable[..., Book]) -> None:
    book = make_book()
    book.send(parts(compiled("one")))
    book.until(lambda: book.book.state.source == "collector")
    book.send([RuleSetPart("", 0, 1, b"")])
    book.until(lambda: book.book.state.source == "shipped")
    assert not book.kept.exists()
    assert (book.mail.held, book.book.state.replaced) == ("", 2)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (parts(b"no json"), "not JSON"),
        (parts(b'{"version": 99}'), "version 99"),
        (parts(compiled("one"), digest="0" * 64), "digest names"),
        (parts(compiled("one"))[1:], "belong together"),
        ([RuleSetPart("d", 0, 1, b"\x00\x01")], "cannot be unpacked"),
        (
            [RuleSetPart("d", 0, 1, zlib.compress(compiled("one"))[:-9])],
            "cut short",
        ),
        (parts(b"[" * 100_000), "not JSON"),
    ],
)
def test_a_set_that_cannot_be_read_is_refused_and_said_so(
    make_book: Callable[..., Book], sent: list[RuleSetPart], why: str
) -> None:
    book = make_book()
    book.send(sent)
    book.until(lambda: book.book.state.refusal != "")
    state = book.book.state
    assert why in state.refusal
    assert (state.digest, state.source, state.replaced) == (SHIPPED, "shipped", 0)
    assert not book.kept.exists()
    book.send(parts(compiled("one")))
    book.until(lambda: book.book.state.source == "collector")
    assert book.book.state.refusal == ""


def test_rules_that_cannot_be_evaluated_are_counted_and_the_others_used(make_book: Callable[..., Book]) -> None:
    pairs = (("a", "("), ("b", "x"))
    rules_of = (Rule(n, n, Severity.LOW, "process_creation", Check("Image", Op.RE, (p,))) for n, p in pairs)
    book = make_book()
    book.send(parts(dump_rules(rules_of)))
    book.until(lambda: book.book.state.source == "collector")
    assert (book.names(), book.book.state.rules, book.book.state.problems) == (["b"], 1, 1)


def test_its_own_file_comes_first_and_is_read_again_when_asked(make_book: Callable[..., Book], tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "runtime.json").write_bytes(compiled("mine"))
    book = make_book(own)
    assert (book.book.state.source, book.names(), book.mail.wanted) == ("file", ["mine"], False)
    book.send(parts(compiled("theirs")))
    (own / "runtime.json").write_bytes(compiled("mine", "more"))
    book.book.reload()
    book.until(lambda: book.book.state.replaced == 1)
    assert book.names() == ["mine", "more"]
    (own / "runtime.json").write_bytes(b"broken")
    book.book.reload()
    book.until(lambda: "not JSON" in book.book.state.refusal)
    assert book.names() == ["mine", "more"]


def test_an_agent_with_a_file_that_cannot_be_used_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"{}")
    with pytest.raises(ConfigError, match=r"--rules .*bad\.json: compiled rules: version None"):
        Rulebook(tmp_path / "bad.json", tmp_path / "kept", RuleMail()).load(with_collector=False)


def test_a_kept_set_that_broke_gives_way_to_the_shipped_rules(make_book: Callable[..., Book], tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_bytes(b"\xff")
    assert make_book().book.state.source == "shipped"
