"""`vedette agent`: watch this machine."""

import ctypes
import gc
import logging
import signal
import socket
import sys
import threading
from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


def _address(value: str | None, option: str) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{value!r}: write HOST:PORT", param_hint=option)
    return host, int(port)


@click.command()
@click.option(
    "--collector", metavar="HOST:PORT|unix:/PATH", help="Where to stream findings. Without it they are printed."
)
@click.option("--cert", type=_FILE, help="Agent certificate (PEM); `vedette pki` makes it.")
@click.option("--key", type=_FILE, help="Its private key.")
@click.option("--ca", type=_FILE, help="The authority that signed the collector's certificate.")
@click.option("--output", type=_FILE, help="Without a collector: write findings here instead of standard output.")
@click.option("--state-dir", type=_FILE, default="/var/lib/vedette", show_default=True, help="Spool and profiles.")
@click.option("--node", help="Name of this node.  [default: host name]")
@click.option("--id", "agent_id", default="", help="Name of this agent, as in its certificate.  [default: the node's]")
@click.option("--slot", "slot_s", type=float, default=60.0, show_default=True, help="Seconds in a learning slot.")
@click.option(
    "--budget", type=float, default=1.0, show_default=True, help="False anomalies a workload may raise in a week."
)
@click.option(
    "--heartbeat", "heartbeat_s", type=float, default=30.0, show_default=True, help="Seconds between ledgers."
)
@click.option(
    "--rate-window",
    "rate_window_s",
    type=float,
    default=60.0,
    show_default=True,
    help="Seconds over which a container's rates are measured; rounded up to whole slots.",
)
@click.option(
    "--rearm", "rearm_s", type=float, default=86_400.0, show_default=True, help="Seconds until known is reported again."
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="CLASS=RATE/BURST",
    help="New behaviours a second one cgroup may report, and at once; open=0: no limit.",
)
@click.option("--spool-mb", type=click.IntRange(1), default=256, show_default=True, help="Cap of the disk spool.")
@click.option(
    "--sensor",
    type=click.Choice(["auto", "co-re", "bcc", "polling"]),
    default="auto",
    show_default=True,
    help="How to watch; auto takes the best this machine allows (`vedette probe`).",
)
@click.option(
    "--runtime-socket",
    "runtime_sockets",
    multiple=True,
    metavar="[cri=|docker=|podman=]/PATH",
    help="A container runtime's socket, beside those in the usual places (also below /host); 'none': ask no runtime.",
)
@click.option("--cluster", default="", help="Name of the Kubernetes cluster, where a collector serves several.")
@click.option("--host-group", default="", help="Hosts of one group share the profiles of their services.")
@click.option(
    "--record-syscalls", is_flag=True, help="Record which system calls workloads make, for `vedette baseline export`."
)
@click.option(
    "--rules",
    type=click.Path(exists=True, path_type=Path),
    help="Compiled rules (`vedette rules compile --output DIR`), in place of the shipped and the collector's; "
    "SIGHUP reads them again.",
)
@click.option("--status-file", type=_FILE, help="Keep the agent's status here as JSON.")
@click.option("--metrics-listen", metavar="HOST:PORT", help="Serve Prometheus metrics.")
def command(
    collector: str | None,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    output: Path | None,
    state_dir: Path,
    node: str | None,
    agent_id: str,
    slot_s: float,
    budget: float,
    heartbeat_s: float,
    rate_window_s: float,
    rearm_s: float,
    limits: tuple[str, ...],
    spool_mb: int,
    sensor: str,
    runtime_sockets: tuple[str, ...],
    cluster: str,
    host_group: str,
    record_syscalls: bool,
    rules: Path | None,
    status_file: Path | None,
    metrics_listen: str | None,
) -> None:
    """Watch this machine: learn each workload, recognise attacks, stream findings. Needs root.

    Without --collector, findings are written as JSON lines, so one host can be tried alone.
    """
    from agent.config import AgentConfig, CollectorAddress  # noqa: PLC0415
    from agent.errors import AgentError  # noqa: PLC0415
    from agent.run import Agent  # noqa: PLC0415
    from agent.source.throttle import LIMITS, parse_limit  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="vedette agent: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = AgentConfig(
            node=node or socket.gethostname(),
            agent_id=agent_id,
            state_dir=state_dir,
            collector=CollectorAddress(collector, cert, key, ca) if collector else None,
            output=output,
            slot_s=slot_s,
            budget=budget,
            heartbeat_s=heartbeat_s,
            rate_window_s=rate_window_s,
            rearm_s=rearm_s,
            limits={**LIMITS, **dict(map(parse_limit, limits))},
            spool_bytes=spool_mb << 20,
            sensor=sensor,
            runtime_sockets=runtime_sockets,
            cluster=cluster,
            host_group=host_group,
            record_syscalls=record_syscalls,
            rules=rules,
            status_file=status_file,
            metrics_address=_address(metrics_listen, "--metrics-listen"),
        )
        agent = Agent(config)
        signal.signal(signal.SIGHUP, lambda *_: agent.reload())
        agent.run(stop, lambda status: _say_ready(sum(probe.attached for probe in status.ledger.probes), collector))
    except AgentError as error:
        raise click.ClickException(str(error)) from error


def _say_ready(probes: int, collector: str | None) -> None:
    where = f"streaming to {collector}" if collector else "printing findings"
    click.echo(f"vedette agent: ready, {probes} probes, {where}", err=True)
    _settle_memory()


def _settle_memory() -> None:
    """What is there at start stays: garbage collection need not walk it again and again. Give back what loading took.

    Events make no cycles, so collections find next to nothing; with the defaults there was one every 700 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
