"""The sensor's programs: what each needs of the kernel, and what goes unseen without it."""

from pathlib import Path
from typing import NamedTuple, Protocol

from agent.events import EventType
from agent.source.libbpf import LibBpf

_TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")


class Program(NamedTuple):
    """One program of vedette.bpf.o.

    hook: `btf:NAME` (BTF tracepoint), `syscalls:NAME` (classic tracepoint) or `lsm:NAME` (security hook: BPF LSM, or
    fentry at the kernel's security_NAME). parameters: how many the tracepoint must hand over at least; `below` means
    it must have fewer than that. code: the program of the object where several rows of this table attach one, "" where
    it has the row's name. without: the hook (`btf:` or `lsm:`) whose program this one stands in for, on kernels that
    lack it. beside: the hook without whose program this one has nothing to do.
    """

    name: str
    event: EventType
    hook: str
    unseen: str
    parameters: int = 0
    below: bool = False
    code: str = ""
    without: str = ""
    beside: str = ""

    @property
    def function(self) -> str:
        """The program's name in the object."""
        return self.code or self.name


_FILES = "files opened through {} go unseen"
_ACCEPTS = "TCP connections taken by {} go unseen"
_TAKEN = "lsm:sock_graft"
_MODES = "permission changes through {} go unseen"
_IDS = "the ids before a change are taken from whoever started the program"


def _call(name: str, call: str, what: str) -> Program:
    """A program at the exit of one system call."""
    return Program(name, EventType.CALL, f"syscalls:sys_exit_{call}", f"{what} through {call} go unseen")


_CHANGES = "changes of the file tree through {} go unseen"
# Calls that lead to a security hook: seen there, with the kernel's paths, else at their exit, with the caller's.
_BY_HOOK = (
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "rmdir"),
    *("mkdir", "mkdirat"),
)
_KINDS = ("rename", "link", "symlink", "unlink", "rmdir", "mkdir")
_TREE = "lsm:path_unlink"  # stands for the hooks of all these kinds: they are used together or not at all
_BY_NAME = (
    *("mknod", "mknodat", "truncate", "chown", "lchown", "fchownat"),
    *("setxattr", "lsetxattr", "setxattrat"),
)
_BY_FILE = ("ftruncate", "fchown", "fsetxattr")
_OTHERS = "io_uring and 32-bit calls"
_MOUNTS = ("mount", "move_mount", "umount", "pivot_root")


def _path(call: str, code: str, without: str = "", beside: str = "") -> Program:
    name = f"{'done' if beside else code.partition('_')[0]}_{call}"
    hook, unseen = f"syscalls:sys_exit_{call}", _CHANGES.format(call)
    return Program(name, EventType.PATH, hook, unseen, code=code, without=without, beside=beside)


def _tree(kind: str) -> Program:
    unseen = f"{kind} through io_uring and 32-bit calls goes unseen, and other paths are as the caller gave them"
    return Program(f"tree_{kind}", EventType.PATH, f"lsm:path_{kind}", unseen)


_PATHS = (
    *(_tree(kind) for kind in _KINDS),
    *(_path(call, "change_done", beside=_TREE) for call in _BY_HOOK),
    Program("change_abandoned", EventType.PATH, "btf:sched_process_exit", "changes cut short go unseen", beside=_TREE),
    *(_path(call, "path_change", without=_TREE) for call in _BY_HOOK),
    *(_path(call, "path_change") for call in _BY_NAME),
    *(_path(call, "attribute_change") for call in _BY_FILE),
    *(_path(call, f"mount_{call}") for call in _MOUNTS),
)

# What the exits of system calls see, for callers that have none.
_REACHED = (
    Program("mode_changes", EventType.CHMOD, "lsm:path_chmod", f"permission changes through {_OTHERS} go unseen"),
    Program("owner_changes", EventType.PATH, "lsm:path_chown", f"changes of owner through {_OTHERS} go unseen"),
    Program("mount_reached", EventType.PATH, "lsm:sb_mount", f"mounts through {_OTHERS} go unseen"),
    Program("umount_reached", EventType.PATH, "lsm:sb_umount", f"unmounts through {_OTHERS} go unseen"),
    Program("memory_maps", EventType.CALL, "lsm:mmap_file", f"writable and executable memory of {_OTHERS} goes unseen"),
    Program("memory_protects", EventType.CALL, "lsm:file_mprotect", f"memory changed by {_OTHERS} goes unseen"),
    Program("socket_binds", EventType.SOCKET, "lsm:socket_bind", f"addresses bound through {_OTHERS} go unseen"),
    Program("socket_listens", EventType.SOCKET, "lsm:socket_listen", f"listeners through {_OTHERS} go unseen"),
    Program("socket_connects", EventType.SOCKET, "lsm:socket_connect", f"peers reached through {_OTHERS} go unseen"),
)

