/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: records of programs that can be preempted (LSM, fentry), and records that wait for their call's exit.
 *
 * Such a program keeps its CPU but not the CPU to itself: another task may run the same program there before it
 * goes on, so a buffer for each CPU would be written by both. Here a thread has a buffer of its own, by its number.
 */
#ifndef VEDETTE_HELD_H
#define VEDETTE_HELD_H

#include "emit.h"

#define HELD_ENTRIES 256 /* threads at once inside a change that is news; those beyond are counted as lost */
#define HELD_KEY_AT (RECORD_MASK + 1)
_Static_assert(HELD_KEY_AT % 8 == 0 && HELD_KEY_AT + sizeof(struct ev_novelty_key) <= RECORD_BYTES, "stands behind the tail");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HELD_ENTRIES);
	__type(key, __u32);
	__type(value, struct record);
} held SEC(".maps");

static __always_inline struct ev_novelty_key *held__key(struct record *r)
{
	return (void *)&r->bytes[HELD_KEY_AT];
}

static __always_inline struct record *held__of(__u32 tid)
{
	return bpf_map_lookup_elem(&held, &tid);
}

static __always_inline void held__drop(__u32 tid)
{
	bpf_map_delete_elem(&held, &tid);
}

/* Emit what the current thread still holds: nobody told how it ended. */
static __always_inline void held__settle(__u32 tid)
{
	struct record *r = held__of(tid);
	struct ev_novelty_key key;

	if (!r)
		return;
	r->flags |= EV_F_ATTEMPT;
	key = *held__key(r);
	novelty__emit(r, &key);
	held__drop(tid);
}

/* The current thread's own buffer, with anything in it, and nothing held any more; NULL, counted, where there is no room. */
static __always_inline struct record *held__memory(__u32 type, __u32 tid)
{
	__u32 slot = SCRATCH_FILE;
	void *any = bpf_map_lookup_elem(&scratch, &slot); /* a map's new value must come from somewhere */
	struct record *r = NULL;

	held__settle(tid);
	if (any && !bpf_map_update_elem(&held, &tid, any, BPF_ANY))
		r = held__of(tid);
	if (!r)
		counters__bump(type, CTR_LOST_SCRATCH);
	return r;
}

/* Begin the record of a behaviour that was let through, in the current thread's own buffer; NULL, counted, and
 * the behaviour forgotten, without one.
 */
static __always_inline struct record *held__begin(__u32 type, __u32 size, struct task_struct *task,
						  const struct ev_novelty_key *key)
{
	struct record *r = held__memory(type, bpf_get_current_pid_tgid());

	if (!r) {
		bpf_map_delete_elem(&novelty, key);
		return NULL;
	}
	record__clear(r, type, size, task);
	*held__key(r) = *key;
	return r;
}

#endif
