"""The demo's story, told by hand-made findings, is one incident that explains itself."""

from collector.correlate import Correlator
from detection.finding import EntityKind, Role, Severity, Source


def _told(make, findings):
    correlator = Correlator()
    for finding in findings:
        correlator.add(finding)
    return correlator.incidents()


def test_the_whole_story_is_one_incident_and_the_noise_stays_out(make):
    incidents = _told(make, make.story() + make.noise())
    assert len(incidents) == 1
    assert {f.id for f in incidents[0].findings} == {f.id for f in make.story()}
    assert [f.time_ns for f in incidents[0].findings] == sorted(f.time_ns for f in make.story())


def test_it_names_the_person_first_and_says_what_happened(make):
    (incident,) = _told(make, make.story())
    assert incident.actors[0].kind is EntityKind.USER
    assert incident.actors[0].id == "alice@example.com"
    assert incident.actors[1].id == "shop/web"
    assert incident.title == (
        "alice@example.com → shop/web: hands-on exec, discovery, dropped binary, token theft, "
        "lateral movement to shop/backend, beacon, secrets listed, privileged pod created"
    )


def test_runtime_and_audit_with_four_tactics_is_critical(make):
    (incident,) = _told(make, make.story())
    assert incident.severity is Severity.CRITICAL
    assert incident.sources == ("kubernetes-audit", "runtime")
    assert 85 <= incident.score <= 100
    assert incident.tactics == (
        "execution", "privilege-escalation", "credential-access",
        "discovery", "lateral-movement", "command-and-control",
    )  # fmt: skip


def test_every_kind_of_join_is_shown_with_its_reason(make):
    (incident,) = _told(make, make.story())
    keys = {join.key for join in incident.joins}
    assert keys == {
        "exec_audit_event", "process_tree", "peer_address", "pod_uid", "source_address", "service_account",
        "service_account_token", "credential",
    }  # fmt: skip
    exec_join = next(join for join in incident.joins if join.key == "exec_audit_event")
    assert exec_join.confidence == 0.95
    assert exec_join.reason == (
        "alice@example.com opened a shell in pod shop/web-1 at 12:00:03.1; "
        "0.2 s later /bin/sh entered container web from outside."
    )
    assert all(0 < join.confidence <= 1 and join.reason.endswith(".") for join in incident.joins)


def test_joins_connect_all_findings_and_go_from_earlier_to_later(make):
    (incident,) = _told(make, make.story())
    order = {finding.id: place for place, finding in enumerate(incident.findings)}
    reached = {incident.findings[0].id}
    for _ in incident.joins:
        for join in incident.joins:
            assert order[join.from_finding] < order[join.to_finding]
            if reached & {join.from_finding, join.to_finding}:
                reached |= {join.from_finding, join.to_finding}
    assert reached == set(order)


def test_everything_below_the_entry_has_the_person_as_an_actor(make):
    (incident,) = _told(make, make.story())
    for finding in incident.findings:
        if finding.source is Source.RUNTIME:
            below = finding.entity(EntityKind.PROCESS, Role.ENTRY) is not None
            assert (finding.entity(EntityKind.USER, Role.ACTOR) is not None) == below


def test_an_audit_record_that_comes_minutes_late_upgrades_the_same_incident(make):
    correlator = Correlator()
    exec_event, *rest = make.story()
    for finding in rest:
        correlator.add(finding)
    (before,) = correlator.incidents()
    (changed,) = correlator.add(exec_event)
    assert changed.id == before.id
    assert changed.revision > before.revision
    assert changed.actors[0].id == "alice@example.com"
