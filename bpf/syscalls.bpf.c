// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Which system calls each cgroup makes: one byte per call, set once, no event. An object of its own, loaded only while
 * somebody records (`vedette agent --record-syscalls`, `vedette baseline syscalls`): it runs at every call of every process.
 */
#define VEDETTE_HELPER_READS /* the same object for every kernel */
#include "include/compat.h"

#define CALLS 512 /* highest number of any table today: 469 */
#define CGROUPS 4096
#define TS_COMPAT 0x2    /* x86: asm/thread_info.h */
#define TIF_32BIT 22     /* arm64: asm/thread_info.h */
_Static_assert((CALLS & (CALLS - 1)) == 0, "the mask below is CALLS less one");

/* Bytes, not bits: a plain store sets one, whatever other CPUs do, on kernels without atomic OR (before 5.12), too. */
struct seen {
	__u8 native[CALLS];
	__u8 compat[CALLS]; /* numbers of the 32-bit table */
};

enum { UNPLACED, BEYOND, FAULTS }; /* calls of a cgroup for which there was no room, calls above the last number */

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, CGROUPS); __type(key, __u64); __type(value, struct seen); } seen SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, struct seen); } nothing SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, FAULTS); __type(key, __u32); __type(value, __u64); } faults SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } pure_v1 SEC(".maps");

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
	__u32 zero = 0, *v1 = bpf_map_lookup_elem(&pure_v1, &zero);
	struct cgroup_subsys_state *css;

	if (!v1 || !*v1)
		return bpf_get_current_cgroup_id();
	css = compat__pids_css(BPF_CORE_READ(task, cgroups, subsys));
	return css ? BPF_CORE_READ(css, cgroup, kn, id) : 0;
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
	__u64 number = ctx->args[1];
	struct seen *found = place(cgroup_id());
	__u8 *byte;

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

char LICENSE[] SEC("license") = "GPL";
