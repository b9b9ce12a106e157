"""`vedette baseline syscalls`: record the system calls of this machine's containers for a while."""

import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click

from cli.baseline.text import clean

_DURATION = re.compile(r"^(\d+)([smh]?)$")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_LOOK_S = 0.5


class _Duration(click.ParamType[int]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = _DURATION.match(str(value))
        if match is None:
            self.fail(f"{value!r}: write 90s, 10m or 2h", param, ctx)
        return int(match[1]) * _SECONDS[match[2]]


@click.command()
@click.option("--for", "duration", type=_Duration(), default="10m", show_default=True, help="How long: 90s, 10m, 2h.")
@click.option(
    "--container",
    "containers",
    multiple=True,
    metavar="TEXT",
    help="Only containers whose id begins with, or workload holds this.",
)
@click.option(
    "--state-dir", type=click.Path(file_okay=False, path_type=Path), default="/var/lib/vedette", show_default=True
)
@click.option(
    "--slot", "slot_s", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds in a slot."
)
@click.option("--cluster", default="", help="As of the agent: part of workload keys.")
def syscalls(duration: int, containers: tuple[str, ...], state_dir: Path, slot_s: float, cluster: str) -> None:
    """Record which system calls containers make, for `export --format seccomp`. Needs root.

    Restart the workload a few times meanwhile, and let it do its ordinary work: what it did not do here will be
    refused. Recordings add up. While this runs every system call on the machine costs some 0.2 µs more.
    """
    from agent.errors import AgentError  # noqa: PLC0415
    from agent.syscalls.session import Session  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def wanted(container_id: str, workload: str) -> bool:
        return not containers or any(container_id.startswith(c) or c in workload for c in containers)

    try:
        with Session(state_dir / "syscalls", slot_s, wanted, cluster) as session:
            click.echo("recording system calls", err=True)
            _run(session.look, duration, stop)
            found = session.finish()
    except AgentError as error:
        raise click.ClickException(str(error)) from error
    if not found:
        raise click.ClickException("no container was there to record")
    for recording in found:
        click.echo(f"{clean(recording.workload)}  {clean(recording.version)}\n  {recording.sentence}")


def _run(look: Callable[[int], None], duration: int, stop: threading.Event) -> None:
    end = time.monotonic() + duration
    while time.monotonic() < end and not stop.is_set():
        look(time.time_ns())
        stop.wait(max(0.0, min(_LOOK_S, end - time.monotonic())))
