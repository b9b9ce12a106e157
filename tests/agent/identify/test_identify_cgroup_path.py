"""What a cgroup path alone says, for every runtime's way of naming."""

import random

import pytest

from agent.identify.cgroup_path import NOTHING, read_path

ID = "0123456789abcdef" * 4
UID = "0f3d6a2e-1111-4222-8333-444455556666"
UID_ = UID.replace("-", "_")


@pytest.mark.parametrize(
    ("path", "runtime", "root", "pod"),
    [
        (f"/kubepods/burstable/pod{UID}/{ID}", "", f"/kubepods/burstable/pod{UID}/{ID}", UID),
        (f"/kubepods/pod{UID}/{ID}/nested/deep", "", f"/kubepods/pod{UID}/{ID}", UID),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
            "cri-containerd",
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
            UID,
        ),
        (f"/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope", "cri-o", None, UID),
        (f"/kubepods/pod{'a1' * 16}/{ID}", "", None, "a1" * 16),
        (f"/system.slice/containerd.service/kubepods-pod{UID_}.slice:cri-containerd:{ID}", "cri-containerd", None, ""),
        (f"/docker/{ID}", "docker", None, ""),
        (f"/docker/{ID}/docker/{'f' * 64}", "docker", f"/docker/{ID}", ""),
        (f"/system.slice/docker-{ID}.scope", "docker", None, ""),
        (f"/libpod_parent/libpod-{ID}", "podman", None, ""),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman", f"/machine.slice/libpod-{ID}.scope", ""),
        (f"/user.slice/user-0.slice/user@0.service/user.slice/libpod-{ID}.scope", "podman", None, ""),
    ],
)
def test_a_runtimes_path_names_its_container(path: str, runtime: str, root: str | None, pod: str) -> None:
    """Container id, runtime, the container's own cgroup and the pod are read off the path."""
    claim = read_path(path)
    assert (claim.container_id, claim.runtime, claim.root, claim.pod_uid) == (ID, runtime, root or path, pod)


@pytest.mark.parametrize(
    "path",
    [
        "/libpod_parent/conmon",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/system.slice/crio-conmon-{ID}.scope",
        f"/kubepods/burstable/pod{UID}",
        "/process_api/921638cbb2da6ee9edd72c63868abf6e",
        f"/evil-docker-{ID}.scope",
        f"/docker-{ID[:-1]}.scope",
        f"/docker/{ID.upper()}",
        "/",
        "",
    ],
)
def test_what_is_no_container_is_not_taken_for_one(path: str) -> None:
    """Monitors, pod-level cgroups and look-alikes name no container."""
    assert read_path(path).container_id == ""


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/nginx.service", "nginx.service"),
        ("/system.slice/nginx.service/workers/1", "nginx.service"),
        ("/system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main.service"),
        ("/system.slice/system-sshd.slice/sshd@12-10.0.0.1:22-10.0.0.9:51234.service", "sshd@.service"),
        ("/system.slice/system-a\\x2db.slice/a\\x2db@x.service", "a\\x2db@x.service"),
        ("/user.slice/user-0.slice/session-3.scope", ""),
        ("/init.scope", ""),
    ],
)
def test_a_service_is_named_by_its_unit(path: str, unit: str) -> None:
    """A systemd service is the outermost .service on the path; one unit per connection counts as one."""
    assert read_path(path).unit == unit


def test_any_path_is_read_without_error() -> None:
    """Ten thousand random paths, made of the parts that have meaning, never raise."""
    rng = random.Random(7)
    parts = ["docker", ID, f"libpod-{ID}", "conmon", f"pod{UID}", "x.service", "..", "", "\x1b[2J", "a" * 300, "\ud800"]
    for _ in range(10_000):
        path = "/".join(rng.choice(parts) for _ in range(rng.randrange(8)))
        assert isinstance(read_path(path).container_id, str)
    assert read_path("/nothing/here") is NOTHING
