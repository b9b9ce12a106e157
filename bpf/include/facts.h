/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 3: the facts of a record, put together from several reads, and the strings of its tail. */
#ifndef VEDETTE_FACTS_H
#define VEDETTE_FACTS_H

#include "reads.h"

#define NAME_BYTES 256  /* NAME_MAX and its NUL */
#define PATH_BYTES 1024 /* a path stops after the component that passes this */
#define PATH_STEPS 64   /* components and mount points together */
#define STRING_BYTES 1024 /* a string the caller or the kernel wrote out, with its NUL */
#define ARGV_BYTES 2048
#define ARGV_MASK 4095
_Static_assert(ARGV_BYTES <= ARGV_MASK, "verifier: the masked length must keep the bound");
_Static_assert(ARGV_MASK < CHUNK_MAX && STRING_BYTES <= CHUNK_MAX, "one write stays within a chunk");
_Static_assert(sizeof(struct ev_open) + 2 * (PATH_BYTES + NAME_BYTES) + ARGV_BYTES + STRING_BYTES < RECORD_MASK,
	       "the longest record must fit its scratch buffer");

static __always_inline void task__exe_id(struct task_struct *task, struct ev_file_id *id)
{
	struct inode *inode = READ(task, mm, exe_file, f_inode);

	if (!inode)
		return;
	inode__id(inode, id);
	id->generation ^= compat__change_stamp(inode);
}

static __always_inline void task__describe(struct task_struct *task, struct ev_task *out)
{
	struct config *cfg = config__get();
	struct task_struct *parent = READ(task, real_parent);
	const struct cred *cred = READ(task, cred);

	out->start_ns = task__start_time(task);
	out->parent_start_ns = task__start_time(parent);
	out->cgroup_id = task__cgroup_id(task, cfg && cfg->cgroup_v1);
	out->pid = READ(task, tgid);
	out->tid = READ(task, pid);
	out->ppid = READ(parent, tgid);
	task__ns_pid(task, &out->ns_pid, &out->pid_ns);
	out->uid = READ(cred, uid.val);
	out->gid = READ(cred, gid.val);
	out->euid = READ(cred, euid.val);
	out->egid = READ(cred, egid.val);
	out->mnt_ns = READ(task, nsproxy, mnt_ns, ns.inum);
	out->net_ns = READ(task, nsproxy, net_ns, ns.inum);
	out->tty = task__tty(task);
	bpf_core_read(&out->comm, sizeof(out->comm), &task->comm);
}

static __always_inline int file__is_memfd(struct file *file, unsigned long magic)
{
	const unsigned char *name = READ(file, f_path.dentry, d_name.name);
	char start[6] = {};

	if (magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC)
		return 0;
	bpf_probe_read_kernel(start, sizeof(start), name);
	return start[0] == 'm' && start[1] == 'e' && start[2] == 'm' && start[3] == 'f' && start[4] == 'd' && start[5] == ':';
}

static __always_inline __u32 file__flags(struct file *file)
{
	struct inode *inode = READ(file, f_inode);
	unsigned long magic = inode__magic(inode);
	__u32 flags = 0;

	if (magic == OVERLAYFS_MAGIC)
		flags |= FILE_F_OVERLAY | (inode__upper(inode) ? FILE_F_UPPER_LAYER : 0);
	if (magic == TMPFS_MAGIC)
		flags |= FILE_F_TMPFS;
	if (file__is_memfd(file, magic))
		flags |= FILE_F_MEMFD;
	if (READ(inode, i_nlink) == 0)
		flags |= FILE_F_UNLINKED;
	return flags;
}

static __always_inline struct mount *vfsmount__mount(struct vfsmount *vfsmount)
{
	return compat__typed(struct mount, (void *)((__u64)vfsmount - bpf_core_field_offset(struct mount, mnt)));
}

enum memory { OF_KERNEL, OF_USER };

/* Append a NUL-terminated string of at most `bound` bytes with its NUL; gives the bytes it takes
 * without. The NUL stays in the scratch buffer until the next append writes over it.
 */
