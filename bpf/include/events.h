/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The one contract between the kernel side and user space: every record in the ring starts with
 * struct ev_head, has fixed-width fields with explicit padding that is always zero, and ends in a
 * tail: the strings of the record, one after the other, without separators, each as long as its
 * *_len field says. agent/decode/layout.py is generated from this header; bpf/ABI_VERSION moves
 * whenever a struct below does, or what a value of an enum means; not for a new value at an enum's end.
 */
#ifndef VEDETTE_EVENTS_H
#define VEDETTE_EVENTS_H

#define EV_COMM_LEN 16

/* Record types. The class of a counter is the type of the record it counts. */
enum ev_type {
	EV_FORK = 1,
	EV_EXEC = 2,
	EV_EXIT = 3,
	EV_OPEN = 4,
	EV_CONNECT = 5,
	EV_ACCEPT = 6,
	EV_CHMOD = 7,
	EV_CGROUP_MKDIR = 8,
	EV_CGROUP_RMDIR = 9,
	EV_CALL = 10,          /* a privileged or telling system call */
	EV_PATH = 11,          /* a change of the file tree: rename, link, unlink, mount … */
	EV_SOCKET = 12,        /* a socket made, bound, listening, or talking other than by TCP */
	EV_DNS = 13,           /* a DNS message a process sent or received */
	EV_THROTTLE = 14,      /* a cgroup's records of one class are being held back, or are again let through */
	EV_TYPE_MAX = 32,
};

/* What became of the behaviours of one class; indexes of the counter table. */
enum ev_counter {
	CTR_EMITTED = 0,       /* handed to the ring */
	CTR_FILTERED = 1,      /* known behaviour, counted in the novelty filter only */
	CTR_LOST_RING = 2,     /* the ring was full */
	CTR_LOST_SCRATCH = 3,  /* no scratch buffer: cannot happen unless a map is missing */
	CTR_READ_FAILED = 4,   /* a helper failed; the record went out with that field empty */
	CTR_FILTER_FULL = 5,   /* the novelty filter had no room: emitted although maybe known */
	CTR_TRUNCATED = 6,     /* a string or path was cut to its bound */
	CTR_THROTTLED = 7,     /* over the cgroup's budget: counted, not emitted */
	CTR_MAX = 16,
};

/* ev_head.flags: true of the record as a whole. */
enum ev_flag {
	EV_F_TRUNCATED = 1 << 0,    /* a string of the tail was cut to its bound */
	EV_F_READ_FAILED = 1 << 1,  /* a kernel read failed; the fields it filled are zero */
	EV_F_UNFILTERED = 1 << 2,   /* emitted because the novelty filter was full */
	EV_F_USER_PATH = 1 << 3,    /* paths are the strings the caller passed, not resolved by the kernel */
	EV_F_COMPAT = 1 << 4,       /* made through the 32-bit system call table */
	EV_F_ATTEMPT = 1 << 5,      /* seen as it began; how it ended is not known */
};

/* ev_exec.exe_flags and ev_open.file_flags: facts about the file itself. */
enum ev_file_flag {
	FILE_F_UPPER_LAYER = 1 << 0,  /* overlayfs: written in the container, not from the image */
	FILE_F_MEMFD = 1 << 1,        /* memfd_create: the file has never had a name */
	FILE_F_TMPFS = 1 << 2,
	FILE_F_UNLINKED = 1 << 3,     /* no name is left (nlink == 0) */
	FILE_F_SCRIPT = 1 << 4,       /* exec: the kernel ran an interpreter for the named file */
	FILE_F_SECURE = 1 << 5,       /* exec: the new image gained privilege (AT_SECURE) */
	FILE_F_CREATED = 1 << 6,      /* open: this open created the file */
	FILE_F_WRITE = 1 << 7,        /* open: opened for writing */
	FILE_F_OVERLAY = 1 << 8,      /* the file is on overlayfs */
};

/* Of a program (the field `exe`), the generation has the file's change time mixed in: a program that
 * was written, renamed or linked since is another one.
 */
struct ev_file_id {
	__u64 ino;
	__u32 dev;         /* kernel encoding: major << 20 | minor */
	__u32 generation;
};
_Static_assert(sizeof(struct ev_file_id) == 16, "ev_file_id");

/* Who did it: the process (thread group) and the thread of it that did. */
struct ev_task {
	__u64 start_ns;         /* start of the thread group leader, CLOCK_BOOTTIME */
	__u64 parent_start_ns;
	__u64 cgroup_id;        /* kernfs id of the cgroup directory */
	__u32 pid;              /* as the host sees it (tgid) */
	__u32 tid;
	__u32 ppid;
	__u32 ns_pid;           /* pid in the innermost pid namespace */
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 pid_ns;           /* namespace inode numbers */
	__u32 mnt_ns;
	__u32 net_ns;
	__u32 tty;              /* controlling terminal, major << 20 | minor; 0 without one */
	char comm[EV_COMM_LEN];
};
_Static_assert(sizeof(struct ev_task) == 88, "ev_task");

