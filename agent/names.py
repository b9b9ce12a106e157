"""Names of the numbers system calls take, as Linux' headers have them, in lower case without their prefix."""

import signal
from collections.abc import Mapping

# include/uapi/linux/ptrace.h: the requests that take a process over or change it.
PTRACE = {
    0: "traceme", 4: "poketext", 5: "pokedata", 6: "pokeuser", 13: "setregs", 15: "setfpregs", 16: "attach",
    0x4205: "setregset", 0x4206: "seize",
}  # fmt: skip
# include/uapi/linux/bpf.h: enum bpf_cmd.
BPF = (
    "map_create", "map_lookup_elem", "map_update_elem", "map_delete_elem", "map_get_next_key", "prog_load", "obj_pin",
    "obj_get", "prog_attach", "prog_detach", "prog_test_run", "prog_get_next_id", "map_get_next_id",
    "prog_get_fd_by_id", "map_get_fd_by_id", "obj_get_info_by_fd", "prog_query", "raw_tracepoint_open", "btf_load",
    "btf_get_fd_by_id", "task_fd_query", "map_lookup_and_delete_elem", "map_freeze", "btf_get_next_id",
    "map_lookup_batch", "map_lookup_and_delete_batch", "map_update_batch", "map_delete_batch", "link_create",
    "link_update", "link_get_fd_by_id", "link_get_next_id", "enable_stats", "iter_create", "link_detach",
    "prog_bind_map", "token_create",
)  # fmt: skip
PERF = ("hardware", "software", "tracepoint", "hw_cache", "raw", "breakpoint")
# include/uapi/linux/keyctl.h, and the two calls beside it.
KEYCTL = {
    0: "get_keyring_id", 1: "join_session_keyring", 2: "update", 3: "revoke", 4: "chown", 5: "setperm", 6: "describe",
    7: "clear", 8: "link", 9: "unlink", 10: "search", 11: "read", 12: "instantiate", 0x10000: "add_key",
    0x10001: "request_key",
}  # fmt: skip
NAMESPACES = {
    0x20000: "mnt", 0x2000000: "cgroup", 0x4000000: "uts", 0x8000000: "ipc", 0x10000000: "user", 0x20000000: "pid",
    0x40000000: "net", 0x80: "time",
}  # fmt: skip
MOUNT = {
    1: "ro", 2: "nosuid", 4: "nodev", 8: "noexec", 32: "remount", 0x1000: "bind", 0x2000: "move", 0x4000: "rec",
    0x20000: "unbindable", 0x40000: "private", 0x80000: "slave", 0x100000: "shared",
}  # fmt: skip
MEMFD = {1: "cloexec", 2: "allow_sealing", 4: "hugetlb", 8: "noexec_seal", 16: "exec"}
PROTECTION = {1: "read", 2: "write", 4: "exec"}
# include/uapi/linux/capability.h, by number.
CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
ANONYMOUS = 0x20  # of mmap's flags


def named(table: Mapping[int, str] | tuple[str, ...], number: int) -> str:
    """The name of a number, the number itself where it has none here."""
    if isinstance(table, tuple):
        return table[number] if number < len(table) else str(number)
    return table.get(number, str(number))


def signal_name(number: int) -> str:
    """SIGKILL for 9; real-time signals keep their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def set_names(table: Mapping[int, str], bits: int) -> tuple[str, ...]:
    """Names of the bits that are set."""
    return tuple(name for bit, name in table.items() if bits & bit)


def capability_names(bits: int) -> tuple[str, ...]:
    """cap_… names of a set; bits without a name are left out."""
    return tuple(f"cap_{name}" for number, name in enumerate(CAPABILITIES) if bits >> number & 1)
