"""Decisions hold for what was learned before they were made: condemned goes, locked out goes, accepted is known."""

from typing import Any

import pytest

from agent.learn.config import LearnConfig
from agent.learn.learner import Learner
from agent.learn.links import novelty_key
from detection.baseline.decision import DecisionBook, Decisions
from detection.baseline.profile import Profile, ProfileConfig
from detection.finding import Severity

KEY = "k8s/shop/deployment/web/web"
SLOT = 1_000_000_000
CGI, LOG = "/bin/httpd → /bin/cgi", "/bin/httpd → /srv/log"


@pytest.fixture
def learner(world: Any) -> Learner:
    """One that has seen a program start and a file written for some slots."""
    made = Learner(LearnConfig(slot_s=1.0, profile=ProfileConfig(target=0.05)))
    made.advance(world.now_ns)
    for _ in range(5):
        made.observe(world.exec("/bin/cgi"))
        made.observe(world.write("/srv/log"))
        world.now_ns += SLOT
        made.advance(world.now_ns)
    return made


def profile_of(learner: Learner) -> Profile:
    return next(iter(learner.profiles()))


def decide(learner: Learner, **decisions: Any) -> None:
    learner.decide(DecisionBook([Decisions(KEY, **decisions)]))


def test_a_known_behaviour_that_is_condemned_is_unlearned_and_raises_high(learner: Learner, world: Any) -> None:
    assert learner.observe(world.exec("/bin/cgi")).anomalies == ()
    decide(learner, condemned={"exec": frozenset({CGI})})
    assert CGI not in profile_of(learner).of("exec").members
    (told,) = (a for a in learner.observe(world.exec("/bin/cgi")).anomalies if a.behaviour == "exec")
    assert told.severity == Severity.HIGH
    assert "condemns it" in told.reasons[-1]


def test_a_lock_unlearns_what_it_does_not_accept_and_leaves_other_classes_alone(learner: Learner) -> None:
    decide(learner, lock=True, accepted={"write": frozenset()})
    assert not profile_of(learner).of("write").members
    assert CGI in profile_of(learner).of("exec").members


def test_what_the_kernel_takes_for_known_is_reported_again_once(learner: Learner, world: Any) -> None:
    event = world.write("/srv/log").event
    key = novelty_key(event)
    assert key is not None
    learner.recount([(key, 5)], world.now_ns)
    assert learner.orphans() == []
    decide(learner, condemned={"write": frozenset({LOG})})
    learner.recount([(key, 6)], world.now_ns)
    assert learner.orphans() == [key]
    assert learner.orphans() == []


def test_a_held_behaviour_that_is_accepted_is_known_at_once(learner: Learner, world: Any) -> None:
    known = profile_of(learner).of("exec")
    known.hold("/bin/httpd → /bin/sh", "c1", world.now_ns)
    decide(learner, accepted={"exec": frozenset({"/bin/httpd → /bin/sh"})})
    assert not known.quarantine
    assert "/bin/httpd → /bin/sh" in known.members
    assert learner.observe(world.exec("/bin/sh")).anomalies == ()


def test_decisions_taken_back_are_forgotten(learner: Learner, world: Any) -> None:
    decide(learner, lock=True, accepted={"exec": frozenset({CGI})})
    assert learner.observe(world.exec("/bin/new")).anomalies[0].severity == Severity.HIGH
    learner.decide(DecisionBook([]))
    assert all(a.severity < Severity.HIGH for a in learner.observe(world.exec("/bin/newer")).anomalies)


def test_unlearning_takes_back_what_the_member_counted_for(learner: Learner) -> None:
    known = profile_of(learner).of("exec")
    before = known.observed, known.incidences, known.units, known.slot_incidences
    known.unlearn(CGI)
    known.unlearn("/never/seen")
    assert (known.observed, known.incidences, known.units) == (before[0] - 1, before[1] - 5, before[2])
    assert known.slot_incidences == before[3] - 5


def test_an_accepted_directory_accepts_the_files_in_it_but_no_others() -> None:
    decided = Decisions(KEY, lock=True, accepted={"write": frozenset({"app → /srv/pictures/*.jpg"})})
    assert decided.accepts("write", "app → /srv/pictures/cat.jpg")
    assert not decided.accepts("write", "app → /srv/pictures/cat.sh")
    assert not decided.accepts("write", "other → /srv/pictures/cat.jpg")
    assert not decided.accepts("exec", "app → /srv/pictures/cat.jpg")
