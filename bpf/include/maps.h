/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 1: the maps, and the functions that need nothing else. */
#ifndef VEDETTE_MAPS_H
#define VEDETTE_MAPS_H

#include "compat.h"
#include "events.h"

#define RING_BYTES (8 * 1024 * 1024)  /* user space may set another size before load */
#define URGENT_BYTES (2 * 1024 * 1024) /* likewise */
#define FILTER_ENTRIES 65536          /* likewise */
#define BUDGET_ENTRIES 8192
#define THROTTLED_ENTRIES 4096

/* A record is built in scratch memory: fixed part, then tail. Offsets are masked with RECORD_MASK,
 * one write adds at most CHUNK_MAX bytes, so no write can leave the buffer.
 */
#define RECORD_MASK 8191
#define CHUNK_MAX 4096
#define RECORD_BYTES (RECORD_MASK + 1 + CHUNK_MAX)
_Static_assert((RECORD_MASK & (RECORD_MASK + 1)) == 0, "a mask is a power of two less one");

/* One scratch buffer per family and CPU: a program of one family may interrupt one of another
 * (softirq), never one of its own.
 */
enum scratch_slot { SCRATCH_PROCESS, SCRATCH_FILE, SCRATCH_NET, SCRATCH_PERM, SCRATCH_CGROUP, SCRATCH_CALL, SCRATCH_SIGNAL, SCRATCH_PATH, SCRATCH_THROTTLE, SCRATCH_SLOTS };

/* verifier: the cursor and the flags live in the map, not on the stack. The verifier does not follow
 * values through map memory, so each turn of a loop that appends looks the same to it and is
 * checked once, not once for every possible cursor.
 */
struct record {
	__u8 bytes[RECORD_BYTES];
	__u32 end;    /* where the tail ends */
	__u32 flags;  /* enum ev_flag: what went wrong on the way */
};

struct config {
	__u32 agent_tgid;  /* the agent itself is not watched; its children are */
	__u32 cgroup_v1;   /* 1: take container identity from the pids controller */
	__u32 unfiltered;  /* 1: the novelty filter lets everything through (vedette record --unfiltered) */
};

/* What a cgroup may have reported of one class: one record each cost_ns on average, and so many at once
 * as fit in burst_ns. cost_ns 0: no limit.
 */
struct limit {
	__u64 cost_ns;
	__u64 burst_ns;
};

struct budget_key {
	__u64 cgroup_id;
	__u32 type;
	__u32 pad;
};

/* A cgroup and class over its budget: since when (CLOCK_BOOTTIME), and how many were held back. */
struct throttled {
	__u64 since_ns;
	__u64 held_back;
};

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, RING_BYTES); } ring SEC(".maps");

/* A lane of their own for records that must not be lost to a flood of others. */
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, URGENT_BYTES); } urgent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, FILTER_ENTRIES);
	__type(key, struct ev_novelty_key);
	__type(value, __u64);
} novelty SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EV_TYPE_MAX * CTR_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct record);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EV_TYPE_MAX);
	__type(key, __u32);
	__type(value, struct limit);
} limits SEC(".maps");

/* When a budget is whole again (CLOCK_BOOTTIME): each record moves it on by its cost. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BUDGET_ENTRIES);
	__type(key, struct budget_key);
	__type(value, __u64);
} budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, THROTTLED_ENTRIES);
	__type(key, struct budget_key);
	__type(value, struct throttled);
} throttled SEC(".maps");

static __always_inline void counters__bump(__u32 type, __u32 counter)
{
	__u32 key = type * CTR_MAX + counter;
	__u64 *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline struct config *config__get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline int config__is_agent(void)
{
	struct config *cfg = config__get();

	return cfg && cfg->agent_tgid == (__u32)(bpf_get_current_pid_tgid() >> 32);
}

#endif
