// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* File systems joined to the tree and taken off it. Never filtered. */
#include "../include/change.h"

#define ARG(n) ((const char *)task__syscall_arg(n))
#define MS_BIND 0x1000
#define MS_MOVE 0x2000

static __always_inline struct ev_path *mount__begin(struct task_struct *task, __u32 op, __u64 flags)
{
	struct record *r = record__begin(SCRATCH_PATH, EV_PATH, sizeof(struct ev_path), task);
	struct ev_path *e = (void *)r;

	if (!r)
		return NULL;
	r->flags = EV_F_USER_PATH;
	/* 1: exe */
	task__exe_id(task, &e->exe);
	/* 2: args, op */
	e->args[0] = flags;
	e->op = op;
	return e;
}

SEC("tracepoint/syscalls/sys_exit_mount")
int mount_mount(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = task__current();
	const char *source, *type;
	struct ev_path *e;
	struct record *r;
	__u32 flags;
	UNDISTURBED;

	/* filter: failed, the agent */
	if (ctx->ret || config__is_agent())
		return 0;
	/* head, 1, 2 */
	flags = task__syscall_arg(3);
	e = mount__begin(task, PATH_MOUNT, flags);
	if (!e)
		return 0;
	r = (void *)e;
	/* 3: path */
	e->path_len = tail__user_path(r, task, AT_FDCWD, ARG(1));
	/* 4: target: a path only where what is mounted is part of the tree already */
	source = ARG(0);
	if (flags & (MS_BIND | MS_MOVE))
		e->target_len = tail__user_path(r, task, AT_FDCWD, source);
	else if (source)
		e->target_len = tail__string(r, source, STRING_BYTES, OF_USER);
	/* 5: text */
	type = ARG(2);
	if (type)
		e->text_len = tail__string(r, type, NAME_BYTES, OF_USER);
	/* emit */
	ring__emit_always(r);
	return 0;
}

/* The other way to mount: fsopen, fsmount or open_tree make a mount without a place, this gives it one. */
SEC("tracepoint/syscalls/sys_exit_move_mount")
int mount_move_mount(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = task__current();
	struct mount *mount;
	struct ev_path *e;
	struct record *r;
	char start = 0;
	UNDISTURBED;

	/* filter: failed, the agent */
	if (ctx->ret || config__is_agent())
		return 0;
	bpf_probe_read_user(&start, sizeof(start), ARG(1));
	/* head, 1, 2 */
	e = mount__begin(task, PATH_MOUNT, start ? MS_MOVE : 0);
	if (!e)
		return 0;
	r = (void *)e;
	/* 3: path */
	e->path_len = tail__user_path(r, task, (int)task__syscall_arg(2), ARG(3));
	/* 4: target, 5: text: what the mount behind the descriptor was made from */
	if (start) {
		e->target_len = tail__user_path(r, task, (int)task__syscall_arg(0), ARG(1));
	} else {
		mount = vfsmount__mount(READ(task__file(task, (int)task__syscall_arg(0)), f_path.mnt));
		e->target_len = tail__string(r, READ(mount, mnt_devname), STRING_BYTES, OF_KERNEL);
		e->text_len = tail__string(r, READ(mount, mnt.mnt_sb, s_type, name), NAME_BYTES, OF_KERNEL);
	}
	/* emit */
	ring__emit_always(r);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_umount")
int mount_umount(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = task__current();
	struct ev_path *e;
	UNDISTURBED;

	/* filter: failed, the agent */
	if (ctx->ret || config__is_agent())
		return 0;
	/* head, 1, 2 */
	e = mount__begin(task, PATH_UMOUNT, (__u32)task__syscall_arg(1));
	if (!e)
		return 0;
	/* 3: path */
	e->path_len = tail__user_path((void *)e, task, AT_FDCWD, ARG(0));
	/* emit */
	ring__emit_always((void *)e);
	return 0;
}

/* Relative paths start from the new root by now: the call has moved the process. */
SEC("tracepoint/syscalls/sys_exit_pivot_root")
int mount_pivot_root(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = task__current();
	struct ev_path *e;
	UNDISTURBED;

	/* filter: failed, the agent */
	if (ctx->ret || config__is_agent())
		return 0;
	/* head, 1, 2 */
	e = mount__begin(task, PATH_PIVOT_ROOT, 0);
	if (!e)
		return 0;
	/* 3: path */
	e->path_len = tail__user_path((void *)e, task, AT_FDCWD, ARG(0));
	/* 4: target */
	e->target_len = tail__user_path((void *)e, task, AT_FDCWD, ARG(1));
	/* emit */
	ring__emit_always((void *)e);
	return 0;
}
