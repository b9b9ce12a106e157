"""Generated from bpf/include/events.h by tools/gen_layout.py; `make gen` renews it."""

ABI_VERSION = 2

# enum ev_type
EV_FORK = 1
EV_EXEC = 2
EV_EXIT = 3
EV_OPEN = 4
EV_CONNECT = 5
EV_ACCEPT = 6
EV_CHMOD = 7
EV_CGROUP_MKDIR = 8
EV_CGROUP_RMDIR = 9
EV_CALL = 10
EV_PATH = 11
EV_SOCKET = 12
EV_DNS = 13
EV_THROTTLE = 14
EV_TYPE_MAX = 32

# enum ev_counter
CTR_EMITTED = 0
CTR_FILTERED = 1
CTR_LOST_RING = 2
CTR_LOST_SCRATCH = 3
CTR_READ_FAILED = 4
CTR_FILTER_FULL = 5
CTR_TRUNCATED = 6
CTR_THROTTLED = 7
CTR_MAX = 16

# enum ev_flag
EV_F_TRUNCATED = 1
EV_F_READ_FAILED = 2
EV_F_UNFILTERED = 4
EV_F_USER_PATH = 8
EV_F_COMPAT = 16
EV_F_ATTEMPT = 32

# enum ev_file_flag
FILE_F_UPPER_LAYER = 1
FILE_F_MEMFD = 2
FILE_F_TMPFS = 4
FILE_F_UNLINKED = 8
FILE_F_SCRIPT = 16
FILE_F_SECURE = 32
FILE_F_CREATED = 64
FILE_F_WRITE = 128
FILE_F_OVERLAY = 256

EV_FILE_ID_FORMAT = "=QII"
EV_FILE_ID_SIZE = 16
EV_FILE_ID_OFFSETS = {
    "ino": 0,
    "dev": 8,
    "generation": 12,
}

EV_TASK_FORMAT = "=QQQIIIIIIIIIIII16s"
EV_TASK_SIZE = 88
EV_TASK_OFFSETS = {
    "start_ns": 0,
    "parent_start_ns": 8,
    "cgroup_id": 16,
    "pid": 24,
    "tid": 28,
    "ppid": 32,
    "ns_pid": 36,
    "uid": 40,
    "gid": 44,
    "euid": 48,
    "egid": 52,
    "pid_ns": 56,
    "mnt_ns": 60,
    "net_ns": 64,
    "tty": 68,
    "comm": 72,
}

EV_HEAD_FORMAT = "=HHIQQQQIIIIIIIIIIII16s"
EV_HEAD_SIZE = 104
EV_HEAD_OFFSETS = {
    "type": 0,
    "flags": 2,
    "size": 4,
    "time_ns": 8,
    "task.start_ns": 16,
    "task.parent_start_ns": 24,
    "task.cgroup_id": 32,
    "task.pid": 40,
    "task.tid": 44,
    "task.ppid": 48,
    "task.ns_pid": 52,
    "task.uid": 56,
    "task.gid": 60,
    "task.euid": 64,
    "task.egid": 68,
    "task.pid_ns": 72,
    "task.mnt_ns": 76,
    "task.net_ns": 80,
    "task.tty": 84,
    "task.comm": 88,
}

EV_FORK_FORMAT = "=HHIQQQQIIIIIIIIIIII16s"
EV_FORK_SIZE = 104
EV_FORK_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
}

EV_EXEC_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQIIQQIIHHHH"
EV_EXEC_SIZE = 152
EV_EXEC_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "cap_permitted": 120,
    "cap_effective": 128,
    "exe_flags": 136,
    "argv_total": 140,
    "path_len": 144,
    "argv_len": 146,
    "cwd_len": 148,
    "filename_len": 150,
}

EV_EXIT_FORMAT = "=HHIQQQQIIIIIIIIIIII16sII"
EV_EXIT_SIZE = 112
EV_EXIT_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exit_code": 104,
    "pad": 108,
}

EV_OPEN_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQIIQIIIIIIHHI"
EV_OPEN_SIZE = 160
EV_OPEN_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "file.ino": 120,
    "file.dev": 128,
    "file.generation": 132,
    "file_flags": 136,
    "open_flags": 140,
    "mode": 144,
    "fs_magic": 148,
    "path_len": 152,
    "pad": 154,
    "name": 156,
}

EV_CONN_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQII16s16sHHHH"
EV_CONN_SIZE = 160
EV_CONN_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "local_addr": 120,
    "peer_addr": 136,
    "local_port": 152,
    "peer_port": 154,
    "family": 156,
    "protocol": 158,
}

EV_CHMOD_FORMAT = "=HHIQQQQIIIIIIIIIIII16sIHH"
EV_CHMOD_SIZE = 112
EV_CHMOD_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "mode": 104,
    "path_len": 108,
    "pad": 110,
}