struct ev_head {
	__u16 type;             /* enum ev_type */
	__u16 flags;            /* enum ev_flag */
	__u32 size;             /* of the whole record, tail included */
	__u64 time_ns;          /* CLOCK_BOOTTIME */
	struct ev_task task;    /* fork: the child */
};
_Static_assert(sizeof(struct ev_head) == 104, "ev_head");

struct ev_fork {
	struct ev_head head;
};

/* Tail: path, argv, cwd, filename.
 * path and cwd (and ev_open.path) are components from the leaf to the root, each followed by NUL:
 * "sh\0bin\0" is /bin/sh, the root itself is empty, and a path cut to its bound ends in an empty
 * component. argv is the arguments, each followed by NUL. filename is the string
 * the caller gave to execve (a script's own name when FILE_F_SCRIPT is set).
 */
struct ev_exec {
	struct ev_head head;
	struct ev_file_id exe;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u32 exe_flags;        /* enum ev_file_flag */
	__u32 argv_total;       /* bytes of argv in the process, before the bound */
	__u16 path_len;
	__u16 argv_len;
	__u16 cwd_len;
	__u16 filename_len;
};
_Static_assert(sizeof(struct ev_exec) == 152, "ev_exec");

struct ev_exit {
	struct ev_head head;
	__u32 exit_code;        /* as wait(2) encodes it: signal in the low 7 bits, code above 8 */
	__u32 pad;
};
_Static_assert(sizeof(struct ev_exit) == 112, "ev_exit");

/* Tail: path. */
struct ev_open {
	struct ev_head head;
	struct ev_file_id exe;
	struct ev_file_id file;
	__u32 file_flags;       /* enum ev_file_flag */
	__u32 open_flags;       /* struct file.f_flags: O_* less the creation flags; and O_TRUNC */
	__u32 mode;             /* inode mode: type, set-id bits and permissions */
	__u32 fs_magic;
	__u16 path_len;
	__u16 pad;
	__u32 name;        /* by which of the file's names: a hash of its path, of this boot */
};
_Static_assert(sizeof(struct ev_open) == 160, "ev_open");

/* connect: the attempt, local port 0 where not yet chosen; accept: the connection, peer = client.
 * Addresses are in network order; IPv4 uses the first four bytes.
 */
struct ev_conn {
	struct ev_head head;
	struct ev_file_id exe;
	__u8 local_addr[16];
	__u8 peer_addr[16];
	__u16 local_port;       /* host order */
	__u16 peer_port;
	__u16 family;           /* AF_INET or AF_INET6 */
	__u16 protocol;         /* IPPROTO_* */
};
_Static_assert(sizeof(struct ev_conn) == 160, "ev_conn");

/* Only changes that set a set-id or an execute bit, and succeeded. Tail: path, as the caller gave
 * it (relative to its directory); empty for fchmod.
 */
struct ev_chmod {
	struct ev_head head;
	__u32 mode;
	__u16 path_len;
	__u16 pad;
};
_Static_assert(sizeof(struct ev_chmod) == 112, "ev_chmod");

/* Tail: path, of the cgroup below its hierarchy's root, as the kernel prints it ("/kubepods/…"). */
struct ev_cgroup {
	struct ev_head head;
	__u64 id;
	__u32 level;
	__u16 path_len;
	__u16 pad;
};
_Static_assert(sizeof(struct ev_cgroup) == 120, "ev_cgroup");

/* ev_call.call. args by call; what is not named is 0. result is the call's return value. */
enum ev_call_kind {
	CALL_SETUID = 1,            /* args: uid, euid before (after: head.task); saved, file system uid after */
	CALL_SETGID = 2,            /* args: gid, egid before (after: head.task); saved, file system gid after */
	CALL_CAPSET = 3,            /* args: effective before, effective after, permitted before, after */
	CALL_SETNS = 4,             /* args: CLONE_NEW* of the namespace, its inode number (0: by pidfd) */
	CALL_UNSHARE = 5,           /* args: flags */
	CALL_CHROOT = 6,            /* text: path as given */
	CALL_PTRACE = 7,            /* args: request; target */
	CALL_PROCESS_VM_READ = 8,   /* target */
	CALL_PROCESS_VM_WRITE = 9,  /* target */
	CALL_MODULE_LOAD = 10,      /* args: flags; text: parameters or module name */
	CALL_MODULE_DELETE = 11,    /* text: name */
	CALL_BPF = 12,              /* args: command, program or map type */
	CALL_PERF_EVENT_OPEN = 13,  /* args: type, config */
	CALL_MEMFD_CREATE = 14,     /* args: flags; text: name */
	CALL_IO_URING_SETUP = 15,   /* args: entries, flags */
	CALL_KILL = 16,             /* args: signal; target: only across containers */
	CALL_MMAP_WX = 17,          /* args: address given, length, protection, flags */
	CALL_MPROTECT_WX = 18,      /* args: address, length, protection */
	CALL_KEYCTL = 19,           /* args: operation, or 0x10000 add_key, 0x10001 request_key; text: their description */
	CALL_KEXEC_LOAD = 20,       /* args: flags; text: command line */
	CALL_USERFAULTFD = 21,      /* args: flags */
	CALL_SETHOSTNAME = 22,      /* text: name, where it succeeded */
};

