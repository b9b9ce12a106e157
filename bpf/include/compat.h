/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Everything that differs between kernel versions, each with the change that made the difference. */
#ifndef VEDETTE_COMPAT_H
#define VEDETTE_COMPAT_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* READ(p, a, b) is p->a->b. Since 6.2 (bpf_rdonly_cast: a35b9af4ec2c, "bpf: Add a kfunc for generic
 * type cast") every pointer can be followed by a plain load, which the kernel guards against faults:
 * about 1 ns each instead of 30. The same sources compiled with VEDETTE_HELPER_READS follow pointers
 * through bpf_probe_read_kernel instead; the loader takes that object on older kernels.
 */
#ifdef VEDETTE_HELPER_READS
#define READ(p, ...) BPF_CORE_READ(p, __VA_ARGS__)
#define compat__typed(type, p) ((type *)(p))
#define compat__current_task() ((struct task_struct *)bpf_get_current_task())
static __always_inline void *compat__pointer_at(const void *at)
{
	void *pointer = NULL;

	bpf_probe_read_kernel(&pointer, sizeof(pointer), at);
	return pointer;
}
#else
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;
#define READ(p, ...) ___arrow(p, __VA_ARGS__)
#define compat__typed(type, p) ((type *)bpf_rdonly_cast(p, bpf_core_type_id_kernel(type)))
/* Cast: for loads through what the verifier trusts, it searches all of the kernel's types by name, each time. */
#define compat__current_task() compat__typed(struct task_struct, (void *)bpf_get_current_task())
static __always_inline void *compat__pointer_at(const void *at)
{
	return compat__typed(struct llist_node, at)->next; /* any kernel type that begins with a pointer does */
}
#endif

/* kernel_cap_t: two __u32 until 6.3 (f122a08b197d, "capability: just use a 'u64' instead of a
 * 'u32[2]' array"). The same eight bytes on a little-endian machine, so read them as bytes.
 */
#define compat__capabilities(out, cred, field) bpf_core_read(out, sizeof(__u64), &(cred)->field)

/* ovl_inode.__upperdentry has no BTF where overlayfs is a module. It has stood right behind the
 * embedded inode since 4.13 (09d8b586731b, "ovl: move __upperdentry to ovl_inode").
 */
static __always_inline struct dentry *compat__ovl_upper(const struct inode *inode)
{
	return compat__typed(struct dentry, compat__pointer_at((const char *)inode + bpf_core_type_size(struct inode)));
}

/* When the inode last changed: written, renamed, linked, unlinked, its mode or owner set. Folded to 32
 * bits: equal means unchanged. i_ctime became __i_ctime in 6.6 (12cd44023651, "fs: rename __i_ctime field")
 * and two fields in 6.11 (3aa63a569c64, "fs: switch timespec64 fields in inode to discrete integers").
 */
static __always_inline __u32 compat__change_stamp(struct inode *inode)
{
	struct inode___before_6_11 *older = (void *)inode;
	struct inode___before_6_6 *oldest = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_nsec))
		return READ(inode, i_ctime_sec) * 0x9e3779b1 ^ READ(inode, i_ctime_nsec);
	if (bpf_core_field_exists(older->__i_ctime))
		return READ(older, __i_ctime.tv_sec) * 0x9e3779b1 ^ READ(older, __i_ctime.tv_nsec);
	return READ(oldest, i_ctime.tv_sec) * 0x9e3779b1 ^ READ(oldest, i_ctime.tv_nsec);
}

/* Pure cgroup v1 hosts keep every task in the root of the default hierarchy; there the pids
 * controller tells containers apart. The enum's values depend on the kernel's configuration.
 * `subsys` is the kernel's array of that name; NULL without the controller.
 */
static __always_inline struct cgroup_subsys_state *compat__pids_css(void *subsys)
{
	struct cgroup_subsys_state *css = NULL;
	__u64 index;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return NULL;
	index = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	bpf_probe_read_kernel(&css, sizeof(css), subsys + index * sizeof(css));
	return compat__typed(struct cgroup_subsys_state, css);
}

/* Where the current task's user registers are saved while it is in the kernel. bpf_task_pt_regs came
 * with 5.15 (dd6e10fbd9fb, "bpf: Add bpf_task_pt_regs() helper"); before, they are the last thing on the
 * kernel stack, of KERNEL_STACK bytes with pages of 4 KiB. 6.9 put padding behind them on machines with
 * FRED (df8838737b36), which only the helper knows of.
 */
#define KERNEL_STACK 16384
static __always_inline struct pt_regs *compat__user_regs(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return (struct pt_regs *)(BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), stack) + KERNEL_STACK -
				  bpf_core_type_size(struct pt_regs));
}

/* Since 7.0 tracepoints leave preemption on while their programs run (a46023d5616e, "tracing: Guard
 * __DECLARE_TRACE() use of __DO_TRACE_CALL() with SRCU-fast"), since 7.2 those of system calls, too
 * (trace_call_bpf_faultable). A task that takes the CPU in the middle of a program finds the per-CPU buffers half
 * written, and a program that is already running there is skipped for it. So a program says UNDISTURBED among its
 * variables and keeps the CPU to its end. Told from older kernels by what came with 7.0: costs them nothing.
 */
#ifdef VEDETTE_HELPER_READS
#define UNDISTURBED struct { } undisturbed __attribute__((unused))
#else
enum bpf_attach_type___since_7_0 { BPF_TRACE_FSESSION___since_7_0 = 1 };
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;
#define compat__is_preemptible() bpf_core_enum_value_exists(enum bpf_attach_type___since_7_0, BPF_TRACE_FSESSION___since_7_0)

static __always_inline int compat__preemption_off(void)
{
	if (compat__is_preemptible())
		bpf_preempt_disable();
	return 0;
}

static __always_inline void compat__preemption_on(const int *undisturbed)
{
	if (compat__is_preemptible())
		bpf_preempt_enable();
}
#define UNDISTURBED \
	int undisturbed __attribute__((cleanup(compat__preemption_on), unused)) = compat__preemption_off()
#endif

/* The CLONE_NEW* bit of a namespace, from what an nsfs inode points to. In its operations until 6.18
 * (which keeps it in the namespace itself).
 */
static __always_inline __u32 compat__namespace_kind(void *i_private)
{
	struct ns_common *ns = compat__typed(struct ns_common, i_private);

	if (bpf_core_field_exists(ns->ns_type))
		return READ(ns, ns_type);
	return READ(ns, ops, type);
}

#endif
