"""Nested records as flat documents."""

import random

from detection.rules import flatten


def test_lists_of_objects_give_the_values_of_all_items_in_order() -> None:
    record = {
        "spec": {"containers": [{"name": "a", "sc": {"privileged": False}}, {"name": "b", "sc": {"privileged": True}}]}
    }
    assert flatten(record) == {"spec.containers.name": ("a", "b"), "spec.containers.sc.privileged": (False, True)}


def test_a_single_value_is_not_a_list_and_empty_things_are_present() -> None:
    assert flatten({"a": [1], "b": {}, "c": [], "d": None}) == {"a": 1, "b": "", "c": ""}


def test_short_names_stand_for_every_place_they_occur() -> None:
    flat = flatten({"spec": {"volumes": [{"hostPath": {"path": "/"}}, {"hostPath": {"path": "/etc"}}]}})
    assert flat["hostPath"] == ("/", "/etc")


def test_bounds_are_kept_and_said() -> None:
    assert flatten({str(i): i for i in range(50)}, max_fields=10).keys() == {*map(str, range(10)), "flatten.truncated"}
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}
    assert flatten(deep) == {"flatten.truncated": True}


def test_any_json_value_flattens() -> None:
    source = random.Random(3)

    def value(depth: int) -> object:
        kind = source.randrange(7 if depth else 5)
        if kind == 5:
            return [value(depth - 1) for _ in range(source.randrange(4))]
        if kind == 6:
            return {source.choice(["a", "b", "", "x.y"]): value(depth - 1) for _ in range(source.randrange(4))}
        return [None, True, 1.5, "text", ""][kind]

    for _ in range(500):
        flat = flatten(value(6), max_fields=100)
        assert sum(len(v) if isinstance(v, tuple) else 1 for v in flat.values()) <= 101
