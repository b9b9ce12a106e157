// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Which system calls each cgroup makes: one byte per call, set once, no event. An object of its own, loaded only while
 * somebody records (`vedette agent --record-syscalls`, `vedette baseline syscalls`): it runs at every call of every process.
 *
 * A container runtime sets a container up from within its cgroup (mount, pivot_root, unshare, setns …) before it replaces
 * itself by the container's program. That is none of the workload's doing: who came into a cgroup, and whom it forked,
 * is a stranger there until it executes something in another mount namespace than the host's (runc executes a copy of
 * itself first, while it is still in that).
 */
#define VEDETTE_HELPER_READS /* the same object for every kernel */
#include "include/compat.h"

#define CALLS 512 /* highest number of any table today: 469 */
#define CGROUPS 4096
#define STRANGERS 8192
#define TS_COMPAT 0x2    /* x86: asm/thread_info.h */
#define TIF_32BIT 22     /* arm64: asm/thread_info.h */
_Static_assert((CALLS & (CALLS - 1)) == 0, "the mask below is CALLS less one");

/* Bytes, not bits: a plain store sets one, whatever other CPUs do, on kernels without atomic OR (before 5.12), too. */
struct seen {
	__u8 native[CALLS];
	__u8 compat[CALLS]; /* numbers of the 32-bit table */
};

struct setup {
	__u32 pure_v1;  /* 1: the pids controller tells containers apart */
	__u32 host_mnt; /* the host's mount namespace */
};

enum { UNPLACED, BEYOND, FAULTS }; /* calls of a cgroup for which there was no room, calls above the last number */

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, CGROUPS); __type(key, __u64); __type(value, struct seen); } seen SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct seen); } nothing SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, FAULTS); __type(key, __u32); __type(value, __u64); } faults SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct setup); } setup SEC(".maps");

struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, STRANGERS); __type(key, __u32); __type(value, __u8); } strangers SEC(".maps");

static __always_inline void fault(__u32 which)
{
	__u64 *count = bpf_map_lookup_elem(&faults, &which);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* As bpf/include/facts.h takes it. */
static __always_inline __u64 cgroup_id(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 zero = 0;
	struct setup *how = bpf_map_lookup_elem(&setup, &zero);
	struct cgroup_subsys_state *css;

	if (!how || !how->pure_v1)
		return bpf_get_current_cgroup_id();
	css = compat__pids_css(BPF_CORE_READ(task, cgroups, subsys));
	return css ? BPF_CORE_READ(css, cgroup, kn, id) : 0;
}

static __always_inline void estrange(__u32 tgid)
{
	__u8 yes = 1;

	bpf_map_update_elem(&strangers, &tgid, &yes, BPF_ANY);
}

static __always_inline int is_compat(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

#ifdef __TARGET_ARCH_x86
	return !!(BPF_CORE_READ(task, thread_info.status) & TS_COMPAT);
#else
	return !!(BPF_CORE_READ(task, thread_info.flags) & (1UL << TIF_32BIT));
#endif
}

static __always_inline struct seen *place(__u64 cgroup)
{
	struct seen *found = bpf_map_lookup_elem(&seen, &cgroup), *blank;
	__u32 zero = 0;

	if (found)
		return found;
	blank = bpf_map_lookup_elem(&nothing, &zero);
	if (blank)
		bpf_map_update_elem(&seen, &cgroup, blank, BPF_NOEXIST);
	return bpf_map_lookup_elem(&seen, &cgroup);
}

SEC("raw_tp/sys_enter")
int call_made(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 number = ctx->args[1];
	struct seen *found;
	__u8 *byte;

	if (bpf_map_lookup_elem(&strangers, &tgid))
		return 0;
	found = place(cgroup_id());
	if (!found) {
		fault(UNPLACED);
		return 0;
	}
	if (number >= CALLS) { /* -1: a tracer took the call away */
		if ((__s64)number >= 0)
			fault(BEYOND);
		return 0;
	}
	byte = is_compat() ? &found->compat[number & (CALLS - 1)] : &found->native[number & (CALLS - 1)];
	if (!*byte) /* reading what is there spares the other CPUs their cache lines */
		*byte = 1;
	return 0;
}

SEC("raw_tp/cgroup_attach_task") /* dst_cgrp, path, task, threadgroup */
int call_moved(struct bpf_raw_tracepoint_args *ctx)
{
	estrange(BPF_CORE_READ((struct task_struct *)ctx->args[2], tgid));
	return 0;
}

SEC("raw_tp/sched_process_fork") /* parent, child */
int call_forked(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid);

	if (from == to) /* a thread */
		return 0;
	/* CLONE_INTO_CGROUP moves nobody: the child begins there. */
	if (bpf_map_lookup_elem(&strangers, &from) ||
	    BPF_CORE_READ(parent, cgroups, dfl_cgrp, kn, id) != BPF_CORE_READ(child, cgroups, dfl_cgrp, kn, id))
		estrange(to);
	return 0;
}

SEC("raw_tp/sched_process_exec") /* task, old_pid, bprm */
int call_replaced(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tgid = BPF_CORE_READ(task, tgid), zero = 0;
	struct setup *how = bpf_map_lookup_elem(&setup, &zero);

	if (how && BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum) != how->host_mnt)
		bpf_map_delete_elem(&strangers, &tgid);
	return 0;
}

SEC("raw_tp/sched_process_exit") /* task */
int call_ended(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);

	if (BPF_CORE_READ(task, pid) == tgid)
		bpf_map_delete_elem(&strangers, &tgid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
