"""`vedette replay`: findings as lines, counts, and what other rules would change."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import main

_AUDIT = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "auditID": "11111111-2222-3333-4444-555555555555",
    "stage": "ResponseComplete",
    "verb": "create",
    "requestURI": "/api/v1/namespaces/shop/pods/web-7/exec?command=sh&container=web&stdin=true&tty=true",
    "user": {"username": "alice@example.com", "groups": ["system:authenticated"]},
    "sourceIPs": ["203.0.113.7"],
    "userAgent": "kubectl/v1.31.0",
    "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-7", "subresource": "exec", "apiVersion": "v1"},
    "responseStatus": {"code": 101},
    "requestReceivedTimestamp": "2026-01-02T03:04:05.000000Z",
    "stageTimestamp": "2026-01-02T03:04:05.100000Z",
}
_RULE = """
title: Somebody opened a shell
id: 00000000-0000-4000-8000-00000000000a
name: my-rule
description: A rule of a team's own.
level: low
tags: [attack.execution, attack.t1609]
logsource: {product: kubernetes, service: audit}
detection:
  selection: {objectRef.subresource: exec}
  condition: selection
"""


def _run(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["replay", *map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def _forms(directory: Path) -> list[Path]:
    """The same event in every shape a log comes in."""
    event = json.dumps(_AUDIT)
    shapes = {
        "one.json": event.encode(),
        "lines.jsonl": f"{event}\n\n{event}\n".encode(),
        "list.json": json.dumps({"kind": "EventList", "items": [_AUDIT]}).encode(),
        "lines.gz": gzip.compress(f"{event}\n".encode()),
    }
    for name, data in shapes.items():
        (directory / name).write_bytes(data)
    return [directory / name for name in shapes]


def test_audit_logs_of_every_shape_give_the_same_finding(tmp_path: Path) -> None:
    for path in _forms(tmp_path):
        code, out, _ = _run("--source", "kubernetes-audit", "--format", "json", path)
        assert code == 0
        findings = [json.loads(line) for line in out.splitlines()]
        assert [f["rule"] for f in findings] == ["k8s-pod-exec"]
        assert findings[0]["source"] == "kubernetes-audit"


def test_an_event_in_two_files_is_one_finding(tmp_path: Path) -> None:
    code, out, _ = _run("--source", "kubernetes-audit", "--format", "json", *_forms(tmp_path))
    assert (code, len(out.splitlines())) == (0, 1)


def test_counts_instead_of_findings(tmp_path: Path) -> None:
    files = _forms(tmp_path)
    code, out, _ = _run("--source", "kubernetes-audit", "--summary", "--format", "json", *files)
    document = json.loads(out)
    assert code == 0
    assert document["findings"] == {"k8s-pod-exec": 1}
    assert document["files"][0]["events"] == 5


def test_a_bad_line_costs_only_itself_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"{broken\n" + json.dumps(_AUDIT).encode() + b"\n")
    code, out, err = _run("--source", "kubernetes-audit", "--format", "json", path)
    assert (code, len(out.splitlines())) == (0, 1)
    assert "line 1" in err


def test_other_rules_say_what_would_change(tmp_path: Path) -> None:
    path = _forms(tmp_path)[0]
    (tmp_path / "mine.yml").write_text(_RULE)
    code, out, _ = _run("--source", "kubernetes-audit", "--rules", tmp_path / "mine.yml", "--format", "json", path)
    assert code == 0
    changes = {(c["change"], c["finding"]["rule"]) for c in map(json.loads, out.splitlines())}
    assert changes == {("appears", "my-rule"), ("disappears", "k8s-pod-exec")}


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b broken", bytes(100)])
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    code, _, err = _run(path)
    assert code == 1
    assert err.startswith("Error: ")
    assert "vedette record" in err


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(b"\x1f\x8b broken")
    code, _, err = _run("--source", "kubernetes-audit", path)
    assert code == 1
    assert "plain or gzipped" in err


def test_behaviour_of_principals_is_learned_unless_left_out(tmp_path: Path) -> None:
    """Ten days of the same hour by hour, then the same account from elsewhere with another tool."""
    usual = _AUDIT | {"verb": "get", "objectRef": {"resource": "configmaps", "namespace": "shop"}}
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    lines = [
        usual | {"auditID": f"id-{hour}", "requestReceivedTimestamp": (begin + timedelta(hours=hour)).isoformat()}
        for hour in range(240)
    ]
    lines[-1] |= {"sourceIPs": ["198.51.100.4"], "userAgent": "curl/8.5", "verb": "delete"}
    path = tmp_path / "audit.jsonl"
    path.write_text("\n".join(map(json.dumps, reversed(lines))))  # as consoles export them: newest first
    _, out, _ = _run("--source", "kubernetes-audit", "--format", "json", path)
    found = [json.loads(line) for line in out.splitlines()]
    last = [f for f in found if f["kind"] == "anomaly" and f["fields"]["auditID"] == "id-239"]
    assert [f["severity"] for f in last] in (["medium"], ["high"])
    _, out, _ = _run("--source", "kubernetes-audit", "--format", "json", "--no-behaviour", path)
    assert [f for f in map(json.loads, out.splitlines()) if f["kind"] == "anomaly"] == []
