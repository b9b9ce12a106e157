// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Changes of the file tree by name: one program behind all their system calls, because what they share is
 * long, and the kernel checks it once for each program it is in.
 */
#include "../include/change.h"

#define AT_REMOVEDIR 0x200
#define NONE (-1)

/* A device number as user space passes it, in the kernel's encoding. */
static __always_inline __u64 device__decoded(__u32 dev)
{
	return (dev & 0xfff00) << 12 | (dev & 0xff) | (dev >> 12 & 0xfff00);
}

/* Which arguments hold the directory and the name; NONE for the working directory. */
static __always_inline int path__at(struct change *c, __u32 op, const __u64 *args, int dir, int path)
{
	c->op = op;
	if (dir != NONE)
		c->path_dir = args[dir];
	c->path = (const char *)args[path];
	return 1;
}

static __always_inline int target__at(struct change *c, const __u64 *args, int dir, int path)
{
	if (dir != NONE)
		c->target_dir = args[dir];
	c->target = (const char *)args[path];
	return 1;
}

static __always_inline int path__made(struct change *c, __u32 op, const __u64 *args, int dir, int path)
{
	c->args[0] = (__u32)args[path + 1];
	if (op == PATH_MKNOD) {
		c->args[1] = device__decoded(args[path + 2]);
		c->unfiltered = 1;
	}
	return path__at(c, op, args, dir, path);
}

static __always_inline int path__owned(struct change *c, const __u64 *args, int dir, int path)
{
	c->args[0] = (__u32)args[path + 1];
	c->args[1] = (__u32)args[path + 2];
	return path__at(c, PATH_CHOWN, args, dir, path);
}

static __always_inline int path__attributed(struct change *c, const __u64 *args, int dir, int path, int name)
{
	c->text = (const char *)args[name];
	c->unfiltered = text__is_security(c->text);
	return path__at(c, PATH_SETXATTR, args, dir, path);
}

/* What a call changed; 0 for a call of no interest. */
static __always_inline int path__change(struct change *c, int call, const __u64 *args)
{
	switch (call) {
	case NR_RENAME:
		return path__at(c, PATH_RENAME, args, NONE, 0) && target__at(c, args, NONE, 1);
	case NR_RENAMEAT2:
		c->args[0] = (__u32)args[4];
		/* fall through */
	case NR_RENAMEAT:
		return path__at(c, PATH_RENAME, args, 0, 1) && target__at(c, args, 2, 3);
	case NR_LINK:
		return path__at(c, PATH_LINK, args, NONE, 0) && target__at(c, args, NONE, 1);
	case NR_LINKAT:
		return path__at(c, PATH_LINK, args, 0, 1) && target__at(c, args, 2, 3);
	case NR_SYMLINK:
		c->text = (const char *)args[0];
		return path__at(c, PATH_SYMLINK, args, NONE, 1);
	case NR_SYMLINKAT:
		c->text = (const char *)args[0];
		return path__at(c, PATH_SYMLINK, args, 1, 2);
	case NR_UNLINK:
		return path__at(c, PATH_UNLINK, args, NONE, 0);
	case NR_UNLINKAT:
		return path__at(c, args[2] & AT_REMOVEDIR ? PATH_RMDIR : PATH_UNLINK, args, 0, 1);
	case NR_RMDIR:
		return path__at(c, PATH_RMDIR, args, NONE, 0);
	case NR_MKDIR:
		return path__made(c, PATH_MKDIR, args, NONE, 0);
	case NR_MKDIRAT:
		return path__made(c, PATH_MKDIR, args, 0, 1);
	case NR_MKNOD:
		return path__made(c, PATH_MKNOD, args, NONE, 0);
	case NR_MKNODAT:
		return path__made(c, PATH_MKNOD, args, 0, 1);
	case NR_TRUNCATE:
		c->length = args[1];
		return path__at(c, PATH_TRUNCATE, args, NONE, 0);
	case NR_CHOWN:
	case NR_LCHOWN:
		return path__owned(c, args, NONE, 0);
	case NR_FCHOWNAT:
		return path__owned(c, args, 0, 1);
	case NR_SETXATTR:
	case NR_LSETXATTR:
		return path__attributed(c, args, NONE, 0, 1);
	case NR_SETXATTRAT:
		return path__attributed(c, args, 0, 1, 3);
	}
	return 0;
}

SEC("tracepoint")
int path_change(struct trace_event_raw_sys_exit *ctx)
{
	__u64 args[5];
	struct ev_novelty_key key = {};
	struct change *c;
	__u32 flags = EV_F_USER_PATH;
	struct task_struct *task;
	struct record *r;
	UNDISTURBED;

	/* filter: failed, the agent, known */
	if (ctx->ret || config__is_agent())
		return 0;
	for (int i = 0; i < 5; i++)
		args[i] = task__syscall_arg(i);
	c = change__begin();
	if (!c || !path__change(c, (int)ctx->id, args))
		return 0;
	task = task__current();
	r = change__first(task, c, &key, &flags);
	if (!r)
		return 0;
	/* head, 1 to 5 */
	r = change__record(task, c, &key, flags);
	/* emit */
	if (r)
		novelty__emit(r, &key);
	return 0;
}
