"""What a field is, and the kinds of events rules know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.workload import Identified

PROCESS = "process_creation"
FILE = "file_event"
ACCESS = "file_access"
DELETE = "file_delete"
RENAME = "file_rename"
NETWORK = "network_connection"
SOCKET = "socket_event"
DNS = "dns_query"
PROCESS_ACCESS = "process_access"
PRIVILEGE = "privilege_change"
NAMESPACE = "namespace_change"
KERNEL = "kernel_call"
CATEGORIES = {
    PROCESS: "a program was executed",
    FILE: "a file was created, opened for writing, or given another name, owner, length, attribute or mode",
    ACCESS: "a file was opened for reading",
    DELETE: "a file or an empty directory was deleted",
    RENAME: "a file was renamed (also a file_event on its new name)",
    NETWORK: "a TCP connection was attempted or accepted, or a UDP peer was first talked to",
    SOCKET: "a raw or packet socket was made, a port bound or listened on, or a unix socket connected to",
    DNS: "a process asked a name server, or got its answer",
    PROCESS_ACCESS: "a process debugged another, read or wrote its memory, or signalled it from another container",
    PRIVILEGE: "a process changed its user, its group or its capabilities",
    NAMESPACE: "a process changed its namespaces, its root, its mounts or its host name",
    KERNEL: "a process asked the kernel for something telling: a module, a BPF program, memory without a file, …",
}

Extract = Callable[["Source"], Any]


@dataclass(frozen=True, slots=True)
class Source:
    """What the extractors read: one identified event and the node it happened on."""

    identified: Identified
    node: str


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table. `shown` replaces the value in findings where the raw one may hold secrets;
    `evidence` says whether findings carry the field at all.
    """

    name: str
    categories: tuple[str, ...]
    type: str
    meaning: str
    extract: Extract
    shown: Extract | None = None
    evidence: bool = True
