"""The sensor's programs: what each needs of the kernel, and what goes unseen without it."""

from typing import NamedTuple

from agent.events import EventType


class Program(NamedTuple):
    """One program of vedette.bpf.o.

    hook: `btf:NAME` (BTF tracepoint) or `syscalls:NAME` (classic tracepoint). parameters: how many the
    tracepoint must hand over at least; `below` means it must have fewer than that.
    """

    name: str
    event: EventType
    hook: str
    unseen: str
    parameters: int = 0
    below: bool = False


_FILES = "files opened through {} go unseen"
_MODES = "permission changes through {} go unseen"

PROGRAMS = (
    Program("process_fork", EventType.FORK, "btf:sched_process_fork", "new processes go unseen: ancestry has gaps"),
    Program("process_exec", EventType.EXEC, "btf:sched_process_exec", "executed programs go unseen"),
    Program("process_exit", EventType.EXIT, "btf:sched_process_exit", "process exits go unseen", parameters=2),
    Program("process_exit_live", EventType.EXIT, "btf:sched_process_exit", "process exits go unseen", 2, below=True),
    Program("file_open", EventType.OPEN, "syscalls:sys_exit_open", _FILES.format("open")),
    Program("file_openat", EventType.OPEN, "syscalls:sys_exit_openat", _FILES.format("openat")),
    Program("file_openat2", EventType.OPEN, "syscalls:sys_exit_openat2", _FILES.format("openat2")),
    Program("file_creat", EventType.OPEN, "syscalls:sys_exit_creat", _FILES.format("creat")),
    Program("net_connect", EventType.CONNECT, "btf:inet_sock_set_state", "outgoing TCP connections go unseen"),
    Program("net_accept", EventType.ACCEPT, "syscalls:sys_exit_accept", "TCP connections taken by accept go unseen"),
    Program("net_accept4", EventType.ACCEPT, "syscalls:sys_exit_accept4", "TCP connections taken by accept4 go unseen"),
    Program("perm_chmod", EventType.CHMOD, "syscalls:sys_enter_chmod", _MODES.format("chmod")),
    Program("perm_fchmod", EventType.CHMOD, "syscalls:sys_enter_fchmod", _MODES.format("fchmod")),
    Program("perm_fchmodat", EventType.CHMOD, "syscalls:sys_enter_fchmodat", _MODES.format("fchmodat")),
    Program("perm_fchmodat2", EventType.CHMOD, "syscalls:sys_enter_fchmodat2", _MODES.format("fchmodat2")),
    Program("perm_chmod_exit", EventType.CHMOD, "syscalls:sys_exit_chmod", _MODES.format("chmod")),
    Program("perm_fchmod_exit", EventType.CHMOD, "syscalls:sys_exit_fchmod", _MODES.format("fchmod")),
    Program("perm_fchmodat_exit", EventType.CHMOD, "syscalls:sys_exit_fchmodat", _MODES.format("fchmodat")),
    Program("perm_fchmodat2_exit", EventType.CHMOD, "syscalls:sys_exit_fchmodat2", _MODES.format("fchmodat2")),
    Program("cgroup_mkdir", EventType.CGROUP_MKDIR, "btf:cgroup_mkdir", "new containers are found late"),
    Program("cgroup_rmdir", EventType.CGROUP_RMDIR, "btf:cgroup_rmdir", "containers that ended are noticed late"),
)
