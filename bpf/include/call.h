/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: the beats of every EV_CALL record. A probe file fills a struct call and hands it over here. */
#ifndef VEDETTE_CALL_H
#define VEDETTE_CALL_H

#include "emit.h"

#define XA_CHUNK_SHIFT 6  /* 4 where CONFIG_BASE_SMALL is set, which no server kernel does */
#define XA_CHUNK_MASK 63
#define XA_NODE_TAG 2     /* low two bits of an entry that is a node: xa_is_node */
#define XA_DEPTH 6        /* levels that 32 bits need */

/* One system call on its way into a record. Zeroed, so what a call does not have stays out. */
struct call {
	__u64 args[4];
	const void *text;           /* a string, or NULL */
	struct task_struct *target; /* whom it acts upon, or NULL */
	__u64 same[2];              /* novel: what makes two calls the same behaviour, beside call and success */
	__u32 kind;                 /* enum ev_call_kind */
	__u32 slot;                 /* enum scratch_slot */
	__u32 of_kernel;            /* 1: text is the kernel's own */
	__u32 novel;                /* 1: only the first of a behaviour is emitted */
};

/* ev_novelty_key.object of a call. */
struct call_object { __u64 same[2]; __u32 kind; __u32 failed; };
_Static_assert(sizeof(struct call_object) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

/* The task that a number means in the pid namespace of `task`; NULL where there is none. Walks the
 * namespace's IDR (a radix tree, lib/xarray.c) as find_pid_ns does. Runs inside an RCU read section.
 */
static __always_inline struct task_struct *task__by_pid(struct task_struct *task, __u32 nr)
{
	struct pid *pid = READ(task, thread_pid);
	__u64 at = bpf_core_field_offset(struct pid, numbers) + READ(pid, level) * bpf_core_type_size(struct upid);
	void *entry = READ(compat__typed(struct upid, (void *)((__u64)pid + at)), ns, idr.idr_rt.xa_head);
	int step;

	for (step = 0; step < XA_DEPTH; step++) {
		struct xa_node *node = compat__typed(struct xa_node, (void *)((__u64)entry - XA_NODE_TAG));
		__u64 slots = (__u64)node + bpf_core_field_offset(struct xa_node, slots);
		__u8 shift;

		if (((__u64)entry & 3) != XA_NODE_TAG)
			return NULL;
		shift = READ(node, shift) & 31; /* verifier: a shift stays below the width */
		if (!step && (__u64)nr >> shift > XA_CHUNK_MASK)
			return NULL; /* larger than any number in use */
		entry = NULL;
		bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(slots + (nr >> shift & XA_CHUNK_MASK) * sizeof(entry)));
		if (!shift)
			break;
	}
	if (step == XA_DEPTH || !entry)
		return NULL;
	entry = READ(compat__typed(struct pid, entry), tasks[0].first);
	if (!entry)
		return NULL;
	return compat__typed(struct task_struct, (void *)((__u64)entry - bpf_core_field_offset(struct task_struct, pid_links)));
}

static __always_inline void call__object(const struct call *c, long result, struct call_object *out)
{
	out->kind = c->kind;
	out->failed = result < 0;
	out->same[0] = c->same[0];
	out->same[1] = c->same[1];
}

/* Fill a record begun as struct ev_call, but for its target and text. */
static __always_inline void call__fill(struct record *r, const struct call *c, const struct ev_novelty_key *key, long result)
{
	struct ev_call *e = (void *)r;

	e->exe = key->exe;
	e->call = c->kind;
	__builtin_memcpy(e->args, c->args, sizeof(e->args));
	e->result = result;
}

/* Not inlined: once in each program, however many ways lead to it. */
static __noinline int call__emit(struct call *c, long result)
{
	struct config *cfg = config__get();
	struct task_struct *task = task__current(), *target = compat__typed(struct task_struct, c->target);
	struct ev_novelty_key key = {};
	__u32 flags = 0;
	struct record *r;
	struct ev_call *e;
	UNDISTURBED;

	/* filter: known */
	novelty__subject(&key, EV_CALL, task);
	if (c->novel) {
		call__object(c, result, (struct call_object *)key.object);
		if (!novelty__first(&key, &flags))
			return 0;
	}
	/* head */
	r = record__begin(c->slot, EV_CALL, sizeof(struct ev_call), task);
	if (!r)
		return 0;
	e = (void *)r;
	r->flags = flags;
	/* 1: exe, call, args, result */
	call__fill(r, c, &key, result);
	/* 2: target */
	if (c->target) {
		e->target_pid = READ(target, tgid);
		e->target_start_ns = task__start_time(target);
		e->target_cgroup_id = task__cgroup_id(target, cfg && cfg->cgroup_v1);
	}
	/* 3: text */
	if (c->text && !c->of_kernel)
		e->text_len = tail__string(r, c->text, STRING_BYTES, OF_USER);
	else if (c->text)
		e->text_len = tail__string(r, c->text, STRING_BYTES, OF_KERNEL);
	/* emit: a flood of one class is held back elsewhere, calls are the last to go */
	if (ring__emit_always(r) && c->novel && !(r->flags & EV_F_UNFILTERED))
		bpf_map_delete_elem(&novelty, &key);
	return 0;
}

/* A call of the current task, from the exit of a system call. */
#define CALL(...) (&(struct call){.slot = SCRATCH_CALL, __VA_ARGS__})
#define call__arg(n) task__syscall_arg(n)

#endif
