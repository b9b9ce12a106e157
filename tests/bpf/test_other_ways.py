"""Acts by other ways than a 64-bit system call: seen where a security hook allows, else the ledger says so."""

import subprocess
from pathlib import Path

import pytest

from agent.decode import layout
from agent.events import Call, CallKind, Connection, EventType, Exec, Exit, Open, PathChange

pytestmark = pytest.mark.bpf

SOURCE = Path(__file__).parents[1] / "kernels/ways.c"


@pytest.fixture
def ways(tmp_path: Path) -> Path:
    """The compiled program (tests/kernels/ways.c), another one for each test: nothing it does is known."""
    target = tmp_path / "ways"
    flags = ["-O2", "-static", "-DALONE"]
    subprocess.run(["clang", *flags, "-o", target, SOURCE], check=True)
    return target


def act(sensor, ways: Path, how: str, directory: Path) -> Exec:
    """Run the acts; the exec of their program. Skips where this kernel does not have that way at all."""
    status = subprocess.run([ways, how], cwd=directory, check=False).returncode
    if status:
        pytest.skip(f"this kernel has no {how}: status {status}")
    return sensor.of(Exec, lambda e: e.path == str(ways))[-1]


def ledger(sensor) -> dict[str, str]:
    """What each probe says of itself; "" where it watches."""
    return {probe.name: "" if probe.attached else probe.consequence for probe in sensor.source.probes()}


@pytest.mark.parametrize("how", ["uring", "compat"])
def test_what_is_unseen_is_said_so(sensor, ways, tmp_path, how):
    """Opens and changes by this way make records exactly where the probe for it watches; else it says so."""
    caller = act(sensor, ways, how, tmp_path).head.task
    said = ledger(sensor)
    opened = sensor.of(Open, lambda e: e.path == str(tmp_path / f"{how}-made"))
    changed = sensor.of(PathChange, lambda e: e.path == str(tmp_path / f"{how}-made"))
    assert all(e.head.flags & layout.EV_F_ATTEMPT and e.head.task.pid == caller.pid for e in (*opened, *changed))
    assert (len(opened), len(changed)) == (not said["file_reached"], not said["tree_rename"])
    for probe in ("file_reached", "tree_rename"):
        assert not said[probe] or ("io_uring" in said[probe] and "32-bit" in said[probe])


def test_io_uring_itself_and_its_connections(sensor, ways, tmp_path):
    """That io_uring is set up is always seen; what it accepts, where a security hook allows."""
    caller = act(sensor, ways, "uring", tmp_path)
    [setup] = sensor.of(Call, lambda e: e.call is CallKind.IO_URING_SETUP and e.exe == caller.exe)
    assert (setup.head.task.pid, setup.result > 0) == (caller.head.task.pid, True)
    accepted = sensor.of(Connection, lambda e: e.head.type is EventType.ACCEPT and e.exe == caller.exe)
    assert len(accepted) == (not ledger(sensor).get("net_taken"))


def test_a_program_of_32_bit_calls_is_seen_to_run_and_to_end(sensor, ways, tmp_path):
    """Exec and exit do not depend on the system call table."""
    caller = act(sensor, ways, "compat", tmp_path).head.task
    assert [e.exit_code for e in sensor.of(Exit, lambda e: e.head.task.pid == caller.pid)] == [0]
