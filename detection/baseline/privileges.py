"""What gaining rights and calling the kernel's sharper tools says on its own: prior weights, as in `priors.py`."""

from detection.baseline.priors import Touch

# Capabilities (capability(7)) by what they allow whoever holds them.
_CAPABILITIES: tuple[tuple[float, str, frozenset[str]], ...] = (
    (2.0, "is as good as root on the host", frozenset({"sys_admin", "sys_module", "sys_rawio", "bpf"})),
    (1.5, "reaches into other processes or around file permissions", frozenset(
        {"sys_ptrace", "dac_override", "dac_read_search", "setfcap", "mac_admin", "mac_override", "perfmon"})),
    (1.2, "lets it become another user", frozenset({"setuid", "setgid", "setpcap"})),
    (1.0, "changes the network or reads what passes", frozenset({"net_admin", "net_raw"})),
    (1.0, "changes the machine", frozenset({"sys_boot", "sys_time", "sys_chroot", "mknod", "syslog", "audit_control"})),
    (0.5, "lets it take files and processes of others", frozenset({"chown", "fowner", "kill", "fsetid"})),
)  # fmt: skip
_CAPABILITY = {name: (weight, what) for weight, what, names in _CAPABILITIES for name in names}

# System calls by name; with an operation ("ptrace attach") where only that one counts.
_CALLS: tuple[tuple[float, str, frozenset[str]], ...] = (
    (2.0, "changes the running kernel", frozenset({"init_module", "finit_module", "delete_module", "kexec_load"})),
    (1.8, "writes another process's memory or takes it over", frozenset(
        {"process_vm_writev", "ptrace attach", "ptrace seize", "ptrace poketext", "ptrace pokedata",
         "ptrace setregs"})),
    (1.5, "reads another process's memory", frozenset({"process_vm_readv"})),
    (1.5, "loads a program into the kernel", frozenset({"bpf prog_load", "bpf prog_attach", "bpf link_create"})),
    (1.5, "enters another namespace or root directory", frozenset({"setns", "pivot_root", "mount"})),
    (1.2, "makes namespaces of its own", frozenset({"unshare", "unshare user", "chroot"})),
    (1.2, "makes a program that is no file", frozenset({"memfd_create"})),
    (1.0, "makes writable memory executable", frozenset({"mmap", "mprotect"})),
    (1.0, "is a known step of kernel exploits", frozenset({"userfaultfd", "keyctl", "add_key", "io_uring_setup"})),
    (0.8, "watches the kernel", frozenset({"bpf", "perf_event_open", "ptrace"})),
    (0.5, "changes the machine's name", frozenset({"sethostname"})),
    (0.3, "signals another process", frozenset({"kill"})),
)  # fmt: skip
_CALL = {name: (weight, what) for weight, what, names in _CALLS for name in names}


def capability_touches(name: str) -> tuple[Touch, ...]:
    """What a capability allows. `name` with or without its CAP_, in any case."""
    bare = name.lower().removeprefix("cap_")
    weight, what = _CAPABILITY.get(bare, (0.3, "was not needed before"))
    return (Touch(weight, f"the capability {bare} {what}"),)


def credential_touches(before: int, after: int) -> tuple[Touch, ...]:
    """What a change of the user id says: to become root is what intruders want, to leave it is what servers do."""
    if after == 0 and before != 0:
        return (Touch(1.8, f"user {before} became root"),)
    if before == 0:
        return (Touch(0.3, f"root became user {after}"),)
    return (Touch(0.8, f"user {before} became user {after}"),)


def call_touches(name: str, operation: str = "") -> tuple[Touch, ...]:
    """What a system call does, the more telling of the call and of the call with its operation."""
    found = [_CALL[key] for key in (f"{name} {operation}", name) if key in _CALL]
    if not found:
        return ()
    weight, what = max(found)
    return (Touch(weight, f"{f'{name} {operation}'.strip()} {what}"),)