/* Tail: text, as the caller gave it. */
struct ev_call {
	struct ev_head head;
	struct ev_file_id exe;
	__u64 args[4];
	__s64 result;
	__u64 target_start_ns;  /* of the process acted upon, 0 without one */
	__u64 target_cgroup_id;
	__u32 target_pid;
	__u32 call;             /* enum ev_call_kind */
	__u16 text_len;
	__u16 pad[3];
};
_Static_assert(sizeof(struct ev_call) == 192, "ev_call");

/* ev_path.op. path is what was changed, target what it was changed to or made from. */
enum ev_path_op {
	PATH_RENAME = 1,     /* path: old, target: new; args: RENAME_* flags */
	PATH_LINK = 2,       /* path: existing, target: new */
	PATH_SYMLINK = 3,    /* path: new, text: what it points to */
	PATH_UNLINK = 4,
	PATH_RMDIR = 5,
	PATH_MKDIR = 6,      /* args: mode */
	PATH_TRUNCATE = 7,   /* args: length */
	PATH_CHOWN = 8,      /* args: uid, gid */
	PATH_SETXATTR = 9,   /* text: attribute name */
	PATH_MOUNT = 10,     /* path: mount point, text: type; args: MS_* flags; target: source, a path with MS_BIND
				or MS_MOVE, else text */
	PATH_UMOUNT = 11,    /* args: flags */
	PATH_PIVOT_ROOT = 12, /* path: new root, target: where the old one goes */
	PATH_MKNOD = 13,     /* args: mode, device */
};

/* Only changes that succeeded, but for those flagged EV_F_ATTEMPT. Tail: path, target, text. path and target are components from the leaf
 * to the root as in ev_exec. With EV_F_USER_PATH the first component is the string the caller passed, the others
 * are those of the directory it starts from: the root, the working directory or the one behind a descriptor.
 */
struct ev_path {
	struct ev_head head;
	struct ev_file_id exe;
	struct ev_file_id file;  /* zero where only the path is known */
	__u64 args[2];
	__u32 op;                /* enum ev_path_op */
	__u32 file_flags;        /* enum ev_file_flag */
	__u16 path_len;
	__u16 target_len;
	__u16 text_len;
	__u16 pad;
};
_Static_assert(sizeof(struct ev_path) == 168, "ev_path");

/* ev_socket.op */
enum ev_socket_op {
	SOCKET_CREATE = 1,   /* raw and packet sockets only */
	SOCKET_BIND = 2,
	SOCKET_LISTEN = 3,
	SOCKET_CONNECT = 4,  /* unix and UDP; TCP is EV_CONNECT */
	SOCKET_SEND = 5,     /* UDP without a connection */
};

/* Tail: name, the path of a unix socket; an abstract name begins with NUL. */
struct ev_socket {
	struct ev_head head;
	struct ev_file_id exe;
	__u8 local_addr[16];
	__u8 peer_addr[16];
	__u16 local_port;        /* host order */
	__u16 peer_port;
	__u16 family;            /* AF_* */
	__u16 protocol;          /* IPPROTO_*; packet sockets: ETH_P_* in host order */
	__u32 type;              /* SOCK_* */
	__u32 op;                /* enum ev_socket_op */
	__s32 result;
	__u16 name_len;
	__u16 pad;
};
_Static_assert(sizeof(struct ev_socket) == 176, "ev_socket");

/* Tail: message, as it stood in the process's memory, at most 512 bytes of it. */
struct ev_dns {
	struct ev_head head;
	struct ev_file_id exe;
	__u8 server_addr[16];
	__u16 server_port;
	__u16 family;
	__u16 message_len;
	__u8 received;           /* 0: sent, 1: received */
	__u8 pad;
};
_Static_assert(sizeof(struct ev_dns) == 144, "ev_dns");

/* Begin and end of throttling; head.task is whoever acted when it was noticed. */
struct ev_throttle {
	struct ev_head head;
	__u64 cgroup_id;
	__u64 held_back;         /* how many since the beginning; 0 at the beginning */
	__u64 since_ns;          /* CLOCK_BOOTTIME of the beginning */
	__u32 type;              /* enum ev_type: the class */
	__u32 stop;              /* 0: begins, 1: ended */
};
_Static_assert(sizeof(struct ev_throttle) == 136, "ev_throttle");

/* Novelty filter: one behaviour. The value is a per-CPU count of how often it was seen. */
struct ev_novelty_key {
	__u64 cgroup_id;
	struct ev_file_id exe;
	__u8 object[24];        /* open: ev_file_id, access, name; connect/accept: address, port, family */
	__u32 type;             /* enum ev_type */
	__u32 pad;
};
_Static_assert(sizeof(struct ev_novelty_key) == 56, "ev_novelty_key");

#endif
