"""What joins and what never does."""

from dataclasses import replace

import pytest

from collector.correlate import Config, Correlator
from collector.correlate.config import HOUR
from detection.finding import Entity, EntityKind, Role, Severity


def _incidents(*findings, config=None):
    correlator = Correlator(config)
    correlator.add_many(findings)
    return correlator.incidents()


def _keys(*findings):
    return [sorted({j.key for j in i.joins}) for i in _incidents(*findings)]


def test_node_image_and_namespace_alone_never_join(make):
    one = make.runtime("a", 0, workload="web")
    two = make.runtime("b", 1, workload="api")
    assert len(_incidents(one, two)) == 2


def test_host_findings_join_by_process_only(make):
    one = make.runtime("a", 0, host=True, process="p1", peer="198.51.100.1")
    same = make.runtime("b", 1, host=True, process="p1")
    other = make.runtime("c", 2, host=True, process="p2")
    assert sorted(len(i.findings) for i in _incidents(one, same, other)) == [1, 2]


def test_the_same_container_joins_within_the_window_only(make):
    near = make.runtime("b", 23 * 3600)
    far = make.runtime("c", 48 * 3600)
    assert sorted(len(i.findings) for i in _incidents(make.runtime("a", 0), near, far)) == [1, 2]


def test_the_window_slides_with_what_lies_between(make):
    findings = [make.runtime(str(day), day * 20 * 3600) for day in range(5)]
    assert [len(i.findings) for i in _incidents(*reversed(findings))] == [5]


def test_pod_name_and_uid_meet_through_a_finding_that_has_both(make):
    by_name = make.audit("exec", 0, user="alice", sub="exec")
    by_uid = make.audit("call", 5, account="shop/web", obj="secrets/shop/x", pod_uid="uid-shop-web", source_ip="")
    assert len(_incidents(by_name, by_uid)) == 2
    assert len(_incidents(by_name, by_uid, make.runtime("both", 2, level="informational"))) == 1


def test_a_connection_to_another_containers_address_joins_within_minutes(make):
    connect = make.runtime("egress", 0, peer="10.0.0.6")
    soon = make.runtime("shell", 60, workload="backend", address="10.0.0.6")
    late = make.runtime("shell", 3600, workload="backend", address="10.0.0.6")
    assert _keys(connect, soon) == [["peer_address"]]
    assert _keys(connect, late) == [[], []]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "not an address"])
def test_addresses_every_machine_has_join_nothing(make, address):
    connect = make.runtime("egress", 0, peer=address)
    assert len(_incidents(connect, make.runtime("shell", 1, workload="backend", address=address))) == 2


def test_an_address_owned_by_many_pods_loses_its_joining_power_in_any_order(make, summary):
    """Pods on the host's network all have the node's address."""
    connect = make.runtime("egress", 0, peer="10.0.0.6")
    owners = [make.runtime("shell", n, workload=f"w{n}", address="10.0.0.6") for n in range(1, 4)]
    for order in ([connect, *owners], [*owners, connect], [owners[0], connect, *owners[1:]]):
        incidents = _incidents(*order)
        assert len(incidents) == 4
        stated = "0: address 10.0.0.6 joins nothing: it is shared by too many places"
        assert all(stated in i.score_parts for i in incidents)


def test_only_the_account_shared_is_a_weak_join_that_fades(make):
    runtime = make.runtime("shell", 0, account="shop/web")
    confidences = []
    for at in (60, 1800, 4 * 3600):
        call = make.audit("secrets", at, account="shop/web", obj="secrets/shop/", source_ip="")
        (incident,) = _incidents(runtime, call)
        confidences.append(incident.joins[0].confidence)
    assert confidences == [0.6, 0.45, 0.3]


def test_two_replicas_of_one_account_are_not_related_by_it(make):
    one = make.runtime("shell", 0, workload="web", account="shop/app")
    two = make.runtime("shell", 1, workload="api", account="shop/app")
    assert len(_incidents(one, two)) == 2


def test_a_call_from_a_known_pod_joins_that_pod_and_not_its_sibling(make):
    one = make.runtime("shell", 0, workload="web", account="shop/app")
    two = make.runtime("shell", 1, workload="api", account="shop/app")
    call = make.audit("secrets", 9, account="shop/app", obj="secrets/shop/", pod_uid="uid-shop-api", source_ip="")
    groups = sorted(sorted(f.id for f in i.findings) for i in _incidents(one, two, call))
    assert groups == [["a-secrets", "f-shop-api-shell"], ["f-shop-web-shell"]]


