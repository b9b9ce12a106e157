"""What leaves the agent: every value of a finding and a ledger, whatever the strings hold."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vedette.v1 import agent_pb2

from agent.errors import UplinkError
from agent.ledger import Ledger, LedgerEvent, ProfileState
from agent.source.port import ProbeState
from agent.uplink import Backoff, Credentials
from agent.uplink.channel import check_target, open_channel
from agent.uplink.wire import finding_payload, ledger_payload
from detection.finding import Entity, EntityKind, Finding, Kind, Role, Severity, Source, Technique

FULL = Finding(
    id="f",
    time_ns=10,
    last_ns=20,
    source=Source.RUNTIME,
    kind=Kind.ANOMALY,
    rule_id="exec",
    title="t",
    severity=Severity.CRITICAL,
    reason="r",
    techniques=(Technique("T1059", "execution"),),
    entities=(Entity(EntityKind.POD, "uid", Role.TARGET, "web"),),
    fields={"text": "x", "int": -(1 << 63), "big": 1 << 63, "real": 1.5, "no": False, "list": ("a",), "none": ()},
    matched=("m",),
    advice="a",
    count=7,
    surprise=4.5,
    profile="97 %",
    lossy=True,
)


def test_every_value_of_a_finding_is_there() -> None:
    sent = agent_pb2.Payload.FromString(finding_payload(FULL)).finding
    assert (sent.id, sent.time_ns, sent.last_ns, sent.severity, sent.count) == ("f", 10, 20, 5, 7)
    assert (sent.source, sent.kind, sent.surprise, sent.profile, sent.lossy) == (
        "runtime",
        "anomaly",
        4.5,
        "97 %",
        True,
    )
    assert (sent.entities[0].kind, sent.entities[0].role, sent.techniques[0].tactic) == ("pod", "target", "execution")
    kinds = {name: value.WhichOneof("value") for name, value in sent.fields.items()}
    assert kinds == {
        **{"text": "text", "int": "integer", "big": "text", "real": "real"},
        **{"no": "truth", "list": "list", "none": "list"},
    }
    assert sent.fields["big"].text == str(1 << 63)


@settings(max_examples=200)
@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_can_be_sent(one: str, other: str) -> None:
    finding = replace(FULL, title=one, fields={one: other, "l": (one, other)}, entities=())
    assert agent_pb2.Payload.FromString(finding_payload(finding)).HasField("finding")


def test_every_value_of_a_ledger_is_there() -> None:
    ledger = Ledger(
        time_ns=9,
        event=LedgerEvent.STOP,
        run_id="run",
        watching_since_ns=3,
        previous_entry_ns=2,
        probes=(ProbeState("exec", False, "refused"),),
        counters={"exec": {"lost_ring": 1 << 63}},
        container_ids=("c",),
        dropped={"spool_cap_low": 5},
        profiles=(ProfileState("w", "exec", "stable", 0.99, 12),),
    )
    sent = agent_pb2.Payload.FromString(ledger_payload(ledger)).ledger
    assert (sent.time_ns, sent.event, sent.run_id, sent.watching_since_ns, sent.previous_entry_ns) == (
        9,
        3,
        "run",
        3,
        2,
    )
    assert (sent.probes[0].consequence, sent.counters[0].counts["lost_ring"]) == ("refused", 1 << 63)
    assert (sent.dropped["spool_cap_low"], sent.profiles[0].members, list(sent.container_ids)) == (5, 12, ["c"])


@pytest.mark.parametrize("target", ["collector", "collector:x", ":4317", ""])
def test_a_target_that_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(UplinkError, match="write host:port"):
        check_target(target, None)


def test_certificate_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no certificate")
    with pytest.raises(UplinkError, match="issue them with `vedette pki`"):
        open_channel("127.0.0.1:1", Credentials(tmp_path / "x", tmp_path / "x", tmp_path / "x"))


def test_the_backoff_grows_to_its_bound_and_is_never_the_same_for_all() -> None:
    backoff = Backoff(0.25, 30)
    pauses = {n: [backoff.pause(n) for _ in range(50)] for n in (0, 3, 20, 10_000)}
    assert all(0.125 <= p <= 0.25 for p in pauses[0])
    assert all(1 <= p <= 2 for p in pauses[3])
    assert all(15 <= p <= 30 for p in pauses[20] + pauses[10_000])
    assert len(set(pauses[20])) > 1
