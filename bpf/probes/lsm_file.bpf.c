// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Files opened where no exit of a system call gives their descriptor away: by io_uring, 32-bit calls, file handles. */
#include "../include/caller.h"
#include "../include/held.h"
#include "../include/opens.h"

#define F_EXEC 0x20   /* __FMODE_EXEC in file.f_flags: the kernel opens a program to run it */
#define O_ONCE 01700  /* O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC: flags of the call, not of the file */

/* Calls file.bpf.c sees the end of. All others are rare here, so this is what most opens pay. */
static __always_inline int open__exits(int call)
{
	return call == NR_OPENAT || call == NR_OPEN || call == NR_OPENAT2 || call == NR_CREAT;
}

/* overlayfs opens the file below, too: until 6.7 under the path of the one above, now on a mount of its own. */
static __always_inline int file__is_inner(struct file *file)
{
	struct mount *mount = vfsmount__mount(READ(file, f_path.mnt));
	__s64 namespace = (__s64)READ(mount, mnt_ns);

	return READ(file, f_inode) != READ(file, f_path.dentry, d_inode) || !namespace || namespace > -4096;
}

/* Runs before the open is done: a driver can still refuse it. */
SEC("lsm/file_open")
int BPF_PROG(file_reached, struct file *reached)
{
	struct task_struct *current = task__current(), *task;
	struct file *file = compat__typed(struct file, reached);
	struct ev_novelty_key key = {};
	__u32 f_mode, f_flags, truncated, flags;
	struct inode *inode;
	struct record *r;
	__u16 mode;

	/* filter: its exit will tell, the agent, to be run, not data, known */
	if (open__exits(caller__call(current)) || config__is_agent())
		return 0;
	f_flags = READ(file, f_flags);
	f_mode = READ(file, f_mode);
	inode = READ(file, f_inode);
	mode = READ(inode, i_mode);
	if (f_flags & F_EXEC || !file__is_reported(inode, mode, open__writes(f_mode)) || file__is_inner(file))
		return 0;
	task = caller__task(current);
	flags = caller__flags(current);
	novelty__subject(&key, EV_OPEN, task);
	truncated = f_mode & FMODE_WRITE ? f_flags & O_TRUNC : 0;
	open__object(file, inode, open__writes(f_mode), truncated, (struct opened *)key.object);
	if (!novelty__first(&key, &flags))
		return 0;
	/* head, 1 to 4, emit */
	r = held__begin(EV_OPEN, sizeof(struct ev_open), task, &key);
	if (!r)
		return 0;
	file__emit(r, file, &key, flags, f_mode, (f_flags & ~O_ONCE) | truncated, mode);
	held__drop(bpf_get_current_pid_tgid());
	return 0;
}
