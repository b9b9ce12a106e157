"""The audit records the demo plays have the form and the facts of real ones."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from cli.demo import controlplane, pods
from cli.demo.pods import RunningPod

_WHEN = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)


@pytest.fixture
def web() -> RunningPod:
    pod = pods.describe("web", pods.template_hash(), "node-1", {})
    return RunningPod(pod, "sandbox", "container", "10.0.0.7")


def test_an_exec_is_recorded_when_it_begins_and_when_it_ends_under_one_id(web: RunningPod) -> None:
    started, completed = controlplane.exec_records(controlplane.human(), web, _WHEN)
    ended = controlplane.closed_at(completed, _WHEN + timedelta(seconds=9))
    assert started["auditID"] == ended["auditID"]
    assert (started["stage"], ended["stage"]) == ("ResponseStarted", "ResponseComplete")
    assert ended["stageTimestamp"] == "2026-01-02T03:04:14.678900Z"
    assert started["requestReceivedTimestamp"] == "2026-01-02T03:04:05.678900Z"


def test_an_exec_names_pod_container_command_and_person(web: RunningPod) -> None:
    started, _ = controlplane.exec_records(controlplane.human(), web, _WHEN)
    uri = urlsplit(started["requestURI"])
    assert uri.path == f"/api/v1/namespaces/shop/pods/{web.pod.name}/exec"
    assert parse_qs(uri.query)["command"] == ["sh"]
    assert parse_qs(uri.query)["container"] == ["web"]
    assert (started["verb"], started["responseStatus"]["code"]) == ("get", 101)
    assert started["user"]["username"] == "alice@example.com"


def test_a_stolen_token_says_which_pod_it_is_bound_to(web: RunningPod) -> None:
    caller = controlplane.service_account(web, web.address, "Wget")
    listed = controlplane.secrets_listed(caller, "/api/v1/namespaces/shop/secrets", _WHEN)
    extra = listed["user"]["extra"]
    assert web.pod.token is not None
    assert extra["authentication.kubernetes.io/pod-uid"] == [web.pod.uid]
    assert extra["authentication.kubernetes.io/credential-id"] == [web.pod.token.credential]
    assert listed["sourceIPs"] == ["10.0.0.7"]
    assert web.pod.token.jwt not in json.dumps(listed)


def test_a_created_pod_carries_what_was_asked_for(web: RunningPod) -> None:
    asked = {"metadata": {"name": "tools"}, "spec": {"hostPID": True}}
    made = controlplane.pod_created(
        controlplane.service_account(web, "10.0.0.7", "Wget"), "/api/v1/namespaces/shop/pods", asked, _WHEN
    )
    assert made["requestObject"] == asked
    assert made["objectRef"] == {"resource": "pods", "namespace": "shop", "name": "tools", "apiVersion": "v1"}


def test_background_has_only_ordinary_callers(web: RunningPod) -> None:
    records = controlplane.background([web])
    assert len(records) == 5
    assert all(r["responseStatus"]["code"] == 200 for r in records)
    assert not any(r["objectRef"]["resource"] == "secrets" for r in records)


def test_records_are_one_line_each(web: RunningPod, tmp_path: Path) -> None:
    log = controlplane.AuditLog(tmp_path / "audit.log")
    log.write(*controlplane.background([web]))
    lines = (tmp_path / "audit.log").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["Event"] * 5


def test_pods_are_named_as_kubernetes_names_them() -> None:
    template = pods.template_hash()
    pod = pods.describe("web", template, "node-1", {})
    assert re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{9}-[bcdfghjklmnpqrstvwxz2456789]{5}", pod.name)
    assert pod.cgroup == f"/kubepods/burstable/pod{pod.uid}"
