"""Runtime state on disk is hostile: whatever is there, identify goes on and counts it."""

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.identify.cgroups import find_layout
from agent.identify.images import image_of
from agent.identify.merge import merge
from agent.identify.metadata import describe
from agent.identify.paths import Limits
from agent.identify.records import Record, StateReader, below_mount
from agent.identify.runtimes import Runtimes
from agent.workload import Container

ID = "ab" * 32


def _runtimes(host: Any, **limits: int) -> tuple[Runtimes, Counter[str]]:
    counts: Counter[str] = Counter()
    return Runtimes(host.paths, find_layout(host.paths.cgroup), Limits(**limits), counts), counts


def _described(record: Record, host: Any, counts: Counter[str]) -> Container:
    said = describe(record, image_of(record, host.paths, counts))
    return merge(Container(record.id), [said], counts)


def test_runcs_state_is_found_by_cgroup_path_and_claims_what_is_below(host: Any) -> None:
    """The default path names the container; nested cgroups belong to it; a mere prefix of the name does not."""
    host.runc_state("web", "/web", init=(4, 44))
    runtimes, counts = _runtimes(host)
    record = runtimes.look_for("/web/nested/deep", host.now)
    assert record is not None
    assert (record.id, record.runtime, record.cgroup, record.init_pid, record.init_ticks) == (
        "web",
        "runc",
        "/web",
        4,
        44,
    )
    assert runtimes.look_for("/webby", host.now) is None
    assert not counts


def test_a_cgroups_path_of_its_own_is_found_through_the_index(host: Any) -> None:
    """linux.cgroupsPath need not contain the container's name."""
    host.runc_state("web", "/custom/place")
    runtimes, _ = _runtimes(host)
    record = runtimes.look_for("/custom/place", host.now)
    assert record is not None
    assert record.id == "web"


def test_a_container_that_claims_the_root_claims_nothing(host: Any) -> None:
    """Else the whole host would be in that container."""
    host.runc_state("greedy", "/")
    runtimes, _ = _runtimes(host)
    runtimes.refresh()
    assert runtimes.claiming("/system.slice/x.service") is None
    assert runtimes.claiming("/") is None


def test_a_removed_container_leaves_the_index(host: Any) -> None:
    """State gone, claim gone."""
    state = host.runc_state("web", "/place")
    runtimes, _ = _runtimes(host)
    runtimes.refresh()
    assert runtimes.claiming("/place") is not None
    state.unlink()
    state.parent.rmdir()
    runtimes.refresh()
    assert runtimes.claiming("/place") is None


def test_crun_state_takes_its_annotations_from_the_bundle(host: Any) -> None:
    """crun's status has the cgroup, pid and bundle; the bundle below the host's root has the rest."""
    directory = host.run / "crun" / ID
    directory.mkdir(parents=True)
    status = {"pid": 9, "process-start-time": 99, "cgroup-path": "/libpod_parent/x", "bundle": "/var/b"}
    (directory / "status").write_text(json.dumps(status))
    bundle = Path(host.paths.prefix) / "var/b"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text(
        json.dumps({"annotations": {"io.container.manager": "libpod"}, "hostname": "h"})
    )
    record = _runtimes(host)[0].by_id(ID)
    assert record is not None
    assert (record.runtime, record.init_pid, record.init_ticks, record.cgroup) == ("podman", 9, 99, "/libpod_parent/x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'{"id": 7}',
        b'{"id": "web", "cgroup_paths": [], "config": {}}',
        b'{"id": "other", "cgroup_paths": {}, "config": {}}',
        b'{"id": "web", "cgroup_paths": {"": 7}, "config": []}',
        b'{"pad": "' + b"x" * (3 << 20) + b'"}',
    ],
)
def test_garbage_state_is_counted_once_per_look_and_never_believed(host: Any, content: bytes) -> None:
    """Not JSON, wrong shape, wrong id, too large: no record, one count."""
    host.runc_state("web", "/web").write_bytes(content)
    runtimes, counts = _runtimes(host)
    assert runtimes.by_id("web") is None
    assert counts.total() == 1


