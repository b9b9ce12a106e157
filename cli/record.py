"""`vedette record`: keep what the sensor sees, to be replayed elsewhere."""

import signal
import socket
import threading
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--unfiltered", is_flag=True, help="Record known behaviours too: every open, every connection.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after this long.  [default: Ctrl-C]")
@click.option(
    "--max-mb", type=click.IntRange(1), default=1024, show_default=True, help="End when the file is this large."
)
@click.option(
    "--slot", type=click.FloatRange(0.1), default=60, show_default=True,
    help="Seconds between readings of what the kernel only counted; a replay's slots are no finer.",
)  # fmt: skip
@click.option(
    "--ring-mb", type=click.IntRange(1, 1024), default=8, show_default=True,
    help="Buffer in the kernel, rounded up to a power of two.",
)  # fmt: skip
@click.option("--node", help="Name of this node in the replay's findings.  [default: host name]")
def command(
    file: Path, unfiltered: bool, seconds: float | None, max_mb: int, slot: float, ring_mb: int, node: str | None
) -> None:
    """Record this machine's events into FILE, with what a replay needs to know of processes and containers.
    Needs root. The file holds command lines as they were, secrets included: only its owner can read it.
    """
    from agent.errors import AgentError  # noqa: PLC0415
    from agent.record import Bounds, Recorder, create  # noqa: PLC0415
    from agent.runtimes.desk import Desk  # noqa: PLC0415
    from agent.source.choose import AUTO, choose  # noqa: PLC0415
    from agent.source.core_re import CoReSource  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        with create(file) as out:
            # Without the filter there is a record for every open: a second of 100,000 of them is 18 MB.
            ring = 1 << ((max(32, ring_mb) if unfiltered else ring_mb) - 1).bit_length() + 20
            source = CoReSource(unfiltered=True, ring_bytes=ring) if unfiltered else choose(AUTO, ring)
            runtimes = Desk()
            name = node or socket.gethostname()
            recorder = Recorder(source, out, node=name, boot_id=boot_id, engines=runtimes)
            click.echo(f"vedette record: writing {file}", err=True)
            runtimes.start()
            try:
                done = recorder.run(stop, Bounds(seconds, max_mb << 20, slot))
            finally:
                runtimes.stop()
    except AgentError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}; what was written before can be replayed") from error
    lost = f"{done.lost} lost, the ring was full" if done.lost else "none lost"
    size = f"{done.records} records in {done.seconds:.1f} s, {lost}, {done.bytes / 1e6:.1f} MB"
    click.echo(f"vedette record: {size}; {done.reason}", err=True)
