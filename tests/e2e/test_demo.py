"""`vedette demo` tells the whole story, and leaves the machine as it was."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.demo import network, runtime, stage
from cli.demo.errors import DemoError
from cli.demo.process import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.container, pytest.mark.bpf]

_HUMAN = "alice@example.com"


class Run(NamedTuple):
    status: int
    stdout: str
    stderr: str
    work: Path

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found

    @property
    def incident(self) -> dict[str, Any]:
        found = max(self.document["incidents"], key=lambda i: len(i["findings"]))
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if runtime.missing():
        pytest.skip(f"needs {', '.join(runtime.missing())}")
    wait_until("no other demo runs here", _nobody_else, 120)
    program = shutil.which("vedette", path=str(Path(sys.executable).parent))
    assert program is not None
    work = tmp_path_factory.mktemp("demo") / "work"
    done = subprocess.run(
        [program, "demo", "--format", "json", "--work-dir", str(work)],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    return Run(done.returncode, done.stdout, done.stderr, work)


def _nobody_else() -> bool:
    try:
        with stage.alone():
            return True
    except DemoError:
        return False


def _rules(incident: dict[str, Any], source: str) -> set[str]:
    return {f["rule"] for f in incident["findings"] if f["source"] == source and f["kind"] == "rule"}


def test_it_ends_with_status_0_within_a_minute(demo: Run) -> None:
    assert demo.status == 0, demo.stderr
    assert demo.document["complete"] is True
    assert demo.document["times"]["total_s"] < 60


def test_standard_output_is_one_json_document_and_progress_goes_elsewhere(demo: Run) -> None:
    assert demo.stdout.startswith("{")
    assert json.loads(demo.stdout) == demo.document
    assert "the agent learns what the shop does" in demo.stderr


def test_the_incident_joins_anomalies_runtime_rules_and_audit_rules(demo: Run) -> None:
    assert sum(f["kind"] == "anomaly" for f in demo.incident["findings"]) >= 1
    assert len(_rules(demo.incident, "runtime")) >= 3
    assert len(_rules(demo.incident, "kubernetes-audit")) >= 2


def test_the_person_behind_the_exec_is_joined_to_the_process_tree(demo: Run) -> None:
    assert any(a["id"] == _HUMAN for a in demo.incident["actors"])
    by_id = {f["id"]: f for f in demo.incident["findings"]}
    pairs = [(by_id[j["from"]], by_id[j["to"]]) for j in demo.incident["joins"] if j["key"] == "exec_audit_event"]
    assert pairs
    assert all({a["source"], b["source"]} == {"runtime", "kubernetes-audit"} for a, b in pairs)


def test_joins_connect_every_finding_and_say_why(demo: Run) -> None:
    reached, joins = {demo.incident["findings"][0]["id"]}, demo.incident["joins"]
    for _ in demo.incident["findings"]:
        reached |= {end for j in joins if {j["from"], j["to"]} & reached for end in (j["from"], j["to"])}
    assert reached == {f["id"] for f in demo.incident["findings"]}
    assert all(j["reason"] and j["value"] and 0 < j["confidence"] <= 1 for j in joins)


def test_both_pods_are_in_it(demo: Run) -> None:
    pods = {e["name"] for f in demo.incident["findings"] for e in f["entities"] if e["kind"] == "pod"}
    assert any("web-" in pod for pod in pods)
    assert any("backend-" in pod for pod in pods)


def test_nothing_is_raised_before_the_intrusion(demo: Run) -> None:
    assert demo.document["before_intrusion"] == {"incidents": 0, "findings_medium_or_higher": 0}


def test_profiles_were_stable_and_no_event_was_lost(demo: Run) -> None:
    steady = [p for p in demo.document["agent"]["profiles"] if p["phase"] == "steady"]
    states = {(p["workload"], p["behaviour"]): p["state"] for p in steady}
    for app, behaviours in (("web", ("exec", "write", "egress")), ("backend", ("exec", "write"))):
        assert {states[f"k8s/shop/deployment/{app}/{app}", b] for b in behaviours} == {"stable"}
    events = demo.document["agent"]["events"]
    assert all(events[name]["emitted"] > 0 for name in ("exec", "open", "connect"))
    assert all(causes["lost_ring"] == 0 for causes in events.values())
    assert events["open"]["filtered"] > events["open"]["emitted"] > 0


def test_the_stolen_token_is_not_in_the_document(demo: Run) -> None:
    assert "eyJ" not in demo.stdout  # every JSON web token begins so


def test_nothing_of_it_is_left(demo: Run) -> None:
    assert not demo.work.exists()
    assert not Path("/sys/class/net", network.BRIDGE).exists()
    assert str(demo.work) not in Path("/proc/self/mountinfo").read_text()
    left = subprocess.run(["pgrep", "-f", str(demo.work)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
