"""Rules are swapped between events: none is lost, none is judged twice, and correlations go on counting."""

import hashlib
import threading
from pathlib import Path
from typing import Any

from agent.rule_mail import RuleMail
from agent.rulebook import Rulebook
from detection.finding import Severity
from detection.rules import Rule, RuleSet, dump_rules
from detection.rules.correlation import Correlation, Measure
from detection.rules.ir import Op
from detection.rules.ir import Test as Check
from detection.rules.windows import Windows

MINUTE = 60 * 10**9


def rule(name: str, text: str) -> Rule:
    return Rule(name, name, Severity.MEDIUM, "process_creation", Check("CommandLine", Op.CONTAINS, (text,)))


def story(name: str, of: str, bound: float) -> Correlation:
    return Correlation(name, name, Severity.HIGH, Measure.EVENT_COUNT, (of,), MINUTE, ("who",), bound=bound)


def test_correlations_that_did_not_change_go_on_and_changed_ones_begin_anew() -> None:
    windows = Windows([story("same", "r", 3), story("other", "r", 3)])
    for number in range(2):
        assert windows.observe("r", {"who": "a"}, number, f"e{number}") == []
    windows.use([story("same", "r", 3), story("other", "r", 4), story("new", "r", 1)])
    assert [s.correlation.id for s in windows.observe("r", {"who": "a"}, 2, "e2")] == ["same", "new"]
    windows.use([story("same", "r", 3)])
    assert windows.counters()["groups"] == 1
    windows.use([])
    assert windows.counters()["groups"] == 0
    assert windows.observe("r", {"who": "a"}, 3, "e3") == []


def test_a_steady_stream_meets_each_rule_set_change_without_losing_or_repeating_an_event(tmp_path: Path) -> None:
    """One thread matches 20,000 numbered events, another writes new rules and asks for them all the while."""
    path = tmp_path / "runtime.json"
    path.write_bytes(dump_rules([rule("always", "run"), rule("only-0", "run")]))
    book = Rulebook(path, tmp_path / "kept", RuleMail())
    holder = [book.load(with_collector=False)]
    book.start()
    stop = threading.Event()

    def edit() -> None:
        number = 0
        while not stop.wait(0.002):
            number += 1
            path.with_suffix(".new").write_bytes(dump_rules([rule("always", "run"), rule(f"only-{number}", "run")]))
            path.with_suffix(".new").replace(path)
            book.reload()

    editor = threading.Thread(target=edit)
    editor.start()
    seen: list[tuple[str, ...]] = []
    number = 0
    while number < 20_000 or book.state.replaced < 20:
        found = holder[0].match("process_creation", {"CommandLine": f"run {number}"})
        seen.append(tuple(match.rule.id for match in found))
        number += 1
        if number % 50 == 0:
            book.tick(lambda fresh: holder.__setitem__(0, fresh))
    stop.set()
    editor.join()
    book.stop()
    assert len(seen) == number
    assert all(len(found) == 2 and found[0] == "always" and found[1].startswith("only-") for found in seen)
    assert book.state.replaced >= 20
    assert book.state.refusal == ""


def test_digest_is_that_of_the_file(tmp_path: Path) -> None:
    body: Any = dump_rules([rule("one", "x")])
    (tmp_path / "r.json").write_bytes(body)
    book = Rulebook(tmp_path / "r.json", tmp_path / "kept", RuleMail())
    assert isinstance(book.load(with_collector=True), RuleSet)
    assert book.state.digest == hashlib.sha256(body).hexdigest()
