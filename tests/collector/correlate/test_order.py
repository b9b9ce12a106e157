"""The same findings give the same incidents, in whatever order and however often they come."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.correlate import Correlator
from detection.finding import EntityKind

_NAMESPACES = ("shop", "billing")
_WORKLOADS = ("web", "api", "db")
_LEVELS = ("informational", "low", "low", "medium", "high")


def _runtime(make, rng, name, at):
    address = rng.choice(["", "", f"10.0.0.{rng.randint(1, 6)}"])
    entry = rng.choice(["", "", f"e{rng.randint(1, 3)}"])
    told = {"process.entry": True, "CommandLine": rng.choice(["/bin/sh", "id -u", ""])} if entry else {}
    return make.runtime(
        name,
        at,
        ns=rng.choice(_NAMESPACES),
        workload=rng.choice(_WORKLOADS),
        level=rng.choice(_LEVELS),
        techniques=rng.choice(["", "T1082:discovery", "T1528:credential-access", "T1059:execution"]),
        entry=entry and f"{entry}-{name[:1]}",
        host=rng.random() < 0.1,
        pod_uid=rng.random() < 0.8,
        address=address,
        peer=rng.choice(["", f"10.0.0.{rng.randint(1, 6)}"]),
        account=rng.choice(["", "shop/web", "shop/default"]),
        anomaly=rng.choice([0.0, 0.0, 3.5]),
        **told,
    )


def _audit(make, rng, name, at):
    namespace, workload = rng.choice(_NAMESPACES), rng.choice(_WORKLOADS)
    is_exec = rng.random() < 0.5
    caller = {"user": rng.choice(["alice", "bob", "system:anonymous"])}
    if rng.random() < 0.5:
        caller = {"account": rng.choice(["shop/web", "shop/default", "billing/cron"])}
    return make.audit(
        name,
        at,
        level=rng.choice(_LEVELS),
        obj=f"pods/{namespace}/{workload}-1" if rng.random() < 0.7 else f"secrets/{namespace}/",
        sub="exec" if is_exec else "",
        pod_uid=rng.choice(["", "", f"uid-{namespace}-{workload}"]),
        source_ip=rng.choice(["", "203.0.113.7", f"10.0.0.{rng.randint(1, 6)}"]),
        credential=rng.choice(["", "", "JTI=1", "JTI=2"]),
        event=f"ev-{rng.randint(1, 12)}-{name[-1]}",
        **({"exec.command": (rng.choice(["/bin/sh", "id"]),), "exec.container": ""} if is_exec else {}),
        **caller,
    )


def _findings(make, rng, number):
    """A crowded small world: few values, so that keys collide, hubs form and execs compete."""
    found = []
    for index in range(number):
        at = rng.choice([rng.uniform(0, 60), rng.uniform(0, 7200), rng.uniform(0, 40 * 3600)])
        maker = _runtime if rng.random() < 0.65 else _audit
        finding = maker(make, rng, f"{'abc'[index % 3]}{index}", at)
        found.append(replace(finding, id=f"{finding.id}-{index}"))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_any_permutation_and_duplication_gives_equal_incidents(make, summary, seed):
    rng = random.Random(seed)
    findings = _findings(make, rng, rng.randint(5, 60))
    expected = None
    for _ in range(4):
        order = findings + rng.sample(findings, len(findings) // 2)
        rng.shuffle(order)
        correlator = Correlator()
        for finding in order:
            correlator.add(finding)
        expected = expected or summary(correlator)
        assert summary(correlator) == expected
    assert sum(len(i["findings"]) for i in expected) <= len(findings)


@pytest.mark.parametrize("seed", range(20))
def test_what_was_given_out_ends_as_what_stands(make, seed):
    """A reader who keeps the newest revision of every id ends with exactly the standing incidents."""
    rng = random.Random(1000 + seed)
    findings = _findings(make, rng, 50)
    correlator, kept = Correlator(), {}
    while findings:
        batch, findings = findings[: rng.randint(1, 5)], findings[rng.randint(1, 5) :]
        for incident in correlator.add_many(batch):
            assert incident.id not in kept or incident.revision > kept[incident.id].revision
            kept[incident.id] = incident
    standing = {i.id: i for i in correlator.incidents()}
    assert {k: v for k, v in kept.items() if not v.superseded_by and k in standing} == standing
    assert all(v.superseded_by for k, v in kept.items() if k not in standing)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(13)), repeated=st.lists(st.integers(0, 12), max_size=6))
def test_the_story_is_the_same_in_any_order(make, summary, order, repeated):
    findings = make.story() + make.noise()
    told = Correlator()
    told.add_many(findings)
    shuffled = Correlator()
    for index in [*order, *repeated]:
        shuffled.add(findings[index])
    assert summary(shuffled) == summary(told)


def _moved(finding, namespace, person):
    """The same finding, in another namespace, with other identities."""

    def rename(text):
        moved = text.replace("shop", namespace).replace("alice", person).replace("10.0.0.", "10.9.9.")
        return moved.replace("entry-1", f"entry-{namespace}").replace("JTI=1", f"JTI={namespace}")

    entities = tuple(
        replace(e, id=rename(e.id) if e.kind not in (EntityKind.NODE, EntityKind.IMAGE) else e.id)
        for e in finding.entities
    )
    entities = tuple(replace(e, id=f"{e.id}-{namespace}") if e.kind in _OWN else e for e in entities)
    return replace(finding, id=f"{finding.id}-{namespace}", entities=entities)


_OWN = (EntityKind.AUDIT_EVENT, EntityKind.PROCESS)


@pytest.mark.parametrize("seed", range(10))
def test_two_intrusions_in_two_namespaces_stay_two(make, seed):
    """At the same time, on the same node, from the same images."""
    story = [replace(f, entities=tuple(e for e in f.entities)) for f in make.story()]
    both = story + [_moved(f, "bank", "mallory") for f in story]
    random.Random(seed).shuffle(both)
    correlator = Correlator()
    correlator.add_many(both)
    incidents = correlator.incidents()
    assert sorted(len(i.findings) for i in incidents) == [10, 10]
    assert {i.actors[0].id for i in incidents} == {"alice@example.com", "mallory@example.com"}


@pytest.mark.parametrize("seed", range(10))
def test_unrelated_workloads_never_join(make, seed):
    rng = random.Random(seed)
    findings = [
        replace(f, id=f"{f.id}-{n}")
        for n in range(100)
        for f in [make.runtime(f"r{n}", rng.uniform(0, 9000), ns=f"ns{n % 25}", level="medium")]
    ]
    rng.shuffle(findings)
    correlator = Correlator()
    correlator.add_many(findings)
    incidents = correlator.incidents()
    assert len(incidents) == 25
    assert all(len({f.entity(EntityKind.POD).id for f in i.findings}) == 1 for i in incidents)
