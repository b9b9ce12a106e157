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
        if "{" in repr(nested.get(field)):
            continue  # an object is there too, by another way of reading the dots
        mine = nested.get(field)
        # Where keys with dots make two paths one, the leaves are the same and only their order may differ.
        assert sorted(map(repr, mine if isinstance(mine, tuple) else (mine,))) == sorted(
            map(repr, value if isinstance(value, tuple) else (value,))
        )


def test_a_field_that_is_not_there_is_absent_and_an_object_is_its_text():
    nested = Nested({"a": {"b": 1}, "e": {}, "l": []})
    assert [nested.get(f) for f in ("a", "a.b", "a.b.c", "z", "e", "l")] == ['{"b":1}', 1, None, None, "", ""]


def test_other_names_stand_for_the_first_path_that_is_there():
    nested = Nested({"a": {"b": 1}, "c": 2}, {"Name": ("x.y", "a.b", "c"), "c": ("a.b",)})
    assert (nested.get("Name"), nested.get("c")) == (1, 2)


def test_keys_with_dots_are_found():
    nested = Nested({"annotations": {"authorization.k8s.io/decision": "allow"}})
    assert nested.get("annotations.authorization.k8s.io/decision") == "allow"