def test_a_pipe_or_link_as_state_does_not_block_or_lead_astray(host: Any, tmp_path: Path) -> None:
    """A FIFO would hang a plain open; a link could point at any file of the host."""
    state = host.runc_state("web", "/web")
    real = tmp_path / "secret.json"
    state.rename(real)
    state.symlink_to(real)
    runtimes, counts = _runtimes(host)
    assert runtimes.by_id("web") is None
    state.unlink()
    os.mkfifo(state)
    assert runtimes.by_id("web") is None
    assert counts["state_unreadable"] == 2


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../runc/web", "\x1b[31m", "", "a" * 256, "x\0y", "\udcff"])
def test_an_id_that_is_a_path_or_worse_is_refused(host: Any, name: str) -> None:
    """Ids become file names: only what a runtime can have given passes."""
    host.runc_state("web", "/web")
    counts: Counter[str] = Counter()
    assert StateReader(("",), "", counts).read(f"{host.run}/runc", name, "") is None
    assert counts["state_bad_id"] == 1


def test_a_state_directory_full_of_junk_costs_a_bounded_number_of_reads(host: Any) -> None:
    """300 directories without state are tried five times each, then left alone; the container is still found."""
    for i in range(300):
        (host.run / "runc" / f"junk{i}").mkdir(parents=True)
        (host.run / "runc" / f"junk{i}" / "state.json").write_bytes(b"{")
    (host.run / "runc" / "bad\x1bname").mkdir()
    (host.run / "runc" / "file").touch()
    host.runc_state("web", "/odd/place")
    runtimes, counts = _runtimes(host)
    for _ in range(20):
        runtimes.refresh()
    assert runtimes.claiming("/odd/place") is not None
    assert counts["state_unreadable"] == 300 * 5


def test_the_index_is_bounded(host: Any) -> None:
    """More containers than the limit: the rest is counted, not held."""
    for i in range(12):
        host.runc_state(f"c{i}", f"/odd/{i}")
    runtimes, counts = _runtimes(host, records=10)
    runtimes.refresh()
    assert counts["state_root_crowded"] == 1
    assert sum(runtimes.claiming(f"/odd/{i}") is not None for i in range(12)) == 10


def test_huge_annotations_are_left_out_and_odd_names_refused(host: Any) -> None:
    """Values over 4 KiB and pairs over 256 do not enter; a name with an escape becomes "", counted."""
    many = {f"k{i}": "v" for i in range(1000)}
    evil = {"io.kubernetes.cri.sandbox-name": "\x1b[2Jpod", "io.kubernetes.cri.sandbox-namespace": "../../etc"}
    host.runc_state(ID, "/x", annotations={"huge": "h" * 100_000, **evil, **many})
    runtimes, counts = _runtimes(host)
    record = runtimes.by_id(ID)
    assert record is not None
    container = _described(record, host, counts)
    assert (container.pod_name, container.namespace) == ("", "")
    assert counts["metadata_malformed"] == 2
    assert len(container.labels) == 64
    assert "huge" not in record.annotations


def test_cri_annotations_become_the_pod(host: Any) -> None:
    """containerd's CRI plugin: pod, namespace, uid, container, image; sandboxes are told apart."""
    cri = "io.kubernetes.cri"
    facts = {
        f"{cri}.container-type": "container",
        f"{cri}.container-name": "web",
        f"{cri}.sandbox-name": "shop-7d4b9c5f68-x2kzq",
        f"{cri}.sandbox-namespace": "prod",
        f"{cri}.sandbox-uid": "u-1",
        f"{cri}.image-name": "registry.local/shop@sha256:" + "0" * 64,
    }
    host.runc_state(ID, "/x", root="containerd/runc/k8s.io", annotations=facts)
    host.runc_state(
        "cd" * 32, "/y", root="containerd/runc/k8s.io", annotations={**facts, f"{cri}.container-type": "sandbox"}
    )
    runtimes, counts = _runtimes(host)
    record, pause = runtimes.by_id(ID), runtimes.by_id("cd" * 32)
    assert record is not None
    assert pause is not None
    container = _described(record, host, counts)
    assert (container.runtime, container.name, container.pod_name, container.namespace, container.pod_uid) == (
        "cri-containerd",
        "web",
        "shop-7d4b9c5f68-x2kzq",
        "prod",
        "u-1",
    )
    assert container.image_digest == "sha256:" + "0" * 64
    assert _described(pause, host, counts).name == "POD"
    assert not counts


def test_docker_and_podman_add_name_and_image(host: Any) -> None:
    """Docker's config.v2.json; Podman's containers.json and images.json beside the bundle's store."""
    host.runc_state(ID, "/x", root="docker/moby")
    docker = Path(host.paths.docker_containers) / ID
    docker.mkdir(parents=True)
    config = {"Name": "/shop", "Image": "sha256:" + "1" * 64, "Config": {"Image": "shop:2", "Labels": {"team": "a"}}}
    (docker / "config.v2.json").write_text(json.dumps(config))
    other = "cd" * 32
    store = Path(host.paths.prefix) / "store"
    for name in ("overlay-containers", "overlay-images"):
        (store / name).mkdir(parents=True)
    entry = {"id": other, "image": "i1", "metadata": json.dumps({"name": "db", "image-name": "localhost/db:1"})}
    (store / "overlay-containers/containers.json").write_text(json.dumps([7, entry]))
    (store / "overlay-images/images.json").write_text(json.dumps([{"id": "i1", "digest": "sha256:" + "2" * 64}]))
    bundle = f"/store/overlay-containers/{other}/userdata"
    host.runc_state(other, "/y", annotations={"io.container.manager": "libpod"}, bundle=bundle)
    runtimes, counts = _runtimes(host)
    found = {}
    for name in (ID, other):
        record = runtimes.by_id(name)
        assert record is not None
        found[name] = _described(record, host, counts)
    assert (found[ID].runtime, found[ID].name, found[ID].image, found[ID].labels) == (
        "docker",
        "shop",
        "shop:2",
        {"team": "a"},
    )
    assert (found[other].runtime, found[other].name, found[other].image) == ("podman", "db", "localhost/db:1")
    assert (found[ID].image_digest, found[other].image_digest) == ("sha256:" + "1" * 64, "sha256:" + "2" * 64)
    assert not counts


def test_mutated_state_never_raises(host: Any) -> None:
    """Two thousand random mutations of a real state: a record or a count, never an error."""
    rng = random.Random(11)
    state = host.runc_state("web", "/web", annotations={"a": "b", "io.kubernetes.cri-o.Labels": '{"x": "y"}'})
    good = state.read_bytes()
    runtimes, counts = _runtimes(host)
    believed = 0
    for _ in range(2000):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        state.write_bytes(bad)
        record = runtimes.by_id("web")
        if record is not None:
            believed += 1
            _described(record, host, Counter())
    assert believed + counts.total() == 2000


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/sys/fs/cgroup/unified/a/b", "/a/b"),
        ("/sys/fs/cgroup/a", "/a"),
        ("/a/b/", "/a/b"),
        ("/sys/fs/cgroup", ""),
        ("/sys/fs/cgroup/unified", ""),
        ("/", ""),
        ("", ""),
        ("/a/../../b", ""),
    ],
)
def test_a_states_cgroup_path_is_taken_below_its_mount(path: str, below: str) -> None:
    """Roots and paths that climb are no claim."""
    assert below_mount(path, ("",)) == below
