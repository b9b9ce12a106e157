"""Findings: what they carry, how repeats fold, what is bounded."""

from typing import Any

from agent.detect.document import MAX_FIELDS, MAX_VALUE, RuntimeDocument, fields_of_category
from agent.detect.field import CATEGORIES
from agent.events import CallKind, PathOp, SocketOp
from agent.observation import Anomaly, Observation
from detection.finding import EntityKind, Kind, Role, Severity, Source, Technique
from detection.rules import RuleSet


def _shell(world: Any) -> Any:
    first = world.process("/bin/bash", "bash", tty=1)
    return world.process("/bin/bash", "bash", tty=1, exec_id=first.exec_id, entry_id=first.exec_id)


def test_a_finding_names_who_where_and_why(world: Any, bench: Any) -> None:
    shell = _shell(world)
    tool = world.process("/usr/bin/id", "id", entry_id=shell.exec_id, tty=1)
    (finding,) = bench.see(world.execs(tool, shell))
    assert (finding.source, finding.kind, finding.rule_id) == (Source.RUNTIME, Kind.RULE, "discovery-by-hand")
    assert finding.severity is Severity.LOW
    assert Technique("T1033", "discovery") in finding.techniques
    assert finding.time_ns == world.now_ns
    have = {(e.kind, e.role): e.id for e in finding.entities}
    assert have == {
        (EntityKind.PROCESS, Role.ACTOR): tool.exec_id,
        (EntityKind.PROCESS, Role.ENTRY): shell.exec_id,
        (EntityKind.CONTAINER, Role.ACTOR): "c" * 64,
        (EntityKind.POD, Role.ACTOR): "11111111-2222-3333-4444-555555555555",
        (EntityKind.POD_NAME, Role.ACTOR): "shop/web-7",
        (EntityKind.IMAGE, Role.ACTOR): "sha256:11",
        (EntityKind.SERVICE_ACCOUNT, Role.ACTOR): "shop/web",
        (EntityKind.ADDRESS, Role.ACTOR): "10.88.0.5",
        (EntityKind.WORKLOAD, Role.ACTOR): "k8s/shop/deployment/web/web",
        (EntityKind.NODE, Role.ACTOR): "node-1",
    }
    assert finding.fields["ParentImage"] == "/bin/bash"
    assert "tool: Image endswith '/id'" in finding.matched


def test_a_connection_names_its_peer_and_a_file_event_its_file(world: Any, bench: Any) -> None:
    process = world.process("/tmp/x", "x")
    (connect, _) = bench.see(world.connects(process, "::ffff:203.0.113.9", 4444))
    assert connect.entity(EntityKind.ADDRESS, Role.PEER).id == "203.0.113.9"
    assert connect.fields["DestinationIp"] == "203.0.113.9"
    (write,) = bench.see(world.writes(world.process("/bin/sh", "sh"), "/etc/ld.so.preload"))[-1:]
    assert write.entity(EntityKind.FILE, Role.TARGET).id == "/etc/ld.so.preload"


def test_a_relative_chmod_is_resolved_against_the_working_directory(world: Any, bench: Any) -> None:
    chmod = world.process("/bin/chmod", "chmod", "4755", "x", cwd="/tmp/.cache")
    (finding, _) = bench.see(world.chmods(chmod, "./x", 0o104755))
    assert finding.rule_id == "setuid-created"
    assert finding.fields["TargetFilename"] == "/tmp/.cache/x"


def test_the_same_event_and_rule_give_the_same_id_and_others_do_not(world: Any, bench: Any) -> None:
    event = world.execs(world.process("/tmp/x", "x"))
    other = world.execs(world.process("/tmp/y", "y"))
    again = type(bench)()
    (first,), (same,) = bench.see(event), again.see(event)
    assert first.id == same.id
    assert len(first.id) == 24
    assert bench.see(other)[0].id != first.id


def test_repeats_are_counted_under_the_first_ones_id(world: Any, bench: Any) -> None:
    events = [world.execs(world.process("/tmp/x", "x")) for _ in range(1000)]
    (first,) = bench.see(*events)
    assert first.count == 1
    assert bench.detector.flush(0) == []  # not due yet
    bench.clock.now_ns = 6_000_000_000
    (update,) = bench.detector.flush(bench.clock.now_ns)
    assert (update.id, update.count) == (first.id, 1000)
    assert update.time_ns == first.time_ns
    assert update.last_ns == events[-1].event.head.time_ns
    assert bench.detector.flush(120_000_000_000) == []  # nothing new to tell
    assert bench.detector.counters() == {"findings": 1, "repeats": 999, "windows": 0, "windows_evicted": 0}


def test_after_the_window_a_repeat_is_a_new_finding(world: Any, bench: Any) -> None:
    (first,) = bench.see(world.execs(world.process("/tmp/x", "x")))
    bench.clock.now_ns = 61_000_000_000
    (second,) = bench.see(world.execs(world.process("/tmp/x", "x")))
    assert second.id != first.id


def test_different_commands_sessions_and_containers_are_not_repeats(world: Any, host: Any, bench: Any) -> None:
    one, other = _shell(world), _shell(world)
    events = [
        world.execs(one),
        world.execs(other),
        world.execs(world.process("/usr/bin/id", "id", entry_id=one.exec_id), one),
        world.execs(world.process("/usr/bin/id", "id", entry_id=other.exec_id), other),
        world.execs(world.process("/usr/bin/id", "id", "-u", entry_id=one.exec_id), one),
    ]
    assert len(bench.see(*events)) == 7


