// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Files opened. The record describes the file behind the returned descriptor, never the pointer
 * the process passed: that memory can change under the kernel's feet.
 */
#include "../include/opens.h"

#define ALWAYS (-1)      /* where a call keeps its flags, other than in an argument */
#define FLAGS_IN_HOW (-2) /* the first member of struct open_how */

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
	struct inode *inode;
	struct record *r;
	struct file *file;
	__u32 f_mode, writes, truncated, flags = 0;
	__u16 mode;
	UNDISTURBED;

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
	writes = open__writes(f_mode);
	inode = READ(file, f_inode);
	mode = READ(inode, i_mode);
	if (!file__is_reported(inode, mode, writes))
		return 0;
	novelty__subject(&key, EV_OPEN, task);
	truncated = f_mode & FMODE_WRITE ? open__truncates(flags_arg) : 0;
	open__object(file, inode, writes, truncated, (struct opened *)key.object);
	if (!novelty__first(&key, &flags))
		return 0;
	/* head, 1 to 4, emit */
	r = record__begin(SCRATCH_FILE, EV_OPEN, sizeof(struct ev_open), task);
	if (r)
		file__emit(r, file, &key, flags, f_mode, READ(file, f_flags) | truncated, mode);
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