EV_CGROUP_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQIHH"
EV_CGROUP_SIZE = 120
EV_CGROUP_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "id": 104,
    "level": 112,
    "path_len": 116,
    "pad": 118,
}

# enum ev_call_kind
CALL_SETUID = 1
CALL_SETGID = 2
CALL_CAPSET = 3
CALL_SETNS = 4
CALL_UNSHARE = 5
CALL_CHROOT = 6
CALL_PTRACE = 7
CALL_PROCESS_VM_READ = 8
CALL_PROCESS_VM_WRITE = 9
CALL_MODULE_LOAD = 10
CALL_MODULE_DELETE = 11
CALL_BPF = 12
CALL_PERF_EVENT_OPEN = 13
CALL_MEMFD_CREATE = 14
CALL_IO_URING_SETUP = 15
CALL_KILL = 16
CALL_MMAP_WX = 17
CALL_MPROTECT_WX = 18
CALL_KEYCTL = 19
CALL_KEXEC_LOAD = 20
CALL_USERFAULTFD = 21
CALL_SETHOSTNAME = 22

EV_CALL_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQIIQQQQqQQIIH6s"
EV_CALL_SIZE = 192
EV_CALL_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "args.0": 120,
    "args.1": 128,
    "args.2": 136,
    "args.3": 144,
    "result": 152,
    "target_start_ns": 160,
    "target_cgroup_id": 168,
    "target_pid": 176,
    "call": 180,
    "text_len": 184,
    "pad": 186,
}

# enum ev_path_op
PATH_RENAME = 1
PATH_LINK = 2
PATH_SYMLINK = 3
PATH_UNLINK = 4
PATH_RMDIR = 5
PATH_MKDIR = 6
PATH_TRUNCATE = 7
PATH_CHOWN = 8
PATH_SETXATTR = 9
PATH_MOUNT = 10
PATH_UMOUNT = 11
PATH_PIVOT_ROOT = 12
PATH_MKNOD = 13

EV_PATH_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQIIQIIQQIIHHHH"
EV_PATH_SIZE = 168
EV_PATH_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "file.ino": 120,
    "file.dev": 128,
    "file.generation": 132,
    "args.0": 136,
    "args.1": 144,
    "op": 152,
    "file_flags": 156,
    "path_len": 160,
    "target_len": 162,
    "text_len": 164,
    "pad": 166,
}

# enum ev_socket_op
SOCKET_CREATE = 1
SOCKET_BIND = 2
SOCKET_LISTEN = 3
SOCKET_CONNECT = 4
SOCKET_SEND = 5

EV_SOCKET_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQII16s16sHHHHIIiHH"
EV_SOCKET_SIZE = 176
EV_SOCKET_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "local_addr": 120,
    "peer_addr": 136,
    "local_port": 152,
    "peer_port": 154,
    "family": 156,
    "protocol": 158,
    "type": 160,
    "op": 164,
    "result": 168,
    "name_len": 172,
    "pad": 174,
}

EV_DNS_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQII16sHHHBB"
EV_DNS_SIZE = 144
EV_DNS_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "exe.ino": 104,
    "exe.dev": 112,
    "exe.generation": 116,
    "server_addr": 120,
    "server_port": 136,
    "family": 138,
    "message_len": 140,
    "received": 142,
    "pad": 143,
}

EV_THROTTLE_FORMAT = "=HHIQQQQIIIIIIIIIIII16sQQQII"
EV_THROTTLE_SIZE = 136
EV_THROTTLE_OFFSETS = {
    "head.type": 0,
    "head.flags": 2,
    "head.size": 4,
    "head.time_ns": 8,
    "head.task.start_ns": 16,
    "head.task.parent_start_ns": 24,
    "head.task.cgroup_id": 32,
    "head.task.pid": 40,
    "head.task.tid": 44,
    "head.task.ppid": 48,
    "head.task.ns_pid": 52,
    "head.task.uid": 56,
    "head.task.gid": 60,
    "head.task.euid": 64,
    "head.task.egid": 68,
    "head.task.pid_ns": 72,
    "head.task.mnt_ns": 76,
    "head.task.net_ns": 80,
    "head.task.tty": 84,
    "head.task.comm": 88,
    "cgroup_id": 104,
    "held_back": 112,
    "since_ns": 120,
    "type": 128,
    "stop": 132,
}

EV_NOVELTY_KEY_FORMAT = "=QQII24sII"
EV_NOVELTY_KEY_SIZE = 56
EV_NOVELTY_KEY_OFFSETS = {
    "cgroup_id": 0,
    "exe.ino": 8,
    "exe.dev": 16,
    "exe.generation": 20,
    "object": 24,
    "type": 48,
    "pad": 52,
}