def test_windows_are_bounded_and_no_count_is_lost_when_one_makes_room(world: Any, bench: Any) -> None:
    told = bench.see(world.execs(world.process("/tmp/x", "x")), world.execs(world.process("/tmp/x", "x")))
    told += bench.see(*(world.execs(world.process("/tmp/y", "y", str(n))) for n in range(8)))
    assert [f.count for f in told if f.fields["Image"] == "/tmp/x"] == [1, 2]
    assert bench.detector.counters()["windows_evicted"] == 1
    assert bench.detector.counters()["windows"] == 8


def test_drain_tells_every_count(world: Any, bench: Any) -> None:
    bench.see(*(world.execs(world.process("/tmp/x", "x")) for _ in range(3)))
    assert [f.count for f in bench.detector.drain()] == [3]
    assert bench.detector.drain() == []


def test_an_anomaly_becomes_a_finding_for_a_person(world: Any, bench: Any) -> None:
    anomaly = Anomaly(
        behaviour="exec",
        member="/bin/httpd → /bin/sh --password hunter2",
        surprise=4.2,
        severity=Severity.HIGH,
        state="stable",
        completeness=0.998,
        nearest=("/bin/httpd → /bin/cat",),
        reasons=("Seen in 0 of 40 units.", "The class is stable."),
        techniques=(Technique("T1059", "execution"),),
    )
    event = world.execs(world.process("/bin/sh", "sh"))
    findings = bench.detector.detect(Observation(event, (anomaly,)))
    (finding,) = findings
    assert (finding.kind, finding.rule_id, finding.severity) == (Kind.ANOMALY, "anomaly.exec", Severity.HIGH)
    assert finding.surprise == 4.2
    assert finding.profile == "stable, 99.8% complete"
    assert finding.reason == "Seen in 0 of 40 units. The class is stable."
    assert finding.matched == ("nearest known: /bin/httpd → /bin/cat",)
    assert "hunter2" not in str(finding.as_dict())
    assert bench.detector.detect(Observation(event, (anomaly,))) == []


def test_hostile_sizes_are_bounded(world: Any, bench: Any) -> None:
    argv = ("nc", "-e", "/bin/sh", *("\x1b[2J" + "é" * 60_000,) * 4)
    (finding,) = [f for f in bench.see(world.execs(world.process("/bin/nc", *argv))) if f.rule_id == "reverse-shell"]
    assert len(finding.fields) <= MAX_FIELDS
    for value in finding.fields.values():
        for text in value if isinstance(value, tuple) else (str(value),):
            assert len(text.encode()) <= MAX_VALUE
    assert all(len(m.encode()) <= 256 for m in finding.matched)


def test_secrets_never_reach_a_finding(world: Any, bench: Any) -> None:
    shell = _shell(world)
    parent = world.process("/bin/sh", "sh", "-c", "export API_TOKEN=s3cr3t-parent; run")
    tool = world.process("/usr/bin/curl", "curl", "-H", "Authorization: Bearer s3cr3t-header", "-u", "bob:s3cr3t-user",
                         "https://u:s3cr3t-url@h/?token=s3cr3t-query", "--password", "s3cr3t option",
                         entry_id=shell.exec_id)  # fmt: skip
    findings = bench.see(world.execs(tool, parent, shell))
    assert findings
    text = str([f.as_dict() for f in findings])
    assert "s3cr3t" not in text
    assert "[redacted]" in text


def test_every_field_extracts_from_every_event_of_its_category(world: Any, host: Any) -> None:
    for source in (world, host):
        process = source.process("/bin/busybox", "sh", "-c", "x")
        events = {
            "process_creation": source.execs(process),
            "file_event": source.chmods(process, "", 0o755),
            "file_access": source.opens(process, "/x"),
            "network_connection": source.accepts(process, "10.0.0.1", 5),
            "file_delete": source.changes(process, PathOp.UNLINK, "/x"),
            "file_rename": source.changes(process, PathOp.RENAME, "/x", "/y"),
            "dns_query": source.asks(process, "example.com", "192.0.2.1"),
            "socket_event": source.sockets(process, SocketOp.CREATE, 17, 3, 3),
            "process_access": source.calls(process, CallKind.PTRACE, 16, target=process),
            "privilege_change": source.calls(process, CallKind.CAPSET, 0, 1),
            "namespace_change": source.changes(process, PathOp.MOUNT, "/x", "/dev/sda", "ext4"),
            "kernel_call": source.calls(process, CallKind.MMAP_WX, 0, 4096, 7, 0x22),
        }
        assert events.keys() == CATEGORIES.keys()
        for category, event in events.items():
            document = RuntimeDocument(event, category, "n")
            assert set(document.keys()) == fields_of_category(category)
            values = {field: document.get(field) for field in document.keys()}  # noqa: SIM118
            assert values["Image"] == ("/bin/busybox", "/bin/sh")
            assert document.get("NoSuchField") is None
            assert (values["container.id"] is None) is (source is host)


def test_rules_can_be_replaced(world: Any, bench: Any) -> None:
    bench.detector.replace_rules(RuleSet.from_ir(()))
    assert bench.see(world.execs(world.process("/tmp/x", "x"))) == []
