"""Collector and agent as processes of their own, with certificates made for this run."""

import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import grpc

from cli.certificates import CertificateError, Files, Role, create_ca, issue
from cli.demo.errors import DemoError
from cli.demo.process import Child, Processes, wait_until
from collector.config import TlsFiles
from collector.publish.client import open_channel

_AGENT = "demo-agent"
SLOT_S = 0.1  # a learning slot: seconds of the demo stand for minutes of a real workload


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the collector listens, and the certificates of the three who talk."""

    address: str
    collector: Files
    agent: Files
    reader: Files

    def channel(self) -> grpc.Channel:
        """A reader's channel."""
        return open_channel(self.address, TlsFiles(self.reader.certificate, self.reader.key, self.reader.ca))


def vedette() -> str:
    """The program this demo belongs to. Raises: DemoError if it is not installed."""
    found = shutil.which("vedette", path=str(Path(sys.executable).parent)) or shutil.which("vedette")
    if found is None:
        raise DemoError("the program vedette is not installed beside this Python: run `make setup`")
    return found


def make_endpoint(pki: Path) -> Endpoint:
    """A free address, an authority, and certificates for the collector, the agent and a reader. Raises: DemoError."""
    try:
        create_ca(pki)
        collector = issue(pki, Role.COLLECTOR, "demo-collector", ["127.0.0.1"])
        return Endpoint(
            _free_address(), collector, issue(pki, Role.AGENT, _AGENT), issue(pki, Role.READER, "demo-reader")
        )
    except CertificateError as e:
        raise DemoError(f"cannot make certificates: {e}") from e


def start_collector(work: Path, endpoint: Endpoint, audit: Path, processes: Processes) -> Child:
    """Start it; it listens when this returns. Raises: DemoError."""
    options = ("--listen", endpoint.address, "--store", str(work / "collector.db"), "--audit-file", str(audit))
    child = processes.start("collector", [vedette(), "collector", *options, *_credentials(endpoint.collector)])
    with endpoint.channel() as channel:
        ready = grpc.channel_ready_future(channel)
        wait_until("the collector listens", ready.done, 30, child)
    return child


def start_agent(work: Path, endpoint: Endpoint, status: Path, processes: Processes) -> Child:
    """Start it; its sensor is attached when this returns. Raises: DemoError."""
    options = ("--collector", endpoint.address, "--state-dir", str(work / "agent"), "--status-file", str(status))
    pace = ("--id", _AGENT, "--slot", str(SLOT_S), "--heartbeat", "1")
    runtime = ("--runtime-socket", f"cri={work / 'containerd.sock'}")
    child = processes.start("agent", [vedette(), "agent", *options, *pace, *runtime, *_credentials(endpoint.agent)])
    wait_until("the sensor is attached", status.exists, 30, child)
    return child


def _free_address() -> str:
    """A port of the loopback interface that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def _credentials(files: Files) -> tuple[str, ...]:
    return ("--cert", str(files.certificate), "--key", str(files.key), "--ca", str(files.ca))
