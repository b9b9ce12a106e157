"""Runtimes are asked as soon as a cgroup appears, believed where they do not contradict it, never waited for."""

from dataclasses import replace
from typing import Any

import pytest

from agent.events import Event, EventType
from agent.identify.identify import Identifier
from agent.identify.paths import Limits
from agent.identify.sources import FakeEngines, Said, Standing
from agent.workload import Identified, Owner

ID = "cd" * 32
UID = "0d9a3c1e-1111-4222-8333-444455556666"
CGROUP = f"/kubepods/burstable/pod{UID}/{ID}"
DIGEST = "sha256:" + "9" * 64
SAID = Said(
    id=ID,
    source="cri",
    runtime="cri-containerd",
    name="web",
    image="registry.local/shop:1",
    image_digest=f"registry.local/shop@{DIGEST}",
    pod_uid=UID,
    pod_name="shop-7d4b9c5f68-x2kzq",
    namespace="prod",
    service_account="shop",
    labels={"pod-template-hash": "7d4b9c5f68", "app": "shop"},
    created_ns=1_700_000_000_000_000_000,
)


def _see(identifier: Identifier, event: Event) -> Identified:
    seen = identifier.identify(event)
    assert seen is not None
    return seen


@pytest.fixture
def engines() -> FakeEngines:
    """A CRI that knows one container."""
    engines = FakeEngines()
    engines.known[ID] = SAID
    return engines


@pytest.fixture
def identifier(host: Any, engines: FakeEngines) -> Identifier:
    """Over the fake host, with the runtime behind it."""
    return Identifier("boot", host.paths, Limits(sweep=0), engines)


def test_a_container_is_known_before_its_first_event_where_the_runtime_was_quick(
    host: Any, engines: FakeEngines, identifier: Identifier
) -> None:
    """Asked when its cgroup was made; everything the runtime said is on the first exec."""
    cgroup = host.mkdir(CGROUP)
    identifier.identify(host.cgroup_event(EventType.CGROUP_MKDIR, cgroup, CGROUP))
    assert [(q.id, q.pod_uid) for q in engines.asked] == [(ID, UID)]
    engines.answer()
    identifier.hear(host.now)
    seen = _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    container = seen.container
    assert container is not None
    assert (container.complete, container.awaited, container.sandbox) == (True, "", False)
    assert (container.name, container.image_digest, container.owner) == ("web", DIGEST, Owner("deployment", "shop"))
    assert (container.service_account, container.created_ns) == ("shop", SAID.created_ns)
    assert (seen.workload.key, seen.workload.version) == ("k8s/prod/deployment/shop/web", DIGEST)
    assert len(engines.asked) == 1


def test_until_the_runtime_answers_a_container_is_incomplete_although_its_files_are_there(
    host: Any, engines: FakeEngines, identifier: Identifier
) -> None:
    """Its word is better than the files'; `renewed` gives an old event what is known later."""
    cgroup = host.mkdir(CGROUP)
    host.runc_state(ID, CGROUP, root="containerd/runc/k8s.io", annotations={"io.kubernetes.cri.container-name": "web"})
    early = _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    assert early.container is not None
    assert early.container.complete is False
    engines.answer()
    identifier.hear(host.now)
    late = identifier.renewed(early)
    assert late.container is not None
    assert (late.container.complete, late.container.init_pid, late.workload.key) == (
        True,
        100,
        "k8s/prod/deployment/shop/web",
    )
    assert late.event is early.event


def test_what_the_runtime_does_not_know_is_described_by_its_files(
    host: Any, engines: FakeEngines, identifier: Identifier
) -> None:
    """The last word "unknown" ends the waiting."""
    engines.known.clear()
    cgroup = host.mkdir(CGROUP)
    facts = {
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.sandbox-name": "db-0",
        "io.kubernetes.cri.sandbox-namespace": "p",
    }
    host.runc_state(ID, CGROUP, root="containerd/runc/k8s.io", annotations=facts)
    _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    engines.answer()
    identifier.hear(host.now)
    (container,) = identifier.containers()
    assert (container.complete, container.awaited, container.name) == (True, "", "web")
    assert identifier.living() == (
        (ID, identifier.renewed(_see(identifier, host.open(host.task(100, 10_000, cgroup), "/f"))).workload),
    )


