"""A seccomp profile (the JSON that Docker, Podman and the kubelet read) from a recording of system calls.

Format: docs.docker.com/engine/security/seccomp and the OCI runtime specification, config-linux.md, "Seccomp".
"""

from typing import Any

from agent.syscalls.tables import table_of
from detection.baseline.recording import Recording

# What runc (1.0-1.2) calls between installing the filter and the program's exec: with no_new_privs only the last step,
# without it also giving up privileges; what its Go runtime may do meanwhile on other threads; and what
# `docker exec`/`kubectl exec` needs to enter.
RUNTIME = (
    "brk", "capget", "capset", "chdir", "clone", "close", "close_range", "dup3", "epoll_create1", "epoll_ctl",
    "epoll_pwait", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fchdir",
    "fchown", "fcntl", "fstat", "fstatfs", "futex", "getcwd", "getdents64", "getpid", "getppid", "gettid", "getuid",
    "lstat", "madvise", "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "openat", "openat2", "pipe2",
    "prctl", "pread64", "read", "readlinkat", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity",
    "sched_yield", "seccomp", "set_robust_list", "set_tid_address", "setgid", "setgroups", "setresgid", "setresuid",
    "setuid", "sigaltstack", "stat", "statfs", "statx", "tgkill", "timer_create", "timer_delete", "timer_settime",
    "umask", "uname", "write",
)  # fmt: skip
# Calls that are made or not depending on the machine, not on the program: the kernel's own restarts, and what the
# vDSO answers where its clock may be read in user space.
EVERYWHERE = ("clock_getres", "clock_gettime", "getcpu", "getrandom", "gettimeofday", "restart_syscall", "time")
ACTIONS = {"errno": "SCMP_ACT_ERRNO", "log": "SCMP_ACT_LOG", "kill": "SCMP_ACT_KILL_PROCESS"}
_EPERM = 1


def seccomp_of(recording: Recording, action: str) -> tuple[dict[str, Any], list[str]]:
    """The profile, and what a person must know of it. Calls that are not in it get `action`, one of ACTIONS."""
    table = table_of(recording.machine)
    assert table is not None, "callers check"
    recorded = {call for call in recording.calls | recording.compat if not call.startswith("#")}
    known = {*table.native.values(), *(table.compat.values() if recording.compat else ())}
    architectures = [table.arch] + ([table.compat_arch] if recording.compat else [])
    extra = sorted((set(RUNTIME) | set(EVERYWHERE)) & known - recorded)
    profile: dict[str, Any] = {"defaultAction": ACTIONS[action]}
    if action == "errno":
        profile["defaultErrnoRet"] = _EPERM
    profile["architectures"] = architectures
    profile["syscalls"] = [
        {"names": sorted(recorded), "action": "SCMP_ACT_ALLOW", "comment": "recorded"},
        {"names": extra, "action": "SCMP_ACT_ALLOW", "comment": "of the container runtime, or of the machine"},
    ]
    return profile, _remarks(recording)


def _remarks(recording: Recording) -> list[str]:
    remarks = []
    unknown = sorted(c for c in recording.calls | recording.compat if c.startswith("#"))
    if unknown:
        remarks.append(f"calls {', '.join(unknown)} have no names here: they are left out, and will be refused")
    if not recording.starts:
        remarks.append("no start was watched: what the workload calls only then is missing; restart it while recording")
    if recording.incomplete:
        remarks.append(recording.incomplete)
    if recording.compat:
        remarks.append(
            "32-bit programs ran: names of both tables are allowed in both, seccomp profiles cannot tell them apart"
        )
    return remarks
