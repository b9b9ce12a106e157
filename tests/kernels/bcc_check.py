"""The bcc sensor for real: started on this kernel with its headers, sees what a few programs do.

Run by tests/kernels/bcc_run.sh in a virtual machine. Prints a JSON line, exits with 0 when all was seen.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent.decode.decode import Decoder
from agent.events import Chmod, Connection, Event, EventType, Exec, Exit, Fork, Open
from agent.source.bcc_source import BccSource


def main() -> int:
    began = time.monotonic()
    source, decoder, events = BccSource(agent_pid=0), Decoder(), list[Event]()
    source.start()
    ready_s = time.monotonic() - began
    act()
    deadline = time.monotonic() + 5
    while (batch := source.read(0.2)) and time.monotonic() < deadline:
        events += decoder.decode(batch)
    probes, counters = source.probes(), source.counters()
    source.stop()
    seen = judge(events)
    missing = {state.name: state.consequence for state in probes if not state.attached}
    failed = {kind: causes["read_failed"] for kind, causes in counters.items() if causes["read_failed"]}
    print(
        json.dumps(
            {
                "seen": seen,
                "ready_s": round(ready_s, 1),
                "attached": sum(s.attached for s in probes),
                "missing": missing,
                "rejected": dict(decoder.rejected),
                "read_failed": failed,
            }
        )
    )
    return 0 if all(seen.values()) and not decoder.rejected else 1


def act() -> None:
    """Run a program that fails, open a file, set a bit, connect to a listener."""
    with tempfile.TemporaryDirectory(dir="/run") as directory, socket.create_server(("127.0.0.1", 0)) as server:
        path = Path(directory, "bcc-witness")
        subprocess.run(["/bin/sh", "-c", "exit 7"], cwd="/usr", check=False)
        path.write_text("x")
        path.chmod(0o755)
        with socket.create_connection(server.getsockname()) as client:
            server.accept()[0].close()
            client.recv(1)


def judge(events: list[Event]) -> dict[str, bool]:
    """Each fact that must be there, and whether it is."""
    ran = [e for e in events if isinstance(e, Exec) and e.argv == ("/bin/sh", "-c", "exit 7")]
    pid = ran[0].head.task.pid if ran else -1
    connections = [e for e in events if isinstance(e, Connection) and str(e.peer) == "127.0.0.1"]
    return {
        "fork": any(isinstance(e, Fork) and e.head.task.pid == pid for e in events),
        "exec": bool(ran) and ran[0].path.endswith("/dash") and ran[0].cwd == "/usr" and ran[0].exe.ino > 0,
        "exec_task": bool(ran)
        and ran[0].head.task.start_ns > 0
        and ran[0].head.task.ppid > 0 < ran[0].head.task.mnt_ns,
        "exit": any(isinstance(e, Exit) and e.head.task.pid == pid and e.exit_code == 7 << 8 for e in events),
        "open": any(isinstance(e, Open) and e.path.endswith("/bcc-witness") and e.file.ino > 0 for e in events),
        "chmod": any(isinstance(e, Chmod) and e.mode == 0o755 and "bcc-witness" in e.path for e in events),
        "connect": any(e.head.type == EventType.CONNECT for e in connections),
        "accept": any(e.head.type == EventType.ACCEPT for e in connections),
    }


if __name__ == "__main__":
    sys.exit(main())
