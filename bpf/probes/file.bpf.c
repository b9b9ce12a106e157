// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Files opened. The record describes the file behind the returned descriptor, never the pointer
 * the process passed: that memory can change under the kernel's feet.
 */
#include "../include/emit.h"

#define O_TRUNC 01000
#define ALWAYS (-1)      /* where a call keeps its flags, other than in an argument */
#define FLAGS_IN_HOW (-2) /* the first member of struct open_how */
#define DEV_MAJOR(dev) ((dev) >> 20)
#define DEV_MINOR(dev) ((dev) & 0xfffff)
#define MAJOR_MEM 1
#define MEM_HARMLESS (1 << 3 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9) /* null zero full random urandom */

/* What makes an open the same behaviour as an earlier one (ev_novelty_key.object). */
enum access { ACCESS_WRITE = 1 << 0, ACCESS_UNLINKED = 1 << 1, ACCESS_TRUNCATE = 1 << 2 };

struct opened {
	struct ev_file_id file;
	__u32 access;
	__u32 name;
};
_Static_assert(sizeof(struct opened) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

static __always_inline int device__is_harmless(__u32 dev)
{
	__u32 major = DEV_MAJOR(dev), minor = DEV_MINOR(dev);

	if (major == MAJOR_MEM)
		return minor < 16 && (MEM_HARMLESS >> minor & 1);
	return major == 4 || major == 5 || (major >= 136 && major <= 143); /* terminals */
}

/* Reads: regular files that hold data. Writes: files and devices; never pipes, sockets, terminals. */
static __always_inline int file__is_reported(struct inode *inode, __u16 mode, int writes)
{
	__u16 type = mode & S_IFMT;

	if (!writes)
		return type == S_IFREG && !magic__is_pseudo(inode__magic(inode));
	if (type == S_IFCHR)
		return !device__is_harmless(READ(inode, i_rdev));
	return type == S_IFREG || type == S_IFBLK;
}

static __always_inline void file__emit(struct task_struct *task, struct file *file, const struct ev_novelty_key *key,
				       __u32 flags, __u32 f_mode, __u32 truncated, __u16 mode)
{
	struct record *r = record__begin(SCRATCH_FILE, EV_OPEN, sizeof(struct ev_open), task);
	struct ev_open *e = (void *)r;
	const struct opened *opened;

	if (!r)
		return;
	r->flags = flags;
	/* 1: exe, file, name */
	e->exe = key->exe;
	opened = (void *)key->object;
	e->file = opened->file;
	e->name = opened->name;
	/* 2: file_flags, open_flags, mode */
	e->file_flags = file__flags(file);
	if (f_mode & FMODE_WRITE)
		e->file_flags |= FILE_F_WRITE;
	if (f_mode & FMODE_CREATED)
		e->file_flags |= FILE_F_CREATED;
	e->open_flags = READ(file, f_flags) | truncated;
	e->mode = mode;
	/* 3: fs_magic */
	e->fs_magic = inode__magic(READ(file, f_inode));
	/* 4: path */
	e->path_len = tail__path(r, READ(file, f_path.dentry), READ(file, f_path.mnt));
	/* emit */
	novelty__emit(r, key);
}

/* O_TRUNC where the call asked for it; the file keeps no trace of that. `from`: the argument with the flags. */
static __always_inline __u32 open__truncates(int from)
{
	__u64 flags = O_TRUNC;

	if (from == FLAGS_IN_HOW)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)task__syscall_arg(2));
	else if (from >= 0)
		flags = task__syscall_arg(from);
	return flags & O_TRUNC;
}

static __always_inline int file__opened(long fd, int flags_arg)
{
	struct ev_novelty_key key = {};
	struct task_struct *task;
	struct opened *opened;
	struct inode *inode;
	struct file *file;
	__u32 f_mode, writes, truncated, flags = 0;
	__u16 mode;

	/* filter: failed, the agent, not data, known */
	if (fd < 0 || config__is_agent())
		return 0;
	task = task__current();
	file = task__file(task, fd);
	if (!file) {
		counters__bump(EV_OPEN, CTR_READ_FAILED);
		return 0;
	}
	f_mode = READ(file, f_mode);
	if (!(f_mode & (FMODE_READ | FMODE_WRITE)))
		return 0;
	writes = !!(f_mode & (FMODE_WRITE | FMODE_CREATED));
	inode = READ(file, f_inode);
	mode = READ(inode, i_mode);
	if (!file__is_reported(inode, mode, writes))
		return 0;
	novelty__subject(&key, EV_OPEN, task);
	opened = (void *)key.object;
	inode__id(inode, &opened->file);
	truncated = f_mode & FMODE_WRITE ? open__truncates(flags_arg) : 0;
	opened->access = (writes ? ACCESS_WRITE : 0) | (truncated ? ACCESS_TRUNCATE : 0) | (READ(inode, i_nlink) ? 0 : ACCESS_UNLINKED);
	opened->name = path__name(READ(file, f_path.dentry), READ(file, f_path.mnt));
	if (novelty__first(&key, &flags))
		file__emit(task, file, &key, flags, f_mode, truncated, mode);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_open")
int file_open(struct trace_event_raw_sys_exit *ctx) { return file__opened(ctx->ret, 1); }

SEC("tracepoint/syscalls/sys_exit_openat")
int file_openat(struct trace_event_raw_sys_exit *ctx) { return file__opened(ctx->ret, 2); }

SEC("tracepoint/syscalls/sys_exit_openat2")
int file_openat2(struct trace_event_raw_sys_exit *ctx) { return file__opened(ctx->ret, FLAGS_IN_HOW); }

SEC("tracepoint/syscalls/sys_exit_creat")
int file_creat(struct trace_event_raw_sys_exit *ctx) { return file__opened(ctx->ret, ALWAYS); }