def test_a_runtime_that_is_down_is_not_waited_for_and_is_told_as_awaited(
    host: Any, engines: FakeEngines, identifier: Identifier
) -> None:
    """Files describe it at once; when the runtime is back it is asked again, and adds what it knows."""
    engines.standing = Standing.DOWN
    cgroup = host.mkdir(CGROUP)
    facts = {
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.sandbox-name": "db-0",
        "io.kubernetes.cri.sandbox-namespace": "p",
    }
    host.runc_state(ID, CGROUP, root="containerd/runc/k8s.io", annotations=facts)
    seen = _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    assert seen.container is not None
    assert (seen.container.complete, seen.container.awaited, seen.container.image_digest) == (True, "cri", "")
    identifier.tick(host.now)
    engines.standing = Standing.UP
    identifier.tick(host.now)
    (container,) = identifier.containers()
    assert container.complete is True
    engines.answer()
    identifier.hear(host.now)
    (container,) = identifier.containers()
    assert (container.awaited, container.image_digest, container.pod_name) == ("", DIGEST, SAID.pod_name)


@pytest.mark.parametrize("lie", [{"pod_uid": "ffffffff-1111-4222-8333-444455556666"}, {"id": "ab" * 32}])
def test_an_answer_that_contradicts_the_cgroup_is_refused(
    host: Any, engines: FakeEngines, identifier: Identifier, lie: dict[str, str]
) -> None:
    """Another pod's name on this pod's cgroup would be a wrong container."""
    engines.known[ID] = replace(SAID, **lie)
    cgroup = host.mkdir(CGROUP)
    _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    engines.answer()
    identifier.hear(host.now)
    (container,) = identifier.containers()
    assert (container.complete, container.pod_name) == (False, "")
    assert identifier.dropped()["identify_runtime_contradicts_cgroup"] == 1


def test_hostile_values_are_left_out_one_by_one(host: Any, engines: FakeEngines, identifier: Identifier) -> None:
    """Escapes, a path as a name, a huge image: those fields stay empty and are counted, the rest stands."""
    bad = replace(SAID, name="\x1b[31mweb", namespace="../prod", image="a" * 10_000, labels={"k" * 999: "v", "ok": "1"})
    engines.known[ID] = bad
    cgroup = host.mkdir(CGROUP)
    _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/bin/x"))
    engines.answer()
    identifier.hear(host.now)
    (container,) = identifier.containers()
    assert (container.name, container.namespace, container.image) == (ID, "", "")
    assert (dict(container.labels), container.image_digest) == ({"ok": "1"}, DIGEST)
    assert identifier.dropped()["identify_metadata_malformed"] == 3


def test_a_pods_sandbox_is_told_apart_and_not_waited_for(
    host: Any, engines: FakeEngines, identifier: Identifier
) -> None:
    """Its files say so; runtimes list a pod only when its sandbox runs."""
    cgroup = host.mkdir(CGROUP)
    host.runc_state(
        ID, CGROUP, root="containerd/runc/k8s.io", annotations={"io.kubernetes.cri.container-type": "sandbox"}
    )
    seen = _see(identifier, host.exec(host.task(100, 10_000, cgroup), "/pause"))
    assert seen.container is not None
    assert (seen.container.complete, seen.container.sandbox, seen.container.name) == (True, True, "POD")


def test_two_hundred_containers_leave_nothing_behind(host: Any, engines: FakeEngines, identifier: Identifier) -> None:
    """Made, seen and removed, with answers early, late and never: after the grace period every table is empty."""
    ids = [f"{i:064x}" for i in range(1, 201)]
    for i, container_id in enumerate(ids):
        path = f"/kubepods/pod{UID}/{container_id}"
        cgroup = host.mkdir(path)
        if i % 3:
            engines.known[container_id] = replace(SAID, id=container_id, name=f"c{i}")
        identifier.identify(host.cgroup_event(EventType.CGROUP_MKDIR, cgroup, path))
        if i % 2:
            engines.answer()
            identifier.hear(host.now)
        task = host.task(1000 + i, 10_000 + i, cgroup)
        seen = _see(identifier, host.exec(task, "/bin/x"))
        assert seen.container is not None
        assert seen.container.id == container_id
        engines.answer()
        identifier.hear(host.now)
        known = identifier.container(container_id)
        assert known is not None
        assert known.name == (f"c{i}" if i % 3 else container_id[:12])
        identifier.identify(host.exit(task))
        (host.cgroup_root / path.lstrip("/")).rmdir()
        identifier.identify(host.cgroup_event(EventType.CGROUP_RMDIR, cgroup, path))
    residents = identifier._residents
    assert identifier.containers() == ()
    identifier.tick(host.now + 60_000_000_000)
    assert [len(residents._by_path), len(residents._by_id), len(residents._leaving), len(residents._by_cgroup)] == [
        0
    ] * 4
    assert len(residents._describer._early) == 0
