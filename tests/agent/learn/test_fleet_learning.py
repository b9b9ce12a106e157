"""What the learner makes of what the fleet knows, of a new version, and of what people decided."""

import dataclasses
from typing import Any

import pytest

from agent.events import FileFlag
from agent.learn.config import LearnConfig
from agent.learn.image import FakeImages
from agent.learn.learner import Learner
from agent.observation import Anomaly
from agent.workload import Workload
from detection.baseline.decision import DecisionBook, Decisions
from detection.baseline.merge import FleetConfig, Share, total
from detection.baseline.profile import Profile, ProfileConfig
from detection.baseline.snapshot import Snapshot, profile_of, snapshot
from detection.finding import Severity

SLOT = 1_000_000_000
CONFIG = LearnConfig(slot_s=1.0, profile=ProfileConfig(target=0.05, clean_units=10))
KEY, V2 = "k8s/shop/deployment/web/web", "sha256:2"


class Site:
    """A learner and its world."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.learner = Learner(CONFIG)
        self.learner.advance(world.now_ns)

    def do(self, path: str, *argv: str, flags: int = 0, **who: Any) -> list[Anomaly]:
        parent = self.world.process(container=who.get("container", "c1"))
        identified = self.world.exec(path, *argv, parent=parent, **who)
        event = identified.event._replace(exe_flags=flags)
        found = self.learner.observe(dataclasses.replace(identified, event=event)).anomalies
        return [a for a in found if a.behaviour == "exec"]

    def routine(self, slots: int, *programs: str, instances: tuple[str, ...] = ("c1", "c2")) -> "Site":
        for _ in range(slots):
            for instance in instances:
                for program in programs:
                    self.do(program, container=instance)
            self.world.now_ns += SLOT
            self.learner.advance(self.world.now_ns)
        return self

    def profile(self, version: str = "sha256:1") -> Profile:
        return next(p for p in self.learner.profiles() if p.version == version)


@pytest.fixture
def site(world: Any) -> Site:
    return Site(world)


def merged(*profiles: Profile) -> Profile:
    """What a collector would make of them."""
    shares = {f"n{i}": Share(1, 0, snapshot(p, 9)) for i, p in enumerate(profiles)}
    return profile_of(Snapshot(KEY, profiles[0].version, 9, total(shares, FleetConfig())), CONFIG.profile)


def test_a_new_replica_on_a_new_agent_alerts_as_if_it_had_been_there_all_along(world: Any) -> None:
    nodes = [Site(world).routine(500, "/bin/cgi") for _ in range(2)]
    newcomer, alone = Site(world), Site(world)
    newcomer.learner.fleet(merged(*(n.profile() for n in nodes)))
    for one in (newcomer, alone):
        one.routine(3, "/bin/cgi", instances=("c3",))  # its start is over
    veteran = nodes[0].do("/bin/sh", "sh", "-i")[0]
    told = newcomer.do("/bin/sh", "sh", "-i", container="c3")[0]
    assert told.severity == veteran.severity == Severity.HIGH
    assert told.state == veteran.state == "stable"
    assert all(a.severity <= Severity.INFORMATIONAL for a in alone.do("/bin/sh", "sh", "-i", container="c3"))


def test_what_siblings_show_is_learned_without_a_word(world: Any) -> None:
    nodes = [Site(world).routine(150, "/bin/cgi", "/bin/sh") for _ in range(2)]
    newcomer = Site(world)
    newcomer.learner.fleet(merged(*(n.profile() for n in nodes)))
    newcomer.routine(3, "/bin/cgi", instances=("c3",))
    assert newcomer.do("/bin/sh", container="c3") == []
    newcomer.routine(1, instances=("c3",))
    assert any("/bin/sh" in name for name in newcomer.profile().of("exec").members)


def test_what_other_agents_hold_back_is_less_surprising_here_and_said(world: Any) -> None:
    nodes = [Site(world).routine(500, "/bin/cgi") for _ in range(5)]
    alone, agreed = Site(world), Site(world)
    alone.learner.fleet(merged(*(n.profile() for n in nodes)))
    for node in nodes[:2]:
        node.do("/bin/sh", "sh", "-i")
    agreed.learner.fleet(merged(*(n.profile() for n in nodes)))
    for one in (alone, agreed):
        one.routine(3, "/bin/cgi", instances=("c3",))
    (told,) = agreed.do("/bin/sh", "sh", "-i", container="c3")
    assert any("instances have shown it so far" in reason for reason in told.reasons), told.reasons
    assert told.surprise < alone.do("/bin/sh", "sh", "-i", container="c3")[0].surprise - 0.3


def test_what_a_rule_condemned_on_another_agent_is_not_learned_here(site: Site, world: Any) -> None:
    other = Site(world).routine(10, "/bin/cgi")
    evil = world.exec("/bin/miner", parent=world.process())
    other.learner.observe(evil)
    other.learner.condemn(evil)
    site.learner.fleet(merged(other.profile()))
    site.routine(20, "/bin/cgi", "/bin/miner")
    known = site.profile().of("exec")
    assert not any("miner" in name for name in known.members)
    assert any("miner" in name for name in known.quarantine)


def test_a_lock_makes_everything_else_an_alarm_even_while_learning(site: Site) -> None:
    site.routine(5, "/bin/cgi")
    (member,) = site.profile().of("exec").members
    locked = Decisions(KEY, "", True, {"exec": frozenset({member})}, {})
    site.learner.decide(DecisionBook([locked]))
    assert site.do("/bin/cgi") == []
    (anomaly,) = site.do("/bin/other")
    assert anomaly.severity >= Severity.HIGH
    assert "The baseline of this workload is locked." in anomaly.reasons


def test_what_a_person_condemned_alarms_and_what_a_person_accepted_does_not(world: Any) -> None:
    learned = Site(world).routine(150, "/bin/cgi")
    shell = learned.do("/bin/sh")[0].member
    site = Site(world).routine(150, "/bin/cgi")
    site.learner.decide(DecisionBook([Decisions(KEY, "", False, {"exec": frozenset({shell})}, {})]))
    assert site.do("/bin/sh") == []
    other = Site(world).routine(3, "/bin/cgi")
    other.learner.decide(DecisionBook([Decisions(KEY, "", False, {}, {"exec": frozenset({shell})})]))
    (anomaly,) = other.do("/bin/sh")
    assert anomaly.severity >= Severity.HIGH
    assert "The baseline of this workload condemns it." in anomaly.reasons


def upgrade(world: Any, images: FakeImages) -> Site:
    """A workload that was stable in version 1 and now runs in version 2."""
    site = Site(world).routine(700, "/bin/cgi")
    site.learner.ask(images)
    world.workload = Workload(KEY, V2)
    return site.routine(60, "/bin/cgi", instances=("c3",))


def test_a_new_version_inherits_what_the_one_before_did(world: Any) -> None:
    site = upgrade(world, FakeImages({}))
    assert site.profile(V2).of("exec").units < 100
    assert site.do("/bin/cgi", container="c3") == []
    (anomaly,) = site.do("/bin/sh", "sh", "-i", container="c3")
    assert anomaly.state == "stable"


@pytest.mark.parametrize(
    ("images", "flags", "sentence"),
    [
        ({"sha256:1": (), V2: ("/bin/new",)}, 0, "explained by the image change: /bin/new came with it"),
        ({"sha256:1": ("/bin/new",), V2: ("/bin/new",)}, 0, "not explained by the image change: the image before had"),
        ({"sha256:1": (), V2: ()}, FileFlag.UPPER_LAYER, "not explained by the image change: /bin/new is not part"),
        ({V2: ("/bin/new",)}, 0, "cannot be told"),
    ],
)
def test_novelty_of_a_new_version_says_whether_the_image_explains_it(
    world: Any, images: dict[str, tuple[str, ...]], flags: int, sentence: str
) -> None:
    site = upgrade(world, FakeImages({(KEY, version): files for version, files in images.items()}))
    (anomaly,) = site.do("/bin/new", container="c3", flags=int(flags))
    assert any(sentence in reason for reason in anomaly.reasons), anomaly.reasons


def test_what_came_with_the_image_is_less_surprising_than_what_did_not(world: Any) -> None:
    surprises = []
    for before in ((), ("/bin/new",)):
        world.workload = Workload(KEY, "sha256:1")
        site = upgrade(world, FakeImages({(KEY, "sha256:1"): before, (KEY, V2): ("/bin/new",)}))
        surprises.append(site.do("/bin/new", container="c3")[0].surprise)
    assert surprises[0] < surprises[1] - 0.8