# Kernels before 6.3 have no hook where all datagrams pass; there the calls made for them must do.
_DATAGRAMS = "UDP peers and DNS questions"
_ANSWERS = "DNS answers"


def _socket(call: str, what: str) -> Program:
    name = f"socket_{'create' if call == 'socket' else call}"
    return Program(name, EventType.SOCKET, f"syscalls:sys_exit_{call}", f"{what} go unseen")


def _datagram(call: str, code: str = "", without: str = "") -> Program:
    what = _DATAGRAMS if call.startswith("send") else _ANSWERS
    unseen = f"{what} through {call} go unseen"
    return Program(f"dns_{call}", EventType.DNS, f"syscalls:sys_exit_{call}", unseen, code=code, without=without)


PROGRAMS = (
    Program("process_fork", EventType.FORK, "btf:sched_process_fork", "new processes go unseen: ancestry has gaps"),
    Program("process_exec", EventType.EXEC, "btf:sched_process_exec", "executed programs go unseen"),
    Program("process_exit", EventType.EXIT, "btf:sched_process_exit", "process exits go unseen", parameters=2),
    Program("process_exit_live", EventType.EXIT, "btf:sched_process_exit", "process exits go unseen", 2, below=True),
    Program("file_open", EventType.OPEN, "syscalls:sys_exit_open", _FILES.format("open")),
    Program("file_openat", EventType.OPEN, "syscalls:sys_exit_openat", _FILES.format("openat")),
    Program("file_openat2", EventType.OPEN, "syscalls:sys_exit_openat2", _FILES.format("openat2")),
    Program("file_reached", EventType.OPEN, "lsm:file_open", _FILES.format("io_uring, 32-bit calls and file handles")),
    Program("file_creat", EventType.OPEN, "syscalls:sys_exit_creat", _FILES.format("creat")),
    Program("net_connect", EventType.CONNECT, "btf:inet_sock_set_state", "outgoing TCP connections go unseen"),
    Program("net_taken", EventType.ACCEPT, _TAKEN, _ACCEPTS.format("io_uring and 32-bit calls")),
    Program("net_accept", EventType.ACCEPT, "syscalls:sys_exit_accept", _ACCEPTS.format("accept"), without=_TAKEN),
    Program("net_accept4", EventType.ACCEPT, "syscalls:sys_exit_accept4", _ACCEPTS.format("accept4"), without=_TAKEN),
    Program("perm_chmod", EventType.CHMOD, "syscalls:sys_exit_chmod", _MODES.format("chmod")),
    Program("perm_fchmod", EventType.CHMOD, "syscalls:sys_exit_fchmod", _MODES.format("fchmod")),
    Program("perm_fchmodat", EventType.CHMOD, "syscalls:sys_exit_fchmodat", _MODES.format("fchmodat")),
    Program("perm_fchmodat2", EventType.CHMOD, "syscalls:sys_exit_fchmodat2", _MODES.format("fchmodat2")),
    *_PATHS,
    Program("cgroup_mkdir", EventType.CGROUP_MKDIR, "btf:cgroup_mkdir", "new containers are found late"),
    Program("cgroup_rmdir", EventType.CGROUP_RMDIR, "btf:cgroup_rmdir", "containers that ended are noticed late"),
    # Calls (EV_CALL). Of those made through the 32-bit table, which classic tracepoints skip, see _REACHED.
    Program("cred_fork", EventType.CALL, "btf:sched_process_fork", _IDS),
    Program("cred_exec", EventType.CALL, "btf:sched_process_exec", _IDS),
    Program("cred_exit", EventType.CALL, "btf:sched_process_exit", "ids of processes long gone take up room"),
    _call("cred_setuid", "setuid", "changes of user ids"),
    _call("cred_setreuid", "setreuid", "changes of user ids"),
    _call("cred_setresuid", "setresuid", "changes of user ids"),
    _call("cred_setfsuid", "setfsuid", "changes of user ids"),
    _call("cred_setgid", "setgid", "changes of group ids"),
    _call("cred_setregid", "setregid", "changes of group ids"),
    _call("cred_setresgid", "setresgid", "changes of group ids"),
    _call("cred_setfsgid", "setfsgid", "changes of group ids"),
    _call("cred_capset", "capset", "changes of capabilities"),
    _call("namespace_setns", "setns", "processes entering containers"),
    _call("namespace_unshare", "unshare", "new namespaces"),
    _call("namespace_chroot", "chroot", "changes of the root directory"),
    _call("namespace_sethostname", "sethostname", "changes of the host name"),
    _call("trace_ptrace", "ptrace", "processes taken over"),
    _call("trace_vm_read", "process_vm_readv", "reads of other processes' memory"),
    _call("trace_vm_write", "process_vm_writev", "writes to other processes' memory"),
    Program("trace_kill", EventType.CALL, "btf:signal_generate", "signals across containers go unseen"),
    _call("memory_mmap", "mmap", "writable and executable memory"),
    _call("memory_mprotect", "mprotect", "memory made writable and executable"),
    _call("memory_pkey_mprotect", "pkey_mprotect", "memory made writable and executable"),
    _call("memory_memfd_create", "memfd_create", "files without a name (their execution is seen)"),
    _call("memory_userfaultfd", "userfaultfd", "user-space page faults"),
    _call("kernel_init_module", "init_module", "kernel modules loaded"),
    _call("kernel_finit_module", "finit_module", "kernel modules loaded"),
    _call("kernel_delete_module", "delete_module", "kernel modules removed"),
    _call("kernel_kexec_load", "kexec_load", "kernels loaded"),
    _call("kernel_kexec_file_load", "kexec_file_load", "kernels loaded"),
    _call("kernel_bpf", "bpf", "BPF programs and maps"),
    _call("kernel_perf_event_open", "perf_event_open", "performance events"),
    _call("kernel_io_uring_setup", "io_uring_setup", "io_uring instances"),
    _call("kernel_keyctl", "keyctl", "use of kernel keys"),
    _call("kernel_add_key", "add_key", "keys added"),
    _call("kernel_request_key", "request_key", "keys asked for"),
    *_REACHED,
    # Sockets and datagrams (EV_SOCKET, EV_DNS).
    _socket("socket", "raw and packet sockets"),
    _socket("bind", "addresses bound"),
    _socket("listen", "listeners"),
    _socket("connect", "unix and UDP peers connected to, and refused TCP connections,"),
    Program("dns_sent", EventType.DNS, "btf:sock_send_length", f"{_DATAGRAMS} through write go unseen"),
    Program("dns_received", EventType.DNS, "btf:sock_recv_length", f"{_ANSWERS} through read go unseen"),
    _datagram("sendto", "dns_send", without="btf:sock_send_length"),
    _datagram("sendmsg", "dns_send", without="btf:sock_send_length"),
    _datagram("recvfrom", without="btf:sock_recv_length"),
    _datagram("recvmsg", without="btf:sock_recv_length"),
    _datagram("sendmmsg"),
    _datagram("recvmmsg"),
)


