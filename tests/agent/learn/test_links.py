"""Behaviours whose key only the kernel can make are counted all the same."""

from typing import Any

from agent.decode.layout import EV_F_UNFILTERED
from agent.events import EventType, FileId, PathChange, PathOp
from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.learn.links import Link, Links, kin_of
from agent.source.port import BehaviourKey
from agent.workload import Identified

EXE = FileId(5, 1, 0)
SLOT = 1_000_000_000


def change(world: Any, op: PathOp, path: str, flags: int = 0) -> Identified:
    process = world.process()
    head = world.head(EventType.PATH, process)._replace(flags=flags)
    return world.identified(PathChange(head, EXE, FileId(9, 1, 0), op, 0, (0, 0), path, "", ""), process)


def key(op: PathOp, secret: int, exe: FileId = EXE) -> BehaviourKey:
    """As the kernel has it: struct changed."""
    changed = secret.to_bytes(8, "little") + bytes(12) + int(op).to_bytes(4, "little")
    return BehaviourKey(101, EventType.PATH, exe, changed)


class Node:
    def __init__(self, world: Any) -> None:
        self.world, self.learner = world, Learner(LearnConfig(slot_s=1.0))
        self.learner.advance(world.now_ns)

    def slot(self, *counts: tuple[BehaviourKey, int]) -> None:
        self.learner.recount(counts, self.world.now_ns)
        self.world.now_ns += SLOT
        self.learner.advance(self.world.now_ns, [("c1", self.world.workload)])

    def units(self) -> dict[str, int]:
        (profile,) = self.learner.profiles()
        return {m.name.partition(" → ")[2]: m.units for m in profile.of("write").members.values()}


def test_a_repeated_change_counts_in_every_slot(world: Any) -> None:
    node = Node(world)
    node.learner.observe(change(world, PathOp.UNLINK, "/srv/a"))
    node.learner.observe(change(world, PathOp.MKDIR, "/srv/d"))
    node.slot((key(PathOp.UNLINK, 7), 1), (key(PathOp.MKDIR, 8), 1))
    for count in (2, 3, 4):
        node.slot((key(PathOp.UNLINK, 7), count))
    assert node.units() == {"delete /srv/a": 4, "mkdir /srv/d": 1}


def test_keys_of_others_are_not_taken(world: Any) -> None:
    node = Node(world)
    node.learner.observe(change(world, PathOp.UNLINK, "/srv/a"))
    node.slot()
    node.slot((key(PathOp.RENAME, 7), 5), (key(PathOp.UNLINK, 7, FileId(6, 1, 0)), 5))
    assert node.units() == {"delete /srv/a": 1}


def test_nobody_waits_longer_than_two_slots(world: Any) -> None:
    node = Node(world)
    node.learner.observe(change(world, PathOp.UNLINK, "/srv/a"))
    node.slot()
    node.slot()
    node.slot((key(PathOp.UNLINK, 7), 5))
    assert node.units() == {"delete /srv/a": 1}


def test_what_the_filter_does_not_hold_is_not_waited_for(world: Any) -> None:
    assert kin_of(change(world, PathOp.UNLINK, "/srv/a", EV_F_UNFILTERED).event) is None
    assert kin_of(world.write("/srv/a").event) is None


def test_what_waits_is_bounded(world: Any) -> None:
    node = Node(world)
    for n in range(3000):
        node.learner.observe(change(world, PathOp.CHOWN, f"/etc/{n}x"))
    node.slot(*((key(PathOp.CHOWN, n), 1) for n in range(3000)))
    node.slot(*((key(PathOp.CHOWN, n), 2) for n in range(3000)))
    assert sum(units > 1 for units in node.units().values()) == 64


def test_where_there_is_no_room_the_link_that_grew_longest_ago_goes(world: Any) -> None:
    links = Links(2)
    none: Any = None
    busy, idle, new = (key(PathOp.MKDIR, secret) for secret in (1, 2, 3))
    for row, one in enumerate((busy, idle)):
        links.put(one, Link(none, none, row, "c1", False))
    assert [link.row for _, link, _ in links.grown([(busy, 5), (idle, 1)])] == [0]
    links.put(new, Link(none, none, 2, "c1", False))
    assert [(link.row, growth) for _, link, growth in links.grown([(busy, 6), (idle, 9), (new, 2)])] == [(0, 1), (2, 1)]
    assert (len(links), links.evicted) == (2, 1)
