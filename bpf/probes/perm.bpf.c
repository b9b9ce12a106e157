// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Permissions that make a file run, or run as someone else. */
#include "../include/emit.h"

#define MODE_REPORTED 06111 /* set-user-id, set-group-id, execute */
#define MODE_BITS 07777

/* `path_arg`, `mode_arg`: which arguments of the call they are; path_arg < 0 without one. */
static __always_inline int perm__changed(long ret, int path_arg, int mode_arg)
{
	__u32 mode;
	struct ev_chmod *e;
	struct record *r;
	UNDISTURBED;

	/* filter: failed, the agent, a mode of no interest */
	if (ret || config__is_agent())
		return 0;
	mode = task__syscall_arg(mode_arg) & MODE_BITS;
	if (!(mode & MODE_REPORTED))
		return 0;
	/* head */
	r = record__begin(SCRATCH_PERM, EV_CHMOD, sizeof(struct ev_chmod), task__current());
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: mode */
	e->mode = mode;
	/* 2: path */
	if (path_arg >= 0)
		e->path_len = tail__string(r, (void *)task__syscall_arg(path_arg), STRING_BYTES, OF_USER);
	/* emit */
	ring__emit(r);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_chmod")
int perm_chmod(struct trace_event_raw_sys_exit *ctx) { return perm__changed(ctx->ret, 0, 1); }

SEC("tracepoint/syscalls/sys_exit_fchmod")
int perm_fchmod(struct trace_event_raw_sys_exit *ctx) { return perm__changed(ctx->ret, -1, 1); }

SEC("tracepoint/syscalls/sys_exit_fchmodat")
int perm_fchmodat(struct trace_event_raw_sys_exit *ctx) { return perm__changed(ctx->ret, 1, 2); }

SEC("tracepoint/syscalls/sys_exit_fchmodat2")
int perm_fchmodat2(struct trace_event_raw_sys_exit *ctx) { return perm__changed(ctx->ret, 1, 2); }