def group_of(hook: str) -> str:
    """The security hook that stands for all that are used together with this one, or it alone."""
    return _TREE.removeprefix("lsm:") if hook.removeprefix("path_") in _KINDS else hook


STOOD_IN_FOR = frozenset(row.without.removeprefix("lsm:") for row in PROGRAMS if row.without.startswith("lsm:"))


class Kernel(Protocol):
    """Where the kernel lets programs be attached: `agent.source.hooks.Hooks`."""

    def parameters(self, tracepoint: str) -> int:
        """How many arguments a BTF tracepoint hands over; -1 where it does not exist."""

    def lacks(self, hook: str) -> str:
        """What is in the way of a security hook; "" where nothing."""


def missing_for(program: Program, kernel: Kernel, tracefs: Path | None) -> str | None:
    """What the kernel lacks for a program; "" where another program stands in; None where nothing."""
    if (program.without and _has(kernel, program.without)) or (program.beside and not _has(kernel, program.beside)):
        return ""
    kind, name = program.hook.split(":")
    if kind == "lsm":
        return kernel.lacks(name) or None
    return _traced(program, name, kernel) if kind == "btf" else _classic(name, tracefs)


def _traced(program: Program, name: str, kernel: Kernel) -> str | None:
    parameters = kernel.parameters(name)
    if parameters < 0:
        return f"no BTF tracepoint {name}"
    return None if (parameters < program.parameters) == program.below else ""


def _classic(name: str, tracefs: Path | None) -> str | None:
    if tracefs is None:
        return "tracefs is not mounted or not readable"
    if Path(tracefs, "events", "syscalls", name).is_dir():
        return None
    return f"the kernel has no tracepoint {name}"


def _has(kernel: Kernel, hook: str) -> bool:
    kind, name = hook.split(":")
    return kernel.parameters(name) >= 0 if kind == "btf" else not kernel.lacks(name)


def find_tracefs(lib: LibBpf) -> Path | None:
    """Where tracefs is; mounts it where it is not. None where that is refused."""
    found = next((Path(path) for path in _TRACEFS if _is_directory(Path(path, "events"))), None)
    if found is None and lib.mount_tracefs(_TRACEFS[0]):
        return Path(_TRACEFS[0])
    return found


def _is_directory(path: Path) -> bool:
    """False, too, where an unprivileged user may not look."""
    try:
        return path.is_dir()
    except PermissionError:
        return False
