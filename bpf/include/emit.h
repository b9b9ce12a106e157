/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 4: the beats every program keeps: begin a record, ask the novelty filter, emit. */
#ifndef VEDETTE_EMIT_H
#define VEDETTE_EMIT_H

#include "facts.h"

char LICENSE[] SEC("license") = "GPL";

#define EEXIST 17

/* Zero the fixed part of a record of `size` bytes (a constant) and fill its head. */
static __always_inline void record__clear(struct record *r, __u32 type, __u32 size, struct task_struct *task)
{
	struct ev_head *head = (void *)r;

	__builtin_memset(r->bytes, 0, size);
	r->end = size;
	r->flags = 0;
	head->type = type;
	head->time_ns = bpf_ktime_get_boot_ns();
	task__describe(task, &head->task);
}

/* Begin a record in the family's scratch buffer; NULL, counted, without one. */
static __always_inline struct record *record__begin(__u32 slot, __u32 type, __u32 size, struct task_struct *task)
{
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	if (!r) {
		counters__bump(type, CTR_LOST_SCRATCH);
		return NULL;
	}
	record__clear(r, type, size, task);
	return r;
}

/* Records that are few, and without which the others cannot be told apart. */
#define TYPES_URGENT (1u << EV_FORK | 1u << EV_EXEC | 1u << EV_EXIT | 1u << EV_CALL | \
		      1u << EV_CGROUP_MKDIR | 1u << EV_CGROUP_RMDIR | 1u << EV_THROTTLE)

/* Hand the record to its ring with its true length; 0, or negative where that ring is full. */
static __always_inline long ring__output(struct record *r, int is_urgent)
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
	if (is_urgent)
		error = bpf_ringbuf_output(&urgent, head, size, 0);
	else
		error = bpf_ringbuf_output(&ring, head, size, 0);
	counters__bump(type, error ? CTR_LOST_RING : CTR_EMITTED);
	return error;
}

static __always_inline int type__is_urgent(__u32 type)
{
	return TYPES_URGENT >> (type & (EV_TYPE_MAX - 1)) & 1;
}

static __always_inline void throttle__tell(const struct budget_key *key, const struct throttled *held, __u32 stop)
{
	struct record *r = record__begin(SCRATCH_THROTTLE, EV_THROTTLE, sizeof(struct ev_throttle), task__current());
	struct ev_throttle *e = (void *)r;

	if (!r)
		return;
	e->cgroup_id = key->cgroup_id;
	e->held_back = stop ? held->held_back : 0;
	e->since_ns = held->since_ns;
	e->type = key->type;
	e->stop = stop;
	ring__output(r, 1);
}

/* Count one held back. Whoever is first to enter the throttled says that it begins. */
static __always_inline void throttle__hold(const struct budget_key *key, __u64 now)
{
	struct throttled begins = {.since_ns = now, .held_back = 1}, *held = bpf_map_lookup_elem(&throttled, key);

	counters__bump(key->type, CTR_THROTTLED);
	if (!held) {
		long error = bpf_map_update_elem(&throttled, key, &begins, BPF_NOEXIST);

		if (!error)
			throttle__tell(key, &begins, 0);
		held = error == -EEXIST ? bpf_map_lookup_elem(&throttled, key) : NULL;
	}
	if (held)
		__sync_fetch_and_add(&held->held_back, 1);
}

/* Whoever takes the key out says that it ended; user space does where no record comes (agent/source/throttle.py). */
static __always_inline void throttle__release(const struct budget_key *key)
{
	struct throttled *held = bpf_map_lookup_elem(&throttled, key), ended;

	if (!held)
		return;
	ended = *held;
	if (!bpf_map_delete_elem(&throttled, key))
		throttle__tell(key, &ended, 1);
}

/* Whether the cgroup's budget for the class has room for one more record. CPUs that meet here can let a
 * few too many through; what is held back is counted exactly. It ends when half the burst is there again.
 */
static __always_inline int throttle__admits(__u32 type, __u64 cgroup_id)
{
	struct budget_key key = {.cgroup_id = cgroup_id, .type = type};
	struct limit *limit = bpf_map_lookup_elem(&limits, &type);
	__u64 now, next, *whole_at;

	if (!limit || !limit->cost_ns)
		return 1;
	now = bpf_ktime_get_boot_ns();
	whole_at = bpf_map_lookup_elem(&budgets, &key);
	if (!whole_at) {
		next = now + limit->cost_ns;
		bpf_map_update_elem(&budgets, &key, &next, BPF_ANY);
		return 1;
	}
	next = *whole_at > now ? *whole_at : now;
	if (next + limit->cost_ns > now + limit->burst_ns) {
		throttle__hold(&key, now);
		return 0;
	}
	*whole_at = next + limit->cost_ns;
	if (next < now + limit->burst_ns / 2)
		throttle__release(&key);
	return 1;
}

/* Emit a record of a class that is not filtered; 0, or not where it was held back or lost. */
static __always_inline long ring__emit(struct record *r)
{
	struct ev_head *head = (void *)r;

	if (type__is_urgent(head->type))
		return ring__output(r, 1);
	if (!throttle__admits(head->type, head->task.cgroup_id))
		return 1;
	return ring__output(r, 0);
}

/* Emit a record no flood of its own class may hold back: a mount among renames. */
static __always_inline long ring__emit_always(struct record *r)
{
	return ring__output(r, 1);
}

/* Whether this behaviour is to be emitted. The first of its key enters the filter; every later one
 * is counted there, exactly: where two CPUs meet for the first time, the loser of the insert counts.
 * Without room the behaviour is emitted each time and says so. What the cgroup's budget holds back
 * stays unknown, so that it is reported when there is room again.
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
		long error;

		if (!type__is_urgent(key->type) && !throttle__admits(key->type, key->cgroup_id))
			return 0;
		error = bpf_map_update_elem(&novelty, key, &one, BPF_NOEXIST);

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
	if (ring__output(r, type__is_urgent(key->type)) && !(r->flags & EV_F_UNFILTERED))
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
