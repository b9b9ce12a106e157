/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 4: the beats every program keeps: begin a record, ask the novelty filter, emit. */
#ifndef VEDETTE_EMIT_H
#define VEDETTE_EMIT_H

#include "facts.h"

char LICENSE[] SEC("license") = "GPL";

#define EEXIST 17

/* Take the family's scratch buffer, zero the fixed part of a record of `size` bytes (a constant) and
 * fill its head; NULL, counted, without a buffer.
 */
static __always_inline struct record *record__begin(__u32 slot, __u32 type, __u32 size, struct task_struct *task)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);
	struct ev_head *head = (void *)r;

	if (!r) {
		counters__bump(type, CTR_LOST_SCRATCH);
		return NULL;
	}
	__builtin_memset(r->bytes, 0, size);
	r->end = size;
	r->flags = 0;
	head->type = type;
	head->time_ns = bpf_ktime_get_boot_ns();
	task__describe(task, &head->task);
	return r;
}

/* Hand the record to the ring with its true length; 0, or negative where the ring is full. */
static __always_inline long ring__emit(struct record *r)
{
	struct ev_head *head = (void *)r;
	__u32 size = r->end & RECORD_MASK; /* verifier: bounded by the scratch buffer */
	__u16 type = head->type;
	long error;

	head->size = size;
	head->flags = r->flags;
	if (r->flags & EV_F_READ_FAILED)
		counters__bump(type, CTR_READ_FAILED);
	if (r->flags & EV_F_TRUNCATED)
		counters__bump(type, CTR_TRUNCATED);
	error = bpf_ringbuf_output(&ring, head, size, 0);
	counters__bump(type, error ? CTR_LOST_RING : CTR_EMITTED);
	return error;
}

/* Whether this behaviour is to be emitted. The first of its key enters the filter; every later one
 * is counted there, exactly: where two CPUs meet for the first time, the loser of the insert counts.
 * Without room the behaviour is emitted each time and says so.
 */
static __always_inline int novelty__first(const struct ev_novelty_key *key, __u32 *flags)
{
	struct config *cfg = config__get();
	__u64 one = 1, *count;

	if (cfg && cfg->unfiltered) {
		*flags |= EV_F_UNFILTERED;
		return 1;
	}
	count = bpf_map_lookup_elem(&novelty, key);
	if (!count) {
		long error = bpf_map_update_elem(&novelty, key, &one, BPF_NOEXIST);

		if (!error)
			return 1;
		count = error == -EEXIST ? bpf_map_lookup_elem(&novelty, key) : NULL;
	}
	if (count) {
		__sync_fetch_and_add(count, 1);
		counters__bump(key->type, CTR_FILTERED);
		return 0;
	}
	counters__bump(key->type, CTR_FILTER_FULL);
	*flags |= EV_F_UNFILTERED;
	return 1;
}

/* Emit the first of a behaviour; where that fails, forget the key, so its next time is reported. */
static __always_inline void novelty__emit(struct record *r, const struct ev_novelty_key *key)
{
	if (ring__emit(r) && !(r->flags & EV_F_UNFILTERED))
		bpf_map_delete_elem(&novelty, key);
}

static __always_inline void novelty__subject(struct ev_novelty_key *key, __u32 type, struct task_struct *task)
{
	struct config *cfg = config__get();

	key->type = type;
	key->cgroup_id = task__cgroup_id(task, cfg && cfg->cgroup_v1);
	task__exe_id(task, &key->exe);
}

#endif
