"""The owner is read off what controllers write on their pods, never guessed where they wrote nothing."""

import pytest

from agent.identify.owners import owner_of
from agent.identify.workloads import Scope, workload_of, workload_of_unit
from agent.workload import NOBODY, Container, Owner

LONG = "a" * 57


@pytest.mark.parametrize(
    ("pod", "labels", "owner"),
    [
        ("shop-7d4b9c5f68-x2kzq", {"pod-template-hash": "7d4b9c5f68"}, ("deployment", "shop")),
        # Ends as a Deployment's pod would, and is not one: the hash says where the name ends.
        ("api-7d4b9c5f68-abcde-fghij-x2kzq", {"pod-template-hash": "fghij"}, ("deployment", "api-7d4b9c5f68-abcde")),
        (f"{LONG}-x2kzq", {"pod-template-hash": "7d4b9c5f68"}, ("deployment", LONG)),
        ("web-7d4b9c5f68-x2kzq", {"rollouts-pod-template-hash": "7d4b9c5f68"}, ("rollout", "web")),
        (
            "db-0",
            {"statefulset.kubernetes.io/pod-name": "db-0", "controller-revision-hash": "db-5f"},
            ("statefulset", "db"),
        ),
        ("kube-proxy-x2kzq", {"controller-revision-hash": "5f6"}, ("daemonset", "kube-proxy")),
        ("backup-28391234-x2kzq", {"batch.kubernetes.io/job-name": "backup-28391234"}, ("cronjob", "backup")),
        ("backup-1700000000-x2kzq", {"job-name": "backup-1700000000"}, ("cronjob", "backup")),
        ("migrate-x2kzq", {"job-name": "migrate"}, ("job", "migrate")),
        ("debug", {"app": "debug"}, NOBODY),
        ("shop-7d4b9c5f68-x2kzq", {}, NOBODY),
    ],
)
def test_a_pods_controller_is_in_its_labels(pod: str, labels: dict[str, str], owner: tuple[str, str]) -> None:
    """One row per kind of controller."""
    assert owner_of(pod, labels, {}) == owner


def test_a_static_pod_is_the_nodes_own_and_its_replicas_on_other_nodes_share_a_name() -> None:
    """The kubelet puts its node's name behind."""
    assert owner_of("etcd-node-a", {}, {"kubernetes.io/config.source": "file"}, "node-a") == ("node", "etcd")
    assert owner_of("etcd-node-a", {}, {"kubernetes.io/config.source": "api"}, "node-a") == NOBODY


def test_outside_kubernetes_services_own_containers() -> None:
    """Compose needs both labels; a label of Kubernetes means nothing without a pod."""
    compose = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    assert owner_of("", compose, {}) == ("compose", "shop/web")
    assert owner_of("", {"com.docker.compose.service": "web"}, {}) == NOBODY
    assert owner_of("", {"com.docker.swarm.service.name": "web"}, {}) == ("swarm", "web")
    assert owner_of("", {"pod-template-hash": "x"}, {}) == NOBODY


def test_the_workload_follows_the_owner_the_cluster_and_the_host_group() -> None:
    """Keys of replicas are equal; clusters and groups keep theirs apart."""
    container = Container("i", name="c", pod_name="web-1", namespace="prod", owner=Owner("daemonset", "web"))
    assert workload_of(container).key == "k8s/prod/daemonset/web/c"
    assert workload_of(container, Scope(cluster="eu")).key == "k8s/eu/prod/daemonset/web/c"
    assert workload_of(Container("i", name="x", image="nginx:1", owner=Owner("compose", "a/b"))).key == "compose/a/b"
    scope = Scope(host_group="edge")
    assert workload_of_unit("nginx.service", "/usr/sbin/nginx", scope).key == "unit/edge/nginx.service/usr/sbin/nginx"
    assert workload_of_unit("", "", scope).key == "host/edge"
