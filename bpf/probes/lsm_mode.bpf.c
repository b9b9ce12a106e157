// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Modes, owners and mounts that no exit of a system call will tell of: 32-bit calls. Each goes out as an attempt. */
#include "../include/caller.h"
#include "../include/held.h"

#define MODE_TOLD 06111 /* as perm.bpf.c: set-user-id, set-group-id, execute */
#define MS_PATHS 0x3000 /* MS_BIND | MS_MOVE: the source is a path, which is not at hand here as the kernel's */

/* A record that goes out each time, or NULL: its exit will tell, the agent, no room. */
static __always_inline struct record *attempt__begin(__u32 type, __u32 size)
{
	struct task_struct *current = task__current();
	struct ev_novelty_key none = {};
	struct record *r;

	if (caller__exits(current) || config__is_agent())
		return NULL;
	r = held__begin(type, size, caller__task(current), &none);
	if (r)
		r->flags = caller__flags(current);
	return r;
}

static __always_inline int attempt__end(struct record *r)
{
	ring__emit(r);
	held__drop(bpf_get_current_pid_tgid());
	return 0;
}

SEC("lsm/path_chmod")
int BPF_PROG(mode_changes, const struct path *at, unsigned short mode)
{
	struct path *path = compat__typed(struct path, (void *)at);
	struct ev_chmod *e;
	struct record *r;

	/* filter */
	if (!(mode & MODE_TOLD))
		return 0;
	/* head */
	r = attempt__begin(EV_CHMOD, sizeof(struct ev_chmod));
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: mode; 2: path, the last component of it */
	e->mode = mode & 07777;
	e->path_len = tail__string(r, READ(path, dentry, d_name.name), NAME_BYTES, OF_KERNEL);
	/* emit */
	return attempt__end(r);
}

static __always_inline struct record *attempt__path(__u32 op, struct dentry *dentry, struct vfsmount *mnt, __u64 a, __u64 b)
{
	struct record *r = attempt__begin(EV_PATH, sizeof(struct ev_path));
	struct ev_path *e = (void *)r;

	if (!r)
		return NULL;
	/* 1: exe, file */
	task__exe_id(caller__task(task__current()), &e->exe);
	inode__id(READ(dentry, d_inode), &e->file);
	/* 2: args, op */
	e->args[0] = a;
	e->args[1] = b;
	e->op = op;
	/* 3: path */
	e->path_len = tail__path(r, dentry, mnt);
	return r;
}

SEC("lsm/path_chown")
int BPF_PROG(owner_changes, const struct path *at, unsigned int uid, unsigned int gid)
{
	struct path *path = compat__typed(struct path, (void *)at);
	struct record *r = attempt__path(PATH_CHOWN, READ(path, dentry), READ(path, mnt), uid, gid);

	return r ? attempt__end(r) : 0;
}

SEC("lsm/sb_mount")
int BPF_PROG(mount_reached, const char *source, const struct path *at, const char *type, unsigned long flags)
{
	struct path *path = compat__typed(struct path, (void *)at);
	struct record *r = attempt__path(PATH_MOUNT, READ(path, dentry), READ(path, mnt), (__u32)flags, 0);
	struct ev_path *e = (void *)r;

	if (!r)
		return 0;
	/* 4: target, 5: text */
	if (source && !(flags & MS_PATHS))
		e->target_len = tail__string(r, source, STRING_BYTES, OF_KERNEL);
	if (type)
		e->text_len = tail__string(r, type, NAME_BYTES, OF_KERNEL);
	return attempt__end(r);
}

SEC("lsm/sb_umount")
int BPF_PROG(umount_reached, struct vfsmount *mounted, int flags)
{
	struct vfsmount *mnt = compat__typed(struct vfsmount, mounted);
	struct record *r = attempt__path(PATH_UMOUNT, READ(mnt, mnt_root), mnt, (__u32)flags, 0);

	return r ? attempt__end(r) : 0;
}
