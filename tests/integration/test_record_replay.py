"""A real container is recorded and played back: what the replay says of it needs nothing of this machine."""

import json
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import rules
from agent.record import Bounds, Recorder, create
from agent.replay import Replay
from agent.source.core_re import CoReSource
from detection.rules import load_compiled

_SCRIPT = "touch /var/log/auth.log; rm /var/log/auth.log; cp /bin/busybox /tmp/x; mv /tmp/x /bin/ps; /bin/ps; sleep 1"


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An OCI bundle of a busybox that does bad things, and the name its container is to have."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox-static")
    root = tmp_path / "rootfs"
    for name in ("bin", "proc", "tmp", "var/log"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "cp", "mv", "rm", "touch", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    subprocess.run(["runc", "spec"], cwd=tmp_path, check=True)
    spec = json.loads((tmp_path / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": ["/bin/sh", "-c", _SCRIPT]}
    spec["root"]["readonly"] = False
    spec["annotations"] = {"io.kubernetes.cri.container-name": "shop"}
    (tmp_path / "config.json").write_text(json.dumps(spec))
    name = f"vedette-record-{uuid.uuid4().hex[:8]}"
    yield tmp_path, name
    subprocess.run(["runc", "delete", "-f", name], check=False, capture_output=True)


def _record(path: Path, bundle: tuple[Path, str]) -> int:
    """Run the container under a recorder; how many records were lost."""
    stop, results = threading.Event(), []
    with create(path) as file:
        source = CoReSource()
        recorder = Recorder(source, file, node="node-1", boot_id="boot")
        thread = threading.Thread(target=lambda: results.append(recorder.run(stop, Bounds(seconds=60))))
        thread.start()
        while not any(p.attached for p in source.probes()) and thread.is_alive():
            thread.join(0.05)
        done = subprocess.run(["runc", "run", bundle[1]], cwd=bundle[0], capture_output=True, text=True, check=False)
        thread.join(1)  # what the container did last is in the ring within milliseconds
        stop.set()
        thread.join(60)
    assert done.returncode in (0, 1, 127), done.stderr
    return int(results[0].lost)


@pytest.mark.bpf
@pytest.mark.container
def test_a_recorded_container_is_the_same_in_the_replay(tmp_path: Path, bundle: tuple[Path, str]) -> None:
    path = tmp_path / "a.rec"
    assert _record(path, bundle) == 0
    replay = Replay(path, load_compiled(rules.runtime_rules()))
    mine = [f for f in replay.findings() if f.fields.get("container.id") == bundle[1]]
    assert replay.problem == ""
    assert {"log-deleted", "system-program-replaced"} <= {f.rule_id for f in mine}
    assert {f.fields.get("container.name") for f in mine} == {"shop"}
    assert all("process.entered" not in f.fields for f in mine)
    again = [f for f in Replay(path, load_compiled(rules.runtime_rules())).findings() if f.id in {m.id for m in mine}]
    assert [f.as_dict() for f in again] == [f.as_dict() for f in mine]
