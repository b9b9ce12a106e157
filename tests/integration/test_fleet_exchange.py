"""Profiles over the real wire: from agents to the collector, merged, and back; what people decide; who lies."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from vedette.v1 import agent_pb2, agent_pb2_grpc

from agent.exchange import Exchange
from agent.uplink.profiles import profile_message
from cli.certificates import Role
from collector.errors import QueryError
from collector.fleet import FleetOptions
from collector.publish.baseline_client import BaselineClient
from collector.publish.client import open_channel
from detection.baseline.decision import Decisions
from detection.baseline.parts import Part, Update
from detection.baseline.profile import Profile, ProfileConfig, State
from detection.baseline.snapshot import ClassSnapshot, Shown, Window, profile_of

WEB, V1, V2 = "k8s/shop/deployment/web/web", "sha256:1", "sha256:2"
QUICK = FleetOptions(merge_every_s=0.05)
CGI, SHELL, LOG = "/bin/httpd → /bin/cgi *", "/bin/httpd → /bin/sh -i", "/bin/httpd → /var/log/*.log"
SLOT = 60 * 10**9


def learned(units: int, *members: str, version: str = V1, instance: str = "c1") -> Profile:
    """A profile whose every unit showed these members, the last one just now."""
    start = time.time_ns() // SLOT - units + 1
    profile = Profile(WEB, version, ProfileConfig())
    profile.witnessed = 1
    known = profile.of("exec")
    for number in range(units):
        now = (start + number) * SLOT
        for member in members:
            row = known.row(member)
            known.touch(row if row >= 0 else known.take(member, instance, now), instance)
        profile.alive.add(instance)
        profile.close_slot(now)
    return profile


class Node:
    """One agent's exchange, told what its learner would tell it."""

    def __init__(self, exchange: Exchange, wait_until: Callable[..., None]) -> None:
        self.exchange = exchange
        self.wait_until = wait_until
        self.fleet: dict[tuple[str, str], Update] = {}
        self.decided: dict[tuple[str, str], Decisions] = {}

    def tell(self, *profiles: Profile) -> None:
        acked = self.exchange.counters().get("profiles_acked", 0)
        want = acked + len(profiles)

        def told() -> bool:
            self.exchange.offer(profiles, time.time_ns())
            return self.exchange.counters().get("profiles_acked", 0) >= want

        self.wait_until(told, self.exchange.counters)

    def look(self) -> None:
        self.fleet.update((update.key, update) for update in self.exchange.take_profiles())
        self.decided.update(((d.workload, d.version), d) for d in self.exchange.take_decisions())

    def profile(self, version: str = V1) -> Profile | None:
        self.look()
        update = self.fleet.get((WEB, version))
        return profile_of(update.snapshot, ProfileConfig()) if update else None

    def knows(self, *members: str, version: str = V1) -> bool:
        profile = self.profile(version)
        return profile is not None and set(profile.of("exec").members) == set(members)


@pytest.fixture
def node(make_agent: Any, wait_until: Any) -> Callable[..., Node]:
    return lambda collector, name, **more: Node(make_agent(collector.address, name=name, **more).exchange, wait_until)


def test_a_newcomer_learns_at_once_what_its_siblings_know(make_collector: Any, node: Any, wait_until: Any) -> None:
    collector = make_collector(fleet=QUICK)
    first, second, newcomer = (node(collector, name) for name in ("n1", "n2", "n3"))
    first.tell(learned(600, CGI))
    second.tell(learned(600, CGI, instance="c2"))
    newcomer.tell(Profile(WEB, V1, ProfileConfig()))
    wait_until(lambda: newcomer.knows(CGI), newcomer.exchange.counters)
    known = newcomer.profile()
    assert known is not None
    assert known.of("exec").state is State.STABLE
    assert known.of("egress").state is State.STABLE  # of which nobody ever showed anything
    assert collector.metrics.value("vedette_collector_fleet_profiles") == 1


def test_what_one_agent_showed_waits_for_another_and_goes_out_when_it_comes(
    make_collector: Any, node: Any, wait_until: Any
) -> None:
    collector = make_collector(fleet=QUICK)
    first, second = node(collector, "n1"), node(collector, "n2")
    first.tell(learned(100, CGI, SHELL))
    second.tell(learned(100, CGI, instance="c2"))
    wait_until(lambda: second.knows(CGI))
    profile = second.profile()
    assert profile is not None
    assert set(profile.of("exec").quarantine) == {SHELL}
    second.tell(learned(101, CGI, SHELL, instance="c2"))
    wait_until(lambda: second.knows(CGI, SHELL))


