"""Which workload a container belongs to: what replicas share."""

import pytest

from agent.identify.workloads import HOST, workload_of, workload_of_unit
from agent.workload import Container


@pytest.mark.parametrize(
    ("pod", "controller"),
    [
        ("shop-7d4b9c5f68-x2kzq", "deployment/shop"),
        ("my-api-v2-5b8f9d7c64-zzzzz", "deployment/my-api-v2"),
        ("postgres-0", "statefulset/postgres"),
        ("kafka-broker-12", "statefulset/kafka-broker"),
        ("backup-28391234-x2kzq", "cronjob/backup"),
        ("fluentd-x2kzq", "pod/fluentd"),
        ("debug", "pod/debug"),
        ("etcd-node-a", "pod/etcd-node-a"),
        ("web-proxy", "pod/web-proxy"),
        ("web-007", "pod/web-007"),
    ],
)
def test_the_controller_is_read_off_the_pods_name(pod: str, controller: str) -> None:
    """Generated ends are taken off, so that replicas share one key."""
    container = Container("i", name="c", pod_name=pod, namespace="prod", image_digest="sha256:x")
    assert workload_of(container).key == f"k8s/prod/{controller}/c"
    assert workload_of(container).version == "sha256:x"


@pytest.mark.parametrize(
    ("image", "name", "key"),
    [
        ("registry.local:5000/shop:1.2", "a", "container/registry.local:5000/shop"),
        ("shop@sha256:" + "0" * 64, "a", "container/shop"),
        ("registry.local:5000/shop:1@sha256:" + "0" * 64, "a", "container/registry.local:5000/shop"),
        ("sha256:" + "0" * 64, "db", "container/db"),
        ("", "db", "container/db"),
    ],
)
def test_elsewhere_it_is_the_image_without_version_or_the_name(image: str, name: str, key: str) -> None:
    """A new tag or digest is a new version of the same workload."""
    assert workload_of(Container("i", name=name, image=image)).key == key


def test_units_and_the_host() -> None:
    """A service's cgroup is its unit's workload, everything else the host's."""
    assert workload_of_unit("nginx.service").key == "unit/nginx.service"
    assert workload_of_unit("") is HOST
