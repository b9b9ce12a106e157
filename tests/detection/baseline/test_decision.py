"""Decisions of people: the later word holds, a condemnation outweighs, and nothing gets in that is not one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.baseline.decision import DecisionBook, DecisionError, Decisions, approved, parse, to_plain
from detection.baseline.keys import ClassKey, Phase
from detection.baseline.merge import Approved

NAMES = st.sets(st.text(min_size=1, max_size=20), max_size=4)
CLASSES = st.dictionaries(st.sampled_from(("exec", "exec/startup", "egress")), NAMES.map(frozenset), max_size=3)


@given(CLASSES, CLASSES, st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_plain_form_and_back(
    accepted: dict[str, frozenset[str]], condemned: dict[str, frozenset[str]], lock: bool
) -> None:
    condemned = {n: m - accepted.get(n, frozenset()) for n, m in condemned.items()}
    decided = Decisions("w", "v", lock, accepted, condemned)
    assert parse(to_plain(decided)) == decided


FIELDS = st.sampled_from(("workload", "version", "lock", "accepted", "condemned", "exec", "x"))
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4), max_leaves=12
)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_any_document_is_decisions_or_an_error_that_says_where(document: object) -> None:
    try:
        decided = parse(document)
    except DecisionError as error:
        assert error.problem  # noqa: PT017  (any of two outcomes)
        return
    assert parse(to_plain(decided)) == decided


def test_the_later_word_on_a_member_holds() -> None:
    decided = Decisions("w").changed(accept={"exec": ["a", "b"]}, lock=True)
    turned = decided.changed(condemn={"exec": ["a"]})
    assert (turned.accepts("exec", "a"), turned.condemns("exec", "a"), turned.lock) == (False, True, True)
    assert turned.changed(accept={"exec": ["a"]}) == decided
    assert turned.changed(remove={"exec": ["a", "b"]}, lock=False) == Decisions("w")


def test_changes_are_checked_like_files() -> None:
    with pytest.raises(DecisionError, match=r"accepted\.nonsense: no such class"):
        Decisions("w").changed(accept={"nonsense": ["a"]})
    with pytest.raises(DecisionError, match="workload: expected text"):
        Decisions("").changed(lock=True)


def test_what_holds_for_a_version_is_everything_said_about_it() -> None:
    every = Decisions("w", "", False, {"exec": frozenset({"a", "b"})}, {})
    one = Decisions("w", "v1", True, {}, {"exec": frozenset({"b"})})
    book = DecisionBook([every, one, Decisions("other", "", True)])
    first, second = book.of("w", "v1"), book.of("w", "v2")
    assert first == Decisions("w", "v1", True, {"exec": frozenset({"a"})}, {"exec": frozenset({"b"})})
    assert second is not None
    assert second.accepts("exec", "b")
    assert not second.lock
    assert book.of("nobody", "") is None
    assert first is not None
    assert approved(first) == {"exec": Approved(frozenset({"a"}), frozenset({"b"}))}


def test_a_lock_is_about_the_classes_that_are_named() -> None:
    decided = Decisions("w", "", True, {"exec": frozenset({"a"}), "egress": frozenset()}, {})
    assert decided.locks(ClassKey("exec"))
    assert decided.locks("egress")
    assert not decided.locks(ClassKey("exec", Phase.STARTUP))
    assert not Decisions("w", "", False, {"exec": frozenset()}).locks("exec")