def test_changes_are_sent_as_changes_and_add_up_to_the_whole(
    make_collector: Any, node: Any, wait_until: Any, tmp_path: Path
) -> None:
    collector = make_collector(fleet=QUICK)
    one = node(collector, "n1")
    many = [f"/bin/httpd → /bin/tool-{i}" for i in range(300)]
    profile = learned(40, CGI, *many)
    one.tell(profile)
    size = one.exchange.counters()["profiles_sent"]
    now = time.time_ns()
    profile.of("exec").learn(SHELL, "c1", now)
    profile.alive.add("c1")
    profile.close_slot(now)
    one.tell(profile)
    assert one.exchange.counters()["profiles_sent"] == size + 1
    with open_channel(collector.address, None) as channel:
        baseline = BaselineClient(channel).baseline(WEB)
    assert baseline.snapshot.classes["exec"].members.keys() == {CGI, SHELL, *many}
    assert baseline.snapshot.classes["exec"].units == 41


def test_profiles_survive_a_collector_restart_and_changes_go_on(
    make_collector: Any, node: Any, wait_until: Any
) -> None:
    collector = make_collector(fleet=QUICK)
    first, second = node(collector, "n1"), node(collector, "n2")
    first.tell(learned(100, CGI))
    second.tell(learned(100, CGI, instance="c2"))
    collector.stop()
    again = make_collector(fleet=QUICK)
    third = node(again, "n3")
    third.tell(Profile(WEB, V1, ProfileConfig()))
    wait_until(lambda: third.knows(CGI))
    first.tell(learned(120, CGI, SHELL))
    second.tell(learned(120, CGI, SHELL, instance="c2"))
    wait_until(lambda: third.knows(CGI, SHELL))
    assert again.metrics.value("vedette_collector_profiles_total", result="whole_asked") == 0


def test_a_collector_that_lost_its_database_asks_for_the_whole(
    make_collector: Any, node: Any, wait_until: Any, tmp_path: Path
) -> None:
    collector = make_collector(fleet=QUICK)
    one = node(collector, "n1")
    one.tell(learned(100, CGI))
    collector.stop()
    for file in tmp_path.glob("c.db*"):
        file.unlink()
    again = make_collector(fleet=QUICK)
    one.tell(learned(130, CGI, SHELL))
    assert again.metrics.value("vedette_collector_profiles_total", result="whole_asked") == 1
    with open_channel(again.address, None) as channel:
        assert BaselineClient(channel).baseline(WEB).snapshot.classes["exec"].members.keys() == {CGI, SHELL}


def test_a_new_version_starts_with_its_predecessors_knowledge_at_less_weight(
    make_collector: Any, node: Any, wait_until: Any
) -> None:
    collector = make_collector(fleet=QUICK)
    first, second = node(collector, "n1"), node(collector, "n2")
    first.tell(learned(400, CGI))
    second.tell(learned(400, CGI, instance="c2"))
    second.tell(learned(2, SHELL, version=V2, instance="c9"))
    wait_until(lambda: second.knows(CGI, SHELL, version=V2))
    assert second.fleet[WEB, V2].inherited_from == V1
    profile = second.profile(V2)
    assert profile is not None
    assert profile.of("exec").units < 400


def test_what_people_decide_reaches_the_agents_that_run_it(make_collector: Any, node: Any, wait_until: Any) -> None:
    collector = make_collector(fleet=QUICK)
    one, other = node(collector, "n1"), node(collector, "n2")
    one.tell(learned(100, CGI, SHELL))
    other.tell(learned(100, CGI, instance="c2"))
    with open_channel(collector.address, None) as channel:
        people = BaselineClient(channel)
        people.decide(WEB, accept={"exec": [SHELL]}, condemn={"exec": [CGI]}, lock=True)
        wait_until(lambda: (other.look(), (WEB, V1) in other.decided)[1])
        wait_until(lambda: other.knows(SHELL))
        decided = other.decided[WEB, V1]
        assert decided.accepts("exec", SHELL)
        assert decided.condemns("exec", CGI)
        assert decided.locks("exec")
        assert people.summaries()[0].locked
        people.import_decisions([Decisions(WEB)])
        wait_until(lambda: (other.look(), not other.decided[WEB, V1])[1])
        assert people.baseline(WEB).decisions == ()


