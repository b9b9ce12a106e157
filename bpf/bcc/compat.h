/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Takes the place of include/kernel.h and include/compat.h where BCC compiles the sources on the machine
 * they run on: types come from that kernel's own headers, so no offset is left to be fitted, and what
 * CO-RE asks at load time is a constant or an #if here. Every name of include/compat.h is here, too.
 */
#ifndef VEDETTE_COMPAT_H
#define VEDETTE_COMPAT_H
#define VEDETTE_WITHOUT_BTF

#pragma clang diagnostic ignored "-Wmacro-redefined"
#pragma clang diagnostic ignored "-Wincompatible-pointer-types-discards-qualifiers"

#include <linux/version.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/binfmts.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kernfs.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/mount.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/proc_ns.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/user_namespace.h>
#include <linux/utsname.h>
#include <linux/xarray.h>
#include <net/af_unix.h>
#include <net/net_namespace.h>
#include <net/sock.h>

/* fs/mount.h is not among the installed headers. Its first members stand since 3.13 (0818bf27c05b,
 * "resizable namespace.c hashes"); mnt_namespace since 5.11 (1a7b8969e664, "mnt: Use generic
 * ns_common::count").
 */
struct mount {
	struct hlist_node mnt_hash;
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	union { struct rcu_head mnt_rcu; struct llist_node mnt_llist; };
#ifdef CONFIG_SMP
	void *mnt_pcp;
#else
	int mnt_count, mnt_writers;
#endif
	struct list_head mnt_mounts, mnt_child, mnt_instance;
	const char *mnt_devname;
};
struct mnt_namespace {
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
	atomic_t count;
#endif
	struct ns_common ns;
};

/* The first 8 bytes belong to the kernel; the rest is the system call's ABI. */
struct trace_event_raw_sys_enter { __u64 common; long id; unsigned long args[6]; };
struct trace_event_raw_sys_exit { __u64 common; long id; long ret; };

#define VEDETTE_BCC 1
#define user_msghdr vedette_user_msghdr /* the sources declare the part they read */
#undef __noinline
#define __noinline inline __attribute__((always_inline)) /* BCC loads one function, not what it calls */
#define VEDETTE_MAP(name) ((void *)bpf_pseudo_fd(1, VEDETTE_MAP_##name))

/* libbpf's readers, without the record of what they read: nothing will be fitted. */
#define __builtin_preserve_access_index(x) (x)
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#undef bpf_core_field_offset
#define bpf_core_field_offset(type, field) __builtin_offsetof(type, field)
#undef bpf_core_type_size
#define bpf_core_type_size(type) sizeof(type)
#undef bpf_core_enum_value
#define bpf_core_enum_value(type, value) (value)
#undef bpf_core_enum_value_exists
#define bpf_core_enum_value_exists(type, value) 1
#undef BPF_CORE_READ_BITFIELD_PROBED
#define BPF_CORE_READ_BITFIELD_PROBED(from, field) bcc__bitfield_##field(from)

/* A bit field has no address. These three have stood together right before `executable` since 5.8
 * (b8a61c9e7b4a, "exec: Generic execfd support").
 */
static __always_inline int bcc__bitfield_secureexec(const struct linux_binprm *bprm)
{
	struct { unsigned int have_execfd : 1, execfd_creds : 1, secureexec : 1; } bits = {};

	bpf_probe_read_kernel(&bits, sizeof(bits), (char *)bprm + __builtin_offsetof(struct linux_binprm, executable) - 8);
	return bits.secureexec;
}

/* Pointers are followed by helper calls: the kernel cannot guard plain loads of types it does not know. */
#define READ(p, ...) BPF_CORE_READ(p, __VA_ARGS__)
#define compat__typed(type, p) ((type *)(p))
#define compat__current_task() ((struct task_struct *)bpf_get_current_task())
static __always_inline void *compat__pointer_at(const void *at)
{
	void *pointer = NULL;

	bpf_probe_read_kernel(&pointer, sizeof(pointer), at);
	return pointer;
}

#define compat__capabilities(out, cred, field) bpf_core_read(out, sizeof(__u64), &(cred)->field)

/* struct ovl_inode is private to overlayfs: see include/compat.h. */
static __always_inline struct dentry *compat__ovl_upper(const struct inode *inode)
{
	return compat__pointer_at((const char *)inode + sizeof(struct inode));
}

static __always_inline __u32 compat__change_stamp(struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	return READ(inode, i_ctime_sec) * 0x9e3779b1 ^ READ(inode, i_ctime_nsec);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return READ(inode, __i_ctime.tv_sec) * 0x9e3779b1 ^ READ(inode, __i_ctime.tv_nsec);
#else
	return READ(inode, i_ctime.tv_sec) * 0x9e3779b1 ^ READ(inode, i_ctime.tv_nsec);
#endif
}

static __always_inline struct cgroup_subsys_state *compat__pids_css(void *subsys)
{
#ifdef CONFIG_CGROUP_PIDS
	return compat__pointer_at(subsys + pids_cgrp_id * sizeof(struct cgroup_subsys_state *));
#else
	return NULL;
#endif
}

/* As the kernel's own task_pt_regs. bpf_task_pt_regs takes a pointer only BTF can type. */
#ifndef TOP_OF_KERNEL_STACK_PADDING
#define TOP_OF_KERNEL_STACK_PADDING 0
#endif
static __always_inline struct pt_regs *compat__user_regs(void)
{
	char *stack = READ(compat__current_task(), stack);

	return (struct pt_regs *)(stack + THREAD_SIZE - TOP_OF_KERNEL_STACK_PADDING) - 1;
}

/* BCC is for kernels without BTF, which are older than 7.0. */
#define UNDISTURBED

static __always_inline __u32 compat__namespace_kind(void *i_private)
{
	struct ns_common *ns = i_private;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
	return READ(ns, ns_type);
#else
	return READ(ns, ops, type);
#endif
}

#endif
