// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Changes of a file through a descriptor: its length, its owner, its extended attributes. The path is that
 * of the file. One program behind three system calls, as in path.bpf.c.
 */
#include "../include/change.h"

static __always_inline int attribute__change(struct change *c, int call)
{
	switch (call) {
	case NR_FTRUNCATE:
		c->op = PATH_TRUNCATE;
		c->length = task__syscall_arg(1);
		return 1;
	case NR_FCHOWN:
		c->op = PATH_CHOWN;
		c->args[0] = (__u32)task__syscall_arg(1);
		c->args[1] = (__u32)task__syscall_arg(2);
		return 1;
	case NR_FSETXATTR:
		c->op = PATH_SETXATTR;
		c->text = (const char *)task__syscall_arg(1);
		c->unfiltered = text__is_security(c->text);
		return 1;
	}
	return 0;
}

SEC("tracepoint")
int attribute_change(struct trace_event_raw_sys_exit *ctx)
{
	struct ev_novelty_key key = {};
	struct ev_file_id id = {};
	struct task_struct *task;
	struct change *c;
	struct file *file;
	struct record *r;
	struct ev_path *e;
	__u32 flags = 0;
	UNDISTURBED;

	/* filter: failed, the agent, known */
	if (ctx->ret || config__is_agent())
		return 0;
	c = change__begin();
	if (!c || !attribute__change(c, (int)ctx->id))
		return 0;
	task = task__current();
	file = task__file(task, task__syscall_arg(0));
	inode__id(READ(file, f_inode), &id);
	if (!change__first_of_file(task, &id, c, &key, &flags))
		return 0;
	/* head */
	r = record__begin(SCRATCH_PATH, EV_PATH, sizeof(struct ev_path), task);
	if (!r)
		return 0;
	e = (void *)r;
	r->flags = flags;
	/* 1: exe, file, file_flags */
	e->exe = key.exe;
	e->file = id;
	e->file_flags = file__flags(file);
	/* 2: args, op */
	e->args[0] = c->args[0] | c->length;
	e->args[1] = c->args[1];
	e->op = c->op;
	/* 3: path */
	e->path_len = tail__path(r, READ(file, f_path.dentry), READ(file, f_path.mnt));
	/* 4: text */
	if (c->text)
		e->text_len = tail__string(r, c->text, STRING_BYTES, OF_USER);
	/* emit */
	novelty__emit(r, &key);
	return 0;
}
