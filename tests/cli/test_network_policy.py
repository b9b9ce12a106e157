"""A NetworkPolicy says what a profile says, in Kubernetes' schema; what it cannot say is said beside it."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from agent.learn.store import write_profiles
from cli.baseline import command
from cli.baseline.network_policy import owner_of, policy_of
from detection.baseline.profile import Profile, ProfileConfig

WEB = "k8s/shop/deployment/web/web"
LABEL = "app.kubernetes.io/name"


def peers(rules: list[dict[str, Any]], way: str) -> list[Any]:
    return [(rule.get(way), rule["ports"]) for rule in rules]


def selector(namespace: str, app: str) -> list[Any]:
    return [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": {LABEL: app}},
        }
    ]


def test_addresses_workloads_and_services_become_peers_with_their_ports() -> None:
    policy = policy_of(
        WEB,
        [
            "/app → tcp 203.0.113.7:443", "/app → tcp db.shop:5432", "/app → tcp cache.other.svc.cluster.local:6379",
            "/app → tcp [2001:db8::1]:8443", "/app → tcp 127.0.0.1:9000", "/app → unix /run/x.sock",
            "/app → tcp 203.0.113.7:80",
        ],
        ["/app → tcp :8080 from k8s/edge/deployment/nginx/nginx", "/app → tcp :8080 from 10.1.0.0/16"],
        LABEL,
    )  # fmt: skip
    spec = policy.document["spec"]
    out = peers(spec["egress"], "to")
    assert (
        [{"ipBlock": {"cidr": "203.0.113.7/32"}}],
        [{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 443}],
    ) in out
    assert ([{"ipBlock": {"cidr": "2001:db8::1/128"}}], [{"protocol": "TCP", "port": 8443}]) in out
    assert (selector("shop", "db"), [{"protocol": "TCP", "port": 5432}]) in out
    assert (selector("other", "cache"), [{"protocol": "TCP", "port": 6379}]) in out
    assert len(out) == 4, "loopback and unix sockets are no network"
    into = peers(spec["ingress"], "from")
    assert (selector("edge", "nginx"), [{"protocol": "TCP", "port": 8080}]) in into
    assert ([{"ipBlock": {"cidr": "10.1.0.0/16"}}], [{"protocol": "TCP", "port": 8080}]) in into


def test_what_a_policy_cannot_say_is_said() -> None:
    policy = policy_of(
        WEB,
        ["/app → tcp api.example.com:443", "/app → icmp 1.1.1.1:*", "/app → udp 1.1.1.1:*", "garbage"],
        ["/app → tcp :80 from host"],
        LABEL,
    )
    told = "\n".join(policy.remarks)
    assert "a policy cannot name 'api.example.com'; allowed is any peer on that port" in told
    assert "policies know TCP, UDP and SCTP only" in told
    assert "no one port, so all UDP ports of that peer are allowed" in told
    assert "'garbage' is in no form a policy could say" in told
    assert "a policy cannot name 'host'" in told
    assert {"ports": [{"protocol": "TCP", "port": 443}]} in policy.document["spec"]["egress"]


def test_dns_goes_to_the_cluster_s_servers_whatever_address_stood_for_them() -> None:
    policy = policy_of(WEB, ["/app → udp 10.96.0.10:53"], [], LABEL)
    assert any("kube-dns" in str(rule) for rule in policy.document["spec"]["egress"])


@pytest.mark.parametrize(
    "workload", ["host", "unit/nginx.service/usr/sbin/nginx", "container/nginx", "k8s/a/b/c/d", "k8s/a"]
)
def test_only_workloads_of_kubernetes_have_one(workload: str) -> None:
    assert owner_of(workload) is None
    with pytest.raises(ValueError, match="no workload of Kubernetes"):
        policy_of(workload, [], [], LABEL)


def test_the_command_s_file_is_valid_by_the_schema_of_kubernetes(tmp_path: Path) -> None:
    profile = Profile(WEB, "sha256:1", ProfileConfig())
    for member in (
        "/app → tcp 203.0.113.7:443",
        "/app → tcp db.shop:5432",
        "/app → tcp x\ny \x1b[0m:1",
        "/app → udp 10.0.0.2:53",
    ):
        profile.of("egress").learn(member, "c1", 1)
    profile.of("egress").close_slot({"c1"})
    profile.of("ingress").learn("/app → tcp :8080 from public", "c1", 1)
    profile.of("ingress").close_slot({"c1"})
    write_profiles(tmp_path / "profiles.json", [profile], 1)
    result = CliRunner().invoke(command, ["export", "web", "--format", "networkpolicy", "--state-dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    document = yaml.safe_load(result.stdout)
    kubernetes_validate.validate(document, "1.29", strict=True)
    assert document["metadata"] == {"name": "web-baseline", "namespace": "shop"}
    assert document["spec"]["policyTypes"] == ["Ingress", "Egress"]
    block = document["spec"]["ingress"][0]["from"][0]["ipBlock"]
    assert block["cidr"] == "0.0.0.0/0"
    assert "10.0.0.0/8" in block["except"]
    assert "note: egress" in result.stderr


def test_nothing_seen_means_nothing_allowed() -> None:
    spec = policy_of(WEB, [], [], LABEL).document["spec"]
    assert (spec["ingress"], spec["egress"]) == ([], [])