def test_a_pod_created_by_an_actor_joins_what_happens_in_it(make):
    made = make.audit("create", 0, account="shop/web", obj="pods/shop/helper-1", level="high")
    inside = make.runtime("mount", 30, workload="helper")
    (incident,) = _incidents(made, inside)
    (join,) = incident.joins
    assert (join.key, join.confidence) == ("created_pod", 0.85)
    assert join.reason == "service account shop/web created pod shop/helper-1 at 12:00:00.0."


def test_what_happened_in_a_pod_before_one_of_that_name_was_created_is_not_joined(make):
    made = make.audit("create", 60, account="shop/web", obj="pods/shop/helper-1")
    assert len(_incidents(made, make.runtime("mount", 0, workload="helper"))) == 2


def test_system_users_join_nothing(make):
    calls = [make.audit(f"c{n}", n, user="system:anonymous", obj=f"secrets/ns{n}/", source_ip="") for n in (1, 2)]
    assert len(_incidents(*calls)) == 2


def test_the_rules_that_match_one_audit_event_belong_together(make):
    calls = [make.audit(f"c{n}", 1, user="system:anonymous", event="e1", source_ip="") for n in (1, 2)]
    assert _keys(*calls) == [["audit_event"]]


def _exec(make, name, at, user, **more):
    return make.audit(name, at, user=user, sub="exec", source_ip="", **{"exec.container": "web"}, **more)


def _entry(make, name, at, command="/bin/sh"):
    return make.runtime(name, at, process=name, entry=name, **{"process.entry": True, "CommandLine": command})


def test_of_two_execs_each_entry_gets_the_one_that_fits(make):
    alice = _exec(make, "e1", 10.0, "alice", **{"exec.command": ("/bin/sh",)})
    bob = _exec(make, "e2", 11.8, "bob", **{"exec.command": ("id",)})
    shell, ident = _entry(make, "p1", 12.0), _entry(make, "p2", 12.1, "id")
    (incident,) = _incidents(ident, alice, shell, bob)
    people = {f.id: f.entity(EntityKind.USER).id for f in incident.findings if f.id.startswith("f-")}
    assert people == {"f-shop-web-p1": "alice", "f-shop-web-p2": "bob"}


def test_a_better_match_replaces_an_earlier_one(make):
    far = _exec(make, "e1", 0.0, "bob")
    near = _exec(make, "e2", 9.9, "alice")
    correlator = Correlator()
    correlator.add_many([far, _entry(make, "p1", 10.0)])
    (before,) = correlator.incidents()
    assert before.findings[1].entity(EntityKind.USER).id == "bob"
    correlator.add(near)
    (after,) = correlator.incidents()
    assert after.findings[2].entity(EntityKind.USER).id == "alice"


def test_two_people_at_the_same_moment_lower_the_confidence(make):
    both = [_exec(make, "e1", 10.0, "alice"), _exec(make, "e2", 10.1, "bob")]
    (incident,) = _incidents(*both, _entry(make, "p1", 10.3))
    assert [j.confidence for j in incident.joins if j.key == "exec_audit_event"] == [0.75]


def test_an_exec_that_failed_or_names_another_container_opened_nothing(make):
    failed = _exec(make, "e1", 10.0, "alice", **{"responseStatus.code": 500})
    other = make.audit("e2", 10.0, user="bob", sub="exec", **{"exec.container": "sidecar"})
    (incident,) = _incidents(failed, other, _entry(make, "p1", 10.3))
    assert "exec_audit_event" not in {j.key for j in incident.joins}


def test_low_findings_alone_are_no_incident_but_join_later(make):
    low = [make.runtime(f"l{n}", n, level="low", techniques="T1082:discovery") for n in range(5)]
    correlator = Correlator()
    assert correlator.add_many(low) == []
    assert correlator.incidents() == []
    (incident,) = correlator.add(make.runtime("m", 9))
    assert len(incident.findings) == 6


def test_low_signs_of_three_tactics_are_an_incident(make):
    tactics = ("discovery", "execution", "persistence")
    low = [make.runtime(t, n, level="low", techniques=f"T1:{t}") for n, t in enumerate(tactics)]
    (incident,) = _incidents(*low)
    assert incident.severity is Severity.LOW


def test_a_single_medium_rule_stays_medium(make):
    (incident,) = _incidents(make.runtime("m", 0, techniques="T1059:execution"))
    assert (incident.severity, incident.score) == (Severity.MEDIUM, 30.0)


