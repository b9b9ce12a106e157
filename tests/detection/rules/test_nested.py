"""A field of a nested record is the same whether it is found or everything is flattened."""

from hypothesis import given, settings
from hypothesis import strategies as st

from detection.rules.flatten import flatten
from detection.rules.nested import Nested

_KEYS = st.sampled_from(["a", "b", "c.d", "a.b", "hostPath", "x"])
_RECORDS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("xyz", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=24,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_KEYS, _RECORDS, max_size=4))
def test_every_field_is_what_flattening_gives(record):
    flat, nested = flatten(record), Nested(record)
    assert set(nested.keys()) == set(flat)
    for field, value in flat.items():
        mine = nested.get(field)
        # Where keys with dots make two paths one, the leaves are the same and only their order may differ.
        assert sorted(map(repr, mine if isinstance(mine, tuple) else (mine,))) == sorted(
            map(repr, value if isinstance(value, tuple) else (value,))
        )


def test_a_field_that_is_not_there_or_has_parts_is_absent():
    nested = Nested({"a": {"b": 1}, "e": {}, "l": []})
    assert [nested.get(f) for f in ("a", "a.b", "a.b.c", "z", "e", "l")] == [None, 1, None, None, "", ""]


def test_keys_with_dots_are_found():
    nested = Nested({"annotations": {"authorization.k8s.io/decision": "allow"}})
    assert nested.get("annotations.authorization.k8s.io/decision") == "allow"
