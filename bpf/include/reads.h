/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 2: single facts read from one kernel object. */
#ifndef VEDETTE_READS_H
#define VEDETTE_READS_H

#include "maps.h"

#define TCP_SYN_SENT 2
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define SIGNAL_GROUP_EXIT 4

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFCHR 0020000

#define OVERLAYFS_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6

static __always_inline struct task_struct *task__current(void)
{
	return compat__current_task();
}

static __always_inline __u64 task__cgroup_id(struct task_struct *task, int v1)
{
	struct css_set *set = READ(task, cgroups);

	if (v1)
		return READ(compat__pids_css((void *)set + bpf_core_field_offset(struct css_set, subsys)), cgroup, kn, id);
	return READ(set, dfl_cgrp, kn, id);
}

static __always_inline __u64 task__start_time(struct task_struct *task)
{
	return READ(task, group_leader, start_boottime);
}

/* The process's number and namespace as its own pid namespace sees it. */
static __always_inline void task__ns_pid(struct task_struct *task, __u32 *nr, __u32 *ns)
{
	struct pid *pid = READ(task, group_leader, thread_pid);
	__u64 at = bpf_core_field_offset(struct pid, numbers) + READ(pid, level) * bpf_core_type_size(struct upid);
	struct upid *upid = compat__typed(struct upid, (void *)((__u64)pid + at));

	*nr = READ(upid, nr);
	*ns = READ(upid, ns, ns.inum);
}

static __always_inline __u32 task__tty(struct task_struct *task)
{
	struct tty_struct *tty = READ(task, signal, tty);
	struct tty_driver *driver = tty ? READ(tty, driver) : NULL;

	if (!driver)
		return 0;
	return READ(driver, major) << 20 | (READ(driver, minor_start) + READ(tty, index));
}

/* What wait(2) will report: the group's code if the group was told to exit, else the leader's. */
static __always_inline __u32 task__exit_code(struct task_struct *task)
{
	if (READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(task, signal, group_exit_code);
	return READ(task, group_leader, exit_code);
}

/* The file behind a descriptor of the current task; NULL where the read fails. */
static __always_inline struct file *task__file(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = READ(task, files, fdt);
	struct file **slots = READ(table, fd);
	void *file = fd < READ(table, max_fds) ? compat__pointer_at(slots + fd) : NULL;

	return compat__typed(struct file, file);
}

/* Argument `n` (a constant, 0 to 5) of the system call the current task is leaving. The kernel keeps the
 * argument registers as they were at entry; on arm64 the result takes the first one's place, and
 * orig_x0 keeps it. Not for 32-bit calls, whose registers are others.
 */
static __always_inline __u64 task__syscall_arg(int n)
{
	struct pt_regs *regs = compat__user_regs();

#if defined(__TARGET_ARCH_x86)
	switch (n) {
	case 0: return READ(regs, di);
	case 1: return READ(regs, si);
	case 2: return READ(regs, dx);
	case 3: return READ(regs, r10);
	case 4: return READ(regs, r8);
	default: return READ(regs, r9);
	}
#elif defined(__TARGET_ARCH_arm64)
	return n ? READ(regs, regs[n]) : READ(regs, orig_x0);
#endif
}

static __always_inline unsigned long inode__magic(struct inode *inode)
{
	return READ(inode, i_sb, s_magic);
}

/* Kernel file systems whose files are not data: reading them is no behaviour worth a record. */
static __always_inline int magic__is_pseudo(unsigned long magic)
{
	switch (magic) {
	case 0x9fa0:     /* proc */
	case 0x62656572: /* sysfs */
	case 0x27e0eb:   /* cgroup */
	case 0x63677270: /* cgroup2 */
	case 0x1cd1:     /* devpts */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0x73636673: /* securityfs */
	case 0xcafe4a11: /* bpf */
	case 0x6e736673: /* nsfs */
	case 0x42494e4d: /* binfmt_misc */
	case 0x62656570: /* configfs */
	case 0xf97cff8c: /* selinux */
		return 1;
	}
	return 0;
}

/* Where overlayfs keeps the file in the container's own layer; NULL for a file of the image. */
static __always_inline struct inode *inode__upper(struct inode *inode)
{
	struct dentry *upper = compat__ovl_upper(inode);

	return upper ? READ(upper, d_inode) : NULL;
}

/* Identity. An overlay inode has no generation of its own, so that of its upper file counts: a
 * deleted and remade file must not pass for the old one.
 */
static __always_inline void inode__id(struct inode *inode, struct ev_file_id *id)
{
	struct super_block *sb = READ(inode, i_sb);

	id->ino = READ(inode, i_ino);
	id->dev = READ(sb, s_dev);
	if (READ(sb, s_magic) == OVERLAYFS_MAGIC)
		inode = inode__upper(inode);
	id->generation = inode ? READ(inode, i_generation) : 0;
}

#endif
