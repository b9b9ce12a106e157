/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The kernel types the programs read, and of each only the members they read. The loader finds the
 * real offsets in the running kernel's BTF (CO-RE), so order and padding here mean nothing.
 */
#ifndef VEDETTE_KERNEL_H
#define VEDETTE_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>

#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { __u32 val; } kuid_t;
typedef struct { __u32 val; } kgid_t;
typedef struct { __u64 val; } kernel_cap_t;
typedef struct { int counter; } atomic_t;

struct proc_ns_operations { int type; };
struct ns_common { unsigned int inum; __u32 ns_type; const struct proc_ns_operations *ops; };
struct xa_node { unsigned char shift; void *slots[64]; };
struct xarray { void *xa_head; };
struct idr { struct xarray idr_rt; };
struct pid_namespace { struct ns_common ns; struct idr idr; };
struct new_utsname { char nodename[65]; };
struct uts_namespace { struct new_utsname name; };
struct mnt_namespace { struct ns_common ns; };
struct net { struct ns_common ns; };
struct nsproxy { struct uts_namespace *uts_ns; struct mnt_namespace *mnt_ns; struct net *net_ns; };
struct upid { int nr; struct pid_namespace *ns; };
struct hlist_node { struct hlist_node *next; };
struct hlist_head { struct hlist_node *first; };
struct pid { unsigned int level; struct hlist_head tasks[1]; struct upid numbers[1]; };

struct kernfs_node { __u64 id; };
struct cgroup_root { int hierarchy_id; };
struct cgroup;
struct cgroup_subsys_state { struct cgroup *cgroup; };
enum cgroup_subsys_id { pids_cgrp_id = 1 };
struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
	struct cgroup_subsys_state *subsys[16];
};
struct css_set { struct cgroup_subsys_state *subsys[16]; struct cgroup *dfl_cgrp; };

struct qstr { __u32 hash, len; const unsigned char *name; };
struct llist_node { struct llist_node *next; };
struct timespec64 { long long tv_sec; long tv_nsec; };
struct file_system_type { const char *name; };
struct super_block { __u32 s_dev; unsigned long s_magic; struct file_system_type *s_type; };
struct inode {
	__u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_rdev;
	__u32 i_generation;
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
	void *i_private;
};
struct inode___before_6_11 { struct timespec64 __i_ctime; };
struct inode___before_6_6 { struct timespec64 i_ctime; };
struct dentry { struct dentry *d_parent; struct qstr d_name; struct inode *d_inode; };
struct vfsmount { struct dentry *mnt_root; struct super_block *mnt_sb; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	const char *mnt_devname;
	struct mnt_namespace *mnt_ns;
};
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct fs_struct { struct path pwd, root; };
struct cred;
struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	void *private_data;
	const struct cred *f_cred;
	struct inode *f_inode;
	struct path f_path;
};
struct fdtable { unsigned int max_fds; struct file **fd; };
struct files_struct { struct fdtable *fdt; };

struct cred {
	kuid_t uid, euid, suid, fsuid;
	kgid_t gid, egid, sgid, fsgid;
	kernel_cap_t cap_permitted, cap_effective;
};
struct tty_driver { int major, minor_start; };
struct tty_struct { int index; struct tty_driver *driver; };
struct signal_struct {
	atomic_t live;
	unsigned int flags;
	int group_exit_code;
	struct tty_struct *tty;
};
struct task_struct;
struct mm_struct { unsigned long arg_start, arg_end; struct file *exe_file; struct task_struct *owner; };
struct vm_area_struct { unsigned long vm_start, vm_end; };
struct thread_info { unsigned long flags; __u32 status; };
struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid, tgid, exit_code;
	void *stack;
	__u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader, *real_parent;
	struct mm_struct *mm;
	struct pid *thread_pid;
	struct hlist_node pid_links[1];
	const struct cred *cred;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct css_set *cgroups;
};
struct kernel_siginfo { int si_code; };
struct linux_binprm { const char *filename, *interp; unsigned int secureexec : 1; };

struct in6_addr { __u32 words[4]; };
struct sock_common {
	__u32 skc_daddr, skc_rcv_saddr;
	__u16 skc_dport, skc_num, skc_family;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock { struct sock_common __sk_common; __u16 sk_protocol; };
struct socket { short type; struct sock *sk; };
struct sockaddr_un { __u16 sun_family; char sun_path[108]; };
struct unix_address { int len; struct sockaddr_un name[1]; };
struct unix_sock { struct unix_address *addr; struct sock *peer; };

/* User registers as a system call saved them. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs { unsigned long di, si, dx, r10, r8, r9, orig_ax; };
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs { __u64 regs[31], orig_x0; int syscallno; };
#endif

/* Classic tracepoints' arguments; the layout of their first 16 bytes is ABI. */
struct trace_event_raw_sys_enter { long id; unsigned long args[6]; };
struct trace_event_raw_sys_exit { long id; long ret; };

#pragma clang attribute pop

#endif