static __always_inline __u16 tail__string(struct record *r, const void *from, __u32 bound, enum memory memory)
{
	void *to = &r->bytes[r->end & RECORD_MASK]; /* verifier: masked, so in bounds */
	long n = memory == OF_USER ? bpf_probe_read_user_str(to, bound, from) : bpf_probe_read_kernel_str(to, bound, from);

	if (n <= 0 || n > bound) {
		r->flags |= EV_F_READ_FAILED;
		return 0;
	}
	if (n == bound && bound > NAME_BYTES) /* no file name is longer than NAME_BYTES */
		r->flags |= EV_F_TRUNCATED;
	r->end += n - 1;
	return n - 1;
}

/* Which of a file's names this is: every component up to the root of the mount namespace, mixed. The
 * kernel's hash of a component depends on its directory's place in memory, so the value cannot be
 * aimed at, and changes when the directory left the cache and came back.
 */
static __always_inline __u32 path__name(struct dentry *dentry, struct vfsmount *vfsmount)
{
	struct mount *mount = compat__typed(struct mount, (void *)((__u64)vfsmount - bpf_core_field_offset(struct mount, mnt)));
	struct dentry *root = READ(mount, mnt.mnt_root);
	__u64 name = 0;
	int step;

	for (step = 0; step < PATH_STEPS; step++) {
		struct dentry *parent;

		if (dentry == root) {
			struct mount *below = READ(mount, mnt_parent);

			if (below == mount || !below)
				break;
			dentry = READ(mount, mnt_mountpoint);
			mount = below;
			root = READ(mount, mnt.mnt_root);
			continue;
		}
		name = (name ^ READ(dentry, d_name.hash)) * 0x9e3779b97f4a7c15;
		parent = READ(dentry, d_parent);
		if (dentry == parent)
			break; /* never had a directory: a memfd, a deleted root */
		dentry = parent;
	}
	return name >> 32;
}

/* Append the components of a path from the leaf to the root of the mount namespace, each with its
 * NUL; gives the bytes they take. Walks dentries and crosses mounts without locks: a rename under
 * way can show one component of the new name beside one of the old.
 */
static __always_inline __u16 tail__path(struct record *r, struct dentry *dentry, struct vfsmount *vfsmount)
{
	struct mount *mount = vfsmount__mount(vfsmount);
	__u32 begin = r->end;
	int step;

	for (step = 0; step < PATH_STEPS; step++) {
		struct dentry *parent = READ(dentry, d_parent);

		if (dentry == READ(mount, mnt.mnt_root)) {
			struct mount *below = READ(mount, mnt_parent);

			if (below == mount || !below)
				break;
			dentry = READ(mount, mnt_mountpoint);
			mount = below;
			continue;
		}
		if (r->end - begin > PATH_BYTES)
			break;
		if (!tail__string(r, READ(dentry, d_name.name), NAME_BYTES, OF_KERNEL))
			break;
		r->end++; /* keep the NUL */
		if (dentry == parent)
			break; /* never had a directory: a memfd, a deleted root */
		dentry = parent;
	}
	if (step == PATH_STEPS || r->end - begin > PATH_BYTES) {
		r->bytes[r->end & RECORD_MASK] = 0; /* an empty component says that the root is missing */
		r->end++;
		r->flags |= EV_F_TRUNCATED;
	}
	return r->end - begin;
}

/* Append the process's arguments, as they stand in its memory, up to ARGV_BYTES. */
static __always_inline __u16 tail__argv(struct record *r, struct mm_struct *mm, __u32 *total)
{
	unsigned long start = READ(mm, arg_start);
	__u32 n = READ(mm, arg_end) - start;
	volatile __u32 bound;

	*total = n;
	if (n > ARGV_BYTES) {
		n = ARGV_BYTES;
		r->flags |= EV_F_TRUNCATED;
	}
	/* verifier: the mask keeps the bound where the compiler reorders the comparison above; volatile, or a
	 * compiler for the first BPF instruction set (BCC's) takes the mask for needless
	 */
	bound = n;
	if (bpf_probe_read_user(&r->bytes[r->end & RECORD_MASK], bound & ARGV_MASK, (void *)start)) {
		r->flags |= EV_F_READ_FAILED;
		return 0;
	}
	r->end += n;
	return n;
}

#endif
