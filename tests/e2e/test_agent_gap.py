"""Nobody watched between two runs of the agent: the ledger says so, whatever ended the first."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from vedette.v1 import agent_pb2

from agent.spool.spool import Spool

pytestmark = [pytest.mark.bpf, pytest.mark.e2e]

VEDETTE = Path(sys.executable).with_name("vedette")


@contextmanager
def running_agent(state: Path) -> Iterator[subprocess.Popen[str]]:
    """An agent that has attached its sensor; its collector does not exist, so the spool keeps every record."""
    process = subprocess.Popen(
        [VEDETTE, "agent", "--state-dir", state, "--collector", f"unix:{state}/none", "--heartbeat", "0.5"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "ready" in line:
                break
        else:
            pytest.fail("the agent ended before it was ready")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def ledgers(state: Path) -> list[agent_pb2.Ledger]:
    spool = Spool(state / "spool")
    try:
        payloads = [agent_pb2.Payload.FromString(f.payload) for f in spool.read(0, 10_000)]
    finally:
        spool.close()
    return [p.ledger for p in payloads if p.HasField("ledger")]


def test_a_killed_agent_leaves_a_stated_gap(tmp_path: Path) -> None:
    with running_agent(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
    killed_ns = time.time_ns()
    with running_agent(tmp_path) as second:
        second.send_signal(signal.SIGTERM)
        second.wait(10)

    entries = ledgers(tmp_path)
    starts = [e for e in entries if e.event == agent_pb2.LEDGER_EVENT_START]
    assert len(starts) == 2
    assert starts[0].previous_entry_ns == 0
    assert starts[0].time_ns <= starts[1].previous_entry_ns < killed_ns < starts[1].watching_since_ns
    assert starts[0].run_id != starts[1].run_id
    first_run = [e for e in entries if e.run_id == starts[0].run_id]
    assert all(e.event != agent_pb2.LEDGER_EVENT_STOP for e in first_run), "a killed run claims no orderly stop"
    assert entries[-1].event == agent_pb2.LEDGER_EVENT_STOP


def test_the_sequence_goes_on_over_a_kill(tmp_path: Path) -> None:
    for _ in range(2):
        with running_agent(tmp_path) as process:
            process.send_signal(signal.SIGKILL)
            process.wait()
    spool = Spool(tmp_path / "spool")
    seqs = [f.seq for f in spool.read(0, 10_000)]
    spool.close()
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= 2
