// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Changes of the file tree as the kernel makes them, with its own paths, for every caller: 64-bit and 32-bit
 * calls and io_uring. The hook comes before the change, so the record waits for the call's exit, which tells
 * whether it succeeded; where no exit will, it goes out at once (EV_F_ATTEMPT).
 */
#include "../include/held.h"
#include "../include/tree.h"

static __always_inline int tree__changes(__u32 op, const struct named *at, const struct named *to, const char *text,
					 __u64 arg)
{
	struct task_struct *current = task__current(), *task;
	__u32 tid = bpf_get_current_pid_tgid(), flags = 0;
	int call = caller__call(current), exits = change__exits(call);
	struct dentry *dentry = at->dentry;
	struct changed object = {.op = op};
	struct ev_novelty_key key = {};
	struct ev_path *e;
	struct record *r;

	/* filter: the agent, known */
	if (config__is_agent())
		return 0;
	held__settle(tid);
	task = caller__task(current);
	if (call == NR_RENAMEAT2)
		arg = (__u32)task__syscall_arg(4);
	if (!exits)
		flags = caller__flags(current);
	novelty__subject(&key, EV_PATH, task);
	change__object(&object, at, to, text, &arg, &flags);
	__builtin_memcpy(key.object, &object, sizeof(key.object));
	if (!(flags & EV_F_UNFILTERED) && !novelty__first(&key, &flags))
		return 0;
	/* head */
	r = held__begin(EV_PATH, sizeof(struct ev_path), task, &key);
	if (!r)
		return 0;
	e = (void *)r;
	r->flags = flags;
	/* 1: exe, file */
	e->exe = key.exe;
	inode__id(READ(dentry, d_inode), &e->file);
	/* 2: args, op */
	e->args[0] = arg;
	e->op = op;
	/* 3: path, 4: target, 5: text */
	e->path_len = tail__path(r, at->dentry, at->mnt);
	if (to)
		e->target_len = tail__path(r, to->dentry, to->mnt);
	if (text)
		e->text_len = tail__string(r, text, STRING_BYTES, OF_KERNEL);
	/* emit */
	if (!exits) {
		novelty__emit(r, &key);
		held__drop(tid);
	}
	return 0;
}

SEC("lsm/path_rename")
int BPF_PROG(tree_rename, const struct path *dir, struct dentry *old, const struct path *to, struct dentry *new)
{
	return tree__changes(PATH_RENAME, NAMED(dir, old), NAMED(to, new), NULL, 0);
}

/* A link stays on its mount. */
SEC("lsm/path_link")
int BPF_PROG(tree_link, struct dentry *old, const struct path *dir, struct dentry *new)
{
	return tree__changes(PATH_LINK, NAMED(dir, old), NAMED(dir, new), NULL, 0);
}

SEC("lsm/path_symlink")
int BPF_PROG(tree_symlink, const struct path *dir, struct dentry *new, const char *text)
{
	return tree__changes(PATH_SYMLINK, NAMED(dir, new), NULL, text, 0);
}

SEC("lsm/path_unlink")
int BPF_PROG(tree_unlink, const struct path *dir, struct dentry *old)
{
	return tree__changes(PATH_UNLINK, NAMED(dir, old), NULL, NULL, 0);
}

SEC("lsm/path_rmdir")
int BPF_PROG(tree_rmdir, const struct path *dir, struct dentry *old)
{
	return tree__changes(PATH_RMDIR, NAMED(dir, old), NULL, NULL, 0);
}

SEC("lsm/path_mkdir")
int BPF_PROG(tree_mkdir, const struct path *dir, struct dentry *new, unsigned short mode)
{
	return tree__changes(PATH_MKDIR, NAMED(dir, new), NULL, NULL, mode);
}