def test_a_link_found_later_merges_two_incidents_and_says_which_is_gone(make):
    one = make.runtime("a", 0, process="p1", address="10.0.0.5")
    two = make.audit("secrets", 50, user="carol", obj="secrets/shop/", source_ip="", credential="JTI=9")
    correlator = Correlator()
    first = {i.id for f in (one, two) for i in correlator.add(f)}
    link = make.audit("tokens", 40, user="carol", obj="tokens/shop/x", source_ip="10.0.0.5", credential="JTI=9")
    kept, lost = correlator.add(link)
    assert {kept.id, lost.id} == first
    assert (kept.superseded_by, lost.superseded_by) == ("", kept.id)
    assert lost.revision == 2
    assert [i.id for i in correlator.incidents()] == [kept.id]


def test_hostile_text_reaches_titles_and_reasons_without_control_characters(make):
    evil = make.audit("exec", 3.1, user="a\x1b[31m\u202eb", sub="exec")
    (incident,) = _incidents(evil, _entry(make, "p1", 3.3))
    shown = incident.title + "".join(j.reason for j in incident.joins)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_repeat_with_a_higher_count_updates_the_finding(make):
    finding = make.runtime("a", 0)
    correlator = Correlator()
    correlator.add(finding)
    assert correlator.add(finding) == []
    (changed,) = correlator.add(replace(finding, count=7, last_ns=finding.time_ns + 5))
    assert (changed.findings[0].count, changed.last_ns) == (7, finding.time_ns + 5)
    assert correlator.add(finding) == []


def test_restore_goes_on_where_the_store_left_off(make):
    story = make.story()
    before = Correlator()
    given = {i.id: i for f in story[:6] for i in before.add(f)}
    after = Correlator()
    after.restore(story[:6], given.values())
    assert after.add_many(story[:6]) == []
    (changed,) = after.add(story[6])
    assert changed.id in given
    assert changed.revision == given[changed.id].revision + 1


def test_expire_forgets_what_nothing_joined_for_a_window(make):
    correlator = Correlator()
    correlator.add_many([make.runtime("a", 0), make.runtime("b", 10, ns="other", level="low")])
    assert correlator.expire(make.runtime("x", 0).time_ns + 24 * HOUR) == 0
    assert correlator.expire(make.runtime("x", 0).time_ns + 25 * HOUR) == 2
    assert correlator.incidents() == []
    assert correlator.counters()["expired"] == 2


def test_an_incident_stays_small_and_counts_what_it_folds(make):
    correlator = Correlator(Config(max_members=20))
    noise = [replace(make.runtime("again", n), id=f"n{n:04}") for n in range(500)]
    correlator.add_many([*noise[:250], make.runtime("shell", 3, level="high"), *noise[250:]])
    (incident,) = correlator.incidents()
    assert len(incident.findings) <= 20
    assert sum(f.count for f in incident.findings) == 501
    assert correlator.counters()["folded"] == 501 - len(incident.findings)


def test_memory_is_bounded_and_quiet_findings_go_first(make):
    correlator = Correlator(Config(max_findings=100))
    alarm = make.runtime("alarm", 0, ns="first")
    correlator.add(alarm)
    for n in range(400):
        correlator.add(replace(make.runtime("low", n, ns=f"ns{n}", level="low")))
    counters = correlator.counters()
    assert counters["kept_findings"] <= 100
    assert counters["kept_findings"] + counters["evicted_quiet"] == 401
    assert [i.findings[0].id for i in correlator.incidents()] == [alarm.id]


def test_a_finding_with_countless_keys_is_cut_and_counted(make):
    many = tuple(Entity(EntityKind.ADDRESS, f"10.1.{n // 250}.{n % 250}", Role.PEER) for n in range(2000))
    finding = make.runtime("a", 0)
    correlator = Correlator()
    correlator.add(replace(finding, entities=finding.entities + many))
    assert correlator.counters()["dropped_findings_with_many_keys"] == 1


def test_a_novelty_of_a_learning_profile_does_not_join_by_its_place(make):
    connect = make.runtime("egress", 0, peer="10.0.0.6")
    learned = make.runtime("page", 1, level="informational", anomaly=2.2, workload="backend", address="10.0.0.6")
    beside = make.runtime("cron", 2, level="informational", anomaly=2.2)
    assert [len(i.findings) for i in _incidents(connect, learned, beside)] == [1]


def test_a_connection_between_places_that_both_raised_something_is_lateral_movement(make):
    connect = make.runtime("egress", 0, peer="10.0.0.6", techniques="T1059:execution")
    shell = make.runtime("shell", 60, workload="backend", address="10.0.0.6")
    (incident,) = _incidents(connect, shell)
    assert incident.tactics == ("execution", "lateral-movement")