def test_decisions_survive_a_restart_and_a_broken_import_changes_nothing(make_collector: Any) -> None:
    collector = make_collector()
    good = Decisions(WEB, "", True, {"exec": frozenset({CGI}), "egress": frozenset()}, {})
    with open_channel(collector.address, None) as channel:
        assert BaselineClient(channel).import_decisions([good]) == 1
        bad = Decisions("other", "", False, {"no such class": frozenset({CGI})}, {})
        with pytest.raises(
            QueryError, match=r"accepted.no such class: no such class of behaviour.*nothing was changed"
        ):
            BaselineClient(channel).import_decisions([Decisions("third", "", True), bad])
    collector.stop()
    again = make_collector()
    with open_channel(again.address, None) as channel:
        people = BaselineClient(channel)
        assert people.decide(WEB) == good
        assert people.decide("third") == Decisions("third")


def test_a_list_costs_a_merge_only_of_what_has_changed(make_collector: Any, node: Any) -> None:
    collector = make_collector(fleet=FleetOptions(merge_every_s=60.0, merges_kept=1))
    one = node(collector, "n1")
    for version in ("a", "b", "c"):
        one.tell(learned(40, CGI, version=version))
    with open_channel(collector.address, None) as channel:
        people = BaselineClient(channel)
        first = people.summaries()
        merges = collector.metrics.value("vedette_collector_fleet_merge_seconds_count")
        assert people.summaries() == first
        assert collector.metrics.value("vedette_collector_fleet_merge_seconds_count") == merges
        one.tell(learned(60, CGI, SHELL, version="b"))
        assert [s.classes[0].members for s in people.summaries()] == [1, 2, 2]


def test_only_an_administrator_decides(make_collector: Any, pki: Any, tls: Any) -> None:
    collector = make_collector(listen=("127.0.0.1:0",), tls=tls(pki(Role.COLLECTOR, "c")))
    with open_channel(collector.address, tls(pki(Role.READER, "siem"))) as channel:
        assert BaselineClient(channel).summaries() == []
        with pytest.raises(QueryError, match="needs the certificate of admin"):
            BaselineClient(channel).decide(WEB, lock=True)
    agent = tls(pki(Role.AGENT, "n1"))
    with open_channel(collector.address, agent) as channel, pytest.raises(QueryError, match="of reader or admin"):
        BaselineClient(channel).summaries()


def talk(address: str, *messages: agent_pb2.AgentMessage, features: tuple[str, ...] = ("profiles",)) -> list[Any]:
    """What the collector answers to an agent that sends these after its hello."""
    hello = agent_pb2.Hello(agent_id="evil", stream_id="0" * 32, features=features)
    with grpc.insecure_channel(address) as channel:
        stream = agent_pb2_grpc.AgentServiceStub(channel).Connect(
            iter([agent_pb2.AgentMessage(hello=hello), *messages])
        )
        return list(stream)


def part(**changes: Any) -> Part:
    known = ClassSnapshot((Window(8, 1),), {CGI: Shown(1, 1, 1, 1)}, instances=1)
    values = {"workload": WEB, "version": V1, "number": 1, "run_id": "r", "classes": (("exec", known),)}
    return Part(**{**values, **changes})


@pytest.mark.parametrize(
    "bad",
    [
        part(workload=""),
        part(workload="w" * 1025),
        part(version="\x1b[31m"),
        part(number=0),
        part(base=5),
        part(part=2),
        part(parts=65),
        part(classes=(("nonsense", ClassSnapshot()),)),
        part(classes=(("exec", ClassSnapshot((Window(1, 2),))),)),
        part(classes=(("exec", ClassSnapshot(tuple(Window(1, 0) for _ in range(41)))),)),
        part(classes=(("exec", ClassSnapshot(members={"x" * 4097: Shown(1, 1, 1, 1)})),)),
        part(classes=(("exec", ClassSnapshot(condemned=frozenset(map(str, range(3000))))),)),
        part(classes=tuple((f"exec{'' if i else '/startup'}", ClassSnapshot()) for i in range(65))),
    ],
)
def test_a_profile_out_of_form_is_counted_and_ends_nothing(make_collector: Any, bad: Part) -> None:
    collector = make_collector()
    answers = talk(collector.address, profile_message(bad))
    assert [a.WhichOneof("body") for a in answers] == ["welcome"]
    assert collector.metrics.value("vedette_collector_messages_bad_total", cause="profile") == 1


