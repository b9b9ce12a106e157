"""What travels beside the records of one connection."""

from vedette.v1 import agent_pb2, baseline_pb2

from agent.exchange import Exchange, ExchangeConfig
from agent.uplink.side import Side
from detection.baseline.profile import Profile, ProfileConfig

NOW = 10**18


def exchange() -> Exchange:
    made = Exchange(ExchangeConfig(least_s=0.0))
    made.connected(("profiles",))
    made.offer([Profile("w", "v", ProfileConfig())], NOW)
    return made


def test_the_sender_of_a_connection_that_is_over_takes_nothing() -> None:
    shared = exchange()
    old, new = Side(shared), Side(shared)
    old.closed()
    new.welcomed(("profiles",))
    shared.offer([Profile("w", "v", ProfileConfig())], NOW)
    assert old.next() is None
    message = new.next()
    assert message is not None
    assert message.profile.workload == "w"


def test_a_collector_of_an_older_version_gets_no_profile() -> None:
    shared = exchange()
    side = Side(shared)
    side.welcomed(())
    assert side.next() is None


def test_what_a_collector_sends_out_of_form_is_passed_over() -> None:
    shared = exchange()
    side = Side(shared)
    for message in (
        agent_pb2.CollectorMessage(),
        agent_pb2.CollectorMessage(fleet_profile=baseline_pb2.Profile()),
        agent_pb2.CollectorMessage(
            fleet_profile=baseline_pb2.Profile(
                workload="w", number=1, part=1, parts=1,
                classes=[baseline_pb2.ProfileClass(behaviour="exec", members=b"no zlib")],
            )
        ),
        agent_pb2.CollectorMessage(decisions=baseline_pb2.WorkloadDecisions()),
        agent_pb2.CollectorMessage(
            decisions=baseline_pb2.WorkloadDecisions(
                workload="w", classes=[baseline_pb2.ClassDecisions(behaviour="nonsense", listed=True)]
            )
        ),
    ):  # fmt: skip
        side.handle(message)
    assert shared.take_profiles() == []
    assert shared.take_decisions() == []
