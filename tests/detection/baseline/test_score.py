"""How surprise grows, and how severity follows it and the state of the class."""

from ipaddress import ip_address

import pytest

from detection.baseline.priors import Touch, path_touches, peer_touches, program_touches
from detection.baseline.profile import ClassProfile, ProfileConfig, State
from detection.baseline.score import Novelty, ScoreConfig, score
from detection.baseline.similarity import nearest, similarity, tokens
from detection.finding import Severity

CONFIG = ScoreConfig()
SHELL = Novelty(
    "exec", "/bin/httpd → /bin/sh -i", "/bin/sh was never started like this by /bin/httpd", program_touches("/bin/sh")
)


def learned(units: int, target: float = 0.05) -> ClassProfile:
    behaviours = ClassProfile(ProfileConfig(target=target, clean_units=20))
    for _ in range(units):
        for name in ("/bin/httpd → /bin/cgi <n>", "runtime → /bin/httpd -f"):
            member = behaviours.members.get(name)
            behaviours.see(member, "c1", 1) if member else behaviours.learn(name, "c1", 1)
        behaviours.close_slot({"c1"})
    return behaviours


def test_nothing_surprises_a_profile_that_knows_nothing() -> None:
    verdict = score(SHELL, ClassProfile(ProfileConfig()), CONFIG)
    assert (verdict.surprise, verdict.severity, verdict.state) == (0.0, None, State.LEARNING)


def test_surprise_grows_with_completeness() -> None:
    surprises = [score(SHELL, learned(n), CONFIG).surprise for n in (10, 50, 200, 2000)]
    assert surprises == sorted(surprises)
    assert surprises[-1] > surprises[0] + 2


def test_a_shell_in_a_stable_class_is_high_and_says_why() -> None:
    verdict = score(SHELL, learned(500), CONFIG)
    assert (verdict.state, verdict.severity) == (State.STABLE, Severity.HIGH)
    assert verdict.reasons[0].startswith(
        "/bin/sh was never started like this by /bin/httpd in 500 units of 1 instance; "
        "profile exec is stable: 100.0 % complete (unseen ≤ 1.1 %)"
    )
    assert any("is a shell" in reason for reason in verdict.reasons)
    assert any("nearest known behaviour is /bin/httpd → /bin/cgi <n>" in reason for reason in verdict.reasons)


def test_while_learning_at_most_the_configured_severity() -> None:
    verdict = score(SHELL, learned(60, target=0.001), CONFIG)
    assert (verdict.state, verdict.severity) == (State.LEARNING, Severity.INFORMATIONAL)
    assert score(SHELL, learned(60, target=0.001), ScoreConfig(learning_cap=None)).severity is None


def test_loss_after_stability_caps_but_never_silences() -> None:
    behaviours = learned(500)
    behaviours.note_loss()
    verdict = score(SHELL, behaviours, CONFIG)
    assert (verdict.state, verdict.severity) == (State.LOSSY, Severity.MEDIUM)
    assert "events were lost" in verdict.reasons[0]


def test_what_resembles_the_known_surprises_less() -> None:
    near = Novelty("exec", "/bin/httpd → /bin/cgi <n> -v", "x")
    far = Novelty("exec", "outside → /opt/thing", "x")
    behaviours = learned(300)
    assert score(near, behaviours, CONFIG).surprise < score(far, behaviours, CONFIG).surprise


def test_agreement_of_instances_lowers_surprise() -> None:
    alone = Novelty("exec", "/bin/httpd → /bin/new", "x")
    shared = Novelty("exec", "/bin/httpd → /bin/new", "x", instances=10)
    behaviours = learned(300)
    difference = score(alone, behaviours, CONFIG).surprise - score(shared, behaviours, CONFIG).surprise
    assert difference == pytest.approx(1.0)


def test_touches_name_what_matters() -> None:
    assert path_touches("/etc/ld.so.preload")[0].weight == 2.0
    assert path_touches("/home/a/.ssh/authorized_keys")[0].weight == 2.0
    assert path_touches("/var/log/app.log") == ()
    assert peer_touches(ip_address("169.254.169.254"), 80)[0].weight == 2.0
    assert peer_touches(ip_address("127.0.0.1"), 80) == ()
    assert [t.weight for t in peer_touches(ip_address("8.8.8.8"), 22)] == [1.0, 0.7]
    assert program_touches("/tmp/x") == (Touch(1.5, "/tmp/x lies where programs do not belong"),)
    assert program_touches("/bin/busybox:nc")[0].reason == "/bin/busybox:nc is a network tool"
    assert program_touches("/usr/bin/python3.11")[0].weight == 0.6


def test_similarity_is_an_edit_similarity() -> None:
    assert similarity(("a", "b", "c"), ("a", "b", "c")) == 1.0
    assert similarity(("a", "b"), ("c",)) == 0.0
    assert similarity(("a", "b", "c"), ("a", "c")) == 2 * 2 / 5


def test_addresses_are_near_when_their_networks_are() -> None:
    known = ["/bin/a → tcp 10.0.0.5:80", "/bin/a → tcp 10.9.0.5:81", "/bin/a → tcp 192.168.7.7:80"]
    assert nearest("/bin/a → tcp 10.0.0.6:80", known)[0].name == known[0]


def test_an_actor_is_not_mistaken_for_a_deed() -> None:
    assert not set(tokens("/bin/sh → /x")) & set(tokens("/x → /bin/sh"))


def test_looking_for_neighbours_is_bounded() -> None:
    known = [f"/bin/a → /d/{n}" for n in range(5000)]
    assert len(nearest("/bin/a → /d/4999", known)) == 3
    assert nearest("/bin/a → /d/4999", known)[0].similarity < 1.0, "members beyond the bound are not looked at"