def test_a_bomb_of_members_does_not_inflate(make_collector: Any) -> None:
    import zlib  # noqa: PLC0415

    collector = make_collector()
    message = profile_message(part())
    message.profile.classes[0].members = zlib.compress(b"[" + b"1," * (8 << 20) + b"1]", 9)
    talk(collector.address, message)
    assert collector.metrics.value("vedette_collector_messages_bad_total", cause="profile") == 1


def test_agents_and_collectors_of_other_versions_are_understood(
    make_collector: Any, make_agent: Any, make_finding: Any, wait_until: Any
) -> None:
    collector = make_collector()
    # An agent without the feature gets no more than it knows.
    answers = talk(collector.address, profile_message(part()), features=())
    assert [a.WhichOneof("body") for a in answers] == ["welcome"]
    # An agent with a message nobody knows yet goes on.
    unknown = agent_pb2.AgentMessage.FromString(b"\xfa\x07\x01x")  # field 127
    assert [a.WhichOneof("body") for a in talk(collector.address, unknown)] == ["welcome"]
    assert collector.metrics.value("vedette_collector_messages_bad_total", cause="unknown") == 1
    # A collector without the feature is never sent a profile.
    exchange = Exchange()
    exchange.connected(())
    exchange.offer([learned(10, CGI)], time.time_ns())
    assert exchange.next() is None


def test_what_is_stored_is_bounded_by_what_was_watched(make_collector: Any, tmp_path: Path, wait_until: Any) -> None:
    collector = make_collector()
    known = ClassSnapshot((Window(8, 1),), {CGI: Shown(1, 2**50, 1, 1, instances=2**50)}, instances=2)
    talk(collector.address, profile_message(part(classes=(("exec", known),))))
    wait_until(lambda: collector.metrics.value("vedette_collector_profiles_total", result="stored") == 1)
    with open_channel(collector.address, None) as channel:
        shown = BaselineClient(channel).baseline(WEB).snapshot.classes["exec"].members[CGI]
    assert (shown.units, shown.instances) == (8, 2)


def test_one_compromised_agent_cannot_teach_unlearn_or_silence_the_others(
    make_collector: Any, node: Any, wait_until: Any
) -> None:
    collector = make_collector(fleet=QUICK)
    nodes = [node(collector, f"n{i}") for i in range(3)]
    for number, one in enumerate(nodes):
        one.tell(learned(400, CGI, instance=f"c{number}"))
    known = ClassSnapshot(
        (Window(8, 8), Window(10**9, 0)),
        {SHELL: Shown(10**9, 10**9, 1, 1, instances=1000)},
        frozenset({CGI}),
        instances=1000,
    )
    talk(collector.address, profile_message(part(classes=(("exec", known),))))
    wait_until(lambda: collector.metrics.value("vedette_collector_profiles_total", result="stored") == 4)
    victim = node(collector, "n9")
    victim.tell(Profile(WEB, V1, ProfileConfig()))
    wait_until(lambda: victim.knows(CGI) and victim.fleet[WEB, V1].agents >= 4)
    profile = victim.profile()
    assert profile is not None
    assert profile.of("exec").condemned == {}
    assert SHELL not in profile.of("exec").members
    assert profile.of("exec").units < 2000  # the billion units it claims cannot be in two windows
    assert profile.of("exec").state is State.STABLE


def test_findings_do_not_wait_for_profiles(
    make_collector: Any, make_agent: Any, make_finding: Any, wait_until: Any, tmp_path: Path
) -> None:
    collector = make_collector(fleet=QUICK)
    agent = make_agent(collector.address)
    wait_until(lambda: agent.uplink.status().state == "streaming", agent.uplink.status)
    large = learned(2, *(f"/bin/httpd → /srv/{'x' * 200}/{i}" for i in range(1900)))
    agent.exchange.offer([large], time.time_ns())
    begun = time.monotonic()
    agent.report([make_finding(i) for i in range(200)])
    agent.wait_acked(200)
    assert time.monotonic() - begun < 5
    with sqlite3.connect(tmp_path / "c.db") as connection:
        assert connection.execute("SELECT count(*) FROM findings").fetchone() == (200,)
    wait_until(lambda: agent.exchange.counters().get("profiles_acked") == 1, agent.exchange.counters)
