/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 8: DNS messages, and what makes one the same as an earlier one. RFC 1035, section 4. */
#ifndef VEDETTE_DNS_H
#define VEDETTE_DNS_H

#include "act.h"

#define DNS_HEADER 12
#define DNS_MESSAGE 512 /* bytes kept of a message: its bound without extensions */
#define DNS_LABELS 24
#define DNS_WORDS 32 /* of a name of 255 bytes */
#define DNS_NO_CASE 0x2020202020202020ull
#define DNS_ANSWERS 32
#define DNS_POINTER 0xc0

/* ev_novelty_key.object: the question, and the answers in whatever order they came. */
struct dns_object {
	__u64 question, answers;
	__u32 number; /* of answers */
	__u16 code;
	__u8 received, pad;
};
_Static_assert(sizeof(struct dns_object) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

/* verifier: in the scratch buffer, as struct act is. */
#define DNS_WALK_AT 6144
struct dns_walk { __u32 at, pad; __u64 hash; };

static __always_inline struct dns_walk *dns__walk(struct record *r)
{
	return (void *)&r->bytes[DNS_WALK_AT];
}

static __always_inline __u8 *dns__at(struct record *r, __u32 at)
{
	return &r->bytes[(sizeof(struct ev_dns) + at) & RECORD_MASK]; /* verifier: masked, so in bounds */
}

static __always_inline __u16 dns__number(struct record *r, __u32 at)
{
	return *dns__at(r, at) << 8 | *dns__at(r, at + 1);
}

/* Find the end of the question's name; 0 where it is not to be found. */
static __always_inline int dns__skip_name(struct record *r, __u32 size)
{
	struct dns_walk *walk = dns__walk(r);
	int label;

	walk->at = DNS_HEADER;
	for (label = 0; label < DNS_LABELS; label++) {
		__u8 length = *dns__at(r, walk->at);

		if (length >= DNS_POINTER || walk->at >= size)
			return 0;
		walk->at += length + 1;
		if (!length)
			return 1;
	}
	return 0;
}

/* Hash of the question: its name (letters without case), type and class; 0 where it cannot be followed. */
static __always_inline int dns__question(struct record *r, __u32 size, __u64 *hash)
{
	struct dns_walk *walk = dns__walk(r);
	volatile __u32 end; /* verifier: see dns__answers */
	__u32 at;
	int i;

	if (!dns__skip_name(r, size))
		return 0;
	walk->at += 4;
	walk->hash = hash__begin();
	end = walk->at;
	for (i = 0; i <= DNS_WORDS && DNS_HEADER + 8 * i + 8 <= end; i++)
		walk->hash = hash__add(walk->hash, *(__u64 *)dns__at(r, DNS_HEADER + 8 * i) | DNS_NO_CASE);
	/* verifier: read anew, so that it forgets at which turn the loop ended and checks what follows once */
	at = *(volatile __u32 *)&walk->at;
	*hash = hash__add(walk->hash, *(__u64 *)dns__at(r, at - 8) | DNS_NO_CASE);
	return at <= size;
}

/* One answer into the sum; 0 where it cannot be followed. */
static __always_inline int dns__answer(struct record *r, __u32 size)
{
	struct dns_walk *walk = dns__walk(r);
	__u32 at = walk->at, length = dns__number(r, at + 10);
	__u64 hash = hash__add(hash__begin(), (__u64)dns__number(r, at + 2) << 32 | length);

	if (*dns__at(r, at) < DNS_POINTER || at + 12 + length > size)
		return 0;
	at += 12;
	if (length >= 8)
		hash = hash__add(hash__add(hash, *(__u64 *)dns__at(r, at)), *(__u64 *)dns__at(r, at + length - 8));
	else if (length >= 4)
		hash = hash__add(hash, *(__u32 *)dns__at(r, at));
	walk->hash += hash;
	walk->at = at + length;
	return 1;
}

/* Sum of the hashes of the answers, less their lifetimes, which differ each time. */
static __always_inline int dns__answers(struct record *r, __u32 size, __u32 number, __u64 *sum)
{
	struct dns_walk *walk = dns__walk(r);
	/* verifier: volatile, or the two bounds become one, and it counts down from a number nobody knows */
	const volatile __u32 turns = number;
	__u32 n;

	walk->hash = 0;
	for (n = 0; n < DNS_ANSWERS && n < turns; n++)
		if (!dns__answer(r, size))
			return 0;
	*sum = walk->hash;
	return n == number;
}

/* The message's identity; 0 where it cannot be told, and the message is new each time. */
static __always_inline int dns__object(struct record *r, __u32 size, __u8 received, struct dns_object *out)
{
	out->received = received;
	if (!dns__question(r, size, &out->question) || dns__number(r, 4) != 1)
		return 0;
	if (!received)
		return 1;
	out->code = dns__number(r, 2) & 0xf;
	out->number = dns__number(r, 6);
	return dns__answers(r, size, out->number, &out->answers);
}

/* Report the datagram as a message to or from the peer, if it is new. */
static __always_inline int dns__seen(const struct act *act, __u32 received)
{
	struct task_struct *task = task__current();
	struct ev_novelty_key key = {};
	__u32 flags = 0, n, known;
	struct ev_dns *e;
	struct record *r;

	/* filter: too short */
	n = act->datagram.size < DNS_MESSAGE ? act->datagram.size : DNS_MESSAGE;
	if (n < DNS_HEADER)
		return 0;
	/* head */
	r = record__begin(SCRATCH_NET, EV_DNS, sizeof(struct ev_dns), task);
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: message */
	if (bpf_probe_read_user(dns__at(r, 0), n & 1023, act->datagram.data)) {
		counters__bump(EV_DNS, CTR_READ_FAILED);
		return 0;
	}
	e->message_len = n;
	r->end += n;
	/* filter: known */
	novelty__subject(&key, EV_DNS, task);
	known = dns__object(r, n, received, (struct dns_object *)key.object);
	if (known ? !novelty__first(&key, &flags) : !throttle__admits(EV_DNS, key.cgroup_id))
		return 0;
	r->flags |= flags | (known ? 0 : EV_F_UNFILTERED) | (act->datagram.size > n ? EV_F_TRUNCATED : 0);
	/* 2: exe */
	e->exe = key.exe;
	/* 3: server_addr, server_port, family, received */
	__builtin_memcpy(e->server_addr, act->ends.peer, sizeof(e->server_addr));
	e->server_port = act->ends.peer_port;
	e->family = act->ends.family;
	e->received = received;
	/* emit */
	novelty__emit(r, &key);
	return 0;
}

#endif
