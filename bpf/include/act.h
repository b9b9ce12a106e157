/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 7: something done with a socket (struct ev_socket), through the novelty filter. */
#ifndef VEDETTE_ACT_H
#define VEDETTE_ACT_H

#include "datagram.h"

#define UNIX_NAME_AT 2 /* of sun_path in sockaddr_un */
#define UNIX_NAME_MASK 127
#define UNIX_NAME_WORDS 16 /* 128 bytes, so that a mask keeps a length within */

/* verifier: kept in the scratch buffer, behind the record, for the reason struct record gives: what
 * follows is then checked once, not once for each way to get there.
 */
#define ACT_AT 4096
struct act {
	struct ends ends;
	struct datagram datagram;
	__u64 socket; /* of the datagram: struct sock */
	__u32 type, op;
	__s32 result;
	__u32 name_len;
	__u64 name[UNIX_NAME_WORDS]; /* of a unix socket, the rest zero */
};

static __always_inline struct act *act__here(void)
{
	__u32 slot = SCRATCH_NET;
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	return r ? (void *)&r->bytes[ACT_AT] : NULL;
}

static __always_inline struct act *act__begin(__u32 op)
{
	struct act *act = act__here();

	if (!act) {
		counters__bump(EV_SOCKET, CTR_LOST_SCRATCH);
		return NULL;
	}
	__builtin_memset(act, 0, sizeof(*act));
	act->op = op;
	return act;
}

/* Name of a unix address of `size` bytes, family included. An abstract one may hold anything. */
static __always_inline void act__name(struct act *act, const void *from, __u32 size, enum memory memory)
{
	__u32 n = size - UNIX_NAME_AT;
	long error;

	if (!from || size <= UNIX_NAME_AT || n > UNIX_NAME_BYTES)
		return;
	asm volatile("" : "+r"(n)); /* verifier: the compiler would drop the mask as needless */
	n &= UNIX_NAME_MASK;
	from += UNIX_NAME_AT;
	error = memory == OF_USER ? bpf_probe_read_user(act->name, n, from) : bpf_probe_read_kernel(act->name, n, from);
	act->name_len = error ? 0 : n;
}

static __always_inline void act__of_unix(struct act *act, const struct sock *sk)
{
	const struct unix_sock *us = compat__typed(struct unix_sock, (void *)sk);
	const struct unix_address *address;

	if (act->op == SOCKET_CONNECT)
		us = compat__typed(struct unix_sock, (void *)READ(us, peer));
	address = READ(us, addr);
	if (address)
		act__name(act, (const void *)address + bpf_core_field_offset(struct unix_address, name), READ(address, len), OF_KERNEL);
}

static __always_inline __u64 act__name_hash(const struct act *act)
{
	__u64 hash = hash__begin();
	int i;

	for (i = 0; i < UNIX_NAME_WORDS; i++)
		hash = hash__add(hash, act->name[i]);
	return hash;
}

/* What is one behaviour: of an address, the peer's for connect and send, the socket's own for the rest. */
static __always_inline void act__object(const struct act *act, struct peer *object)
{
	int far = act->op == SOCKET_CONNECT || act->op == SOCKET_SEND;
	__u16 port = far ? act->ends.peer_port : act->ends.local_port;
	__u64 hash;

	if (act->ends.family == AF_UNIX) {
		hash = act__name_hash(act);
		__builtin_memcpy(object->addr, &hash, sizeof(hash));
	} else {
		__builtin_memcpy(object->addr, far ? act->ends.peer : act->ends.local, sizeof(object->addr));
	}
	object->port = act->ends.protocol == IPPROTO_TCP && far ? port : port__known(port);
	object->family = act->ends.family;
	object->protocol = act->ends.protocol;
	object->deed = act->op | (__u32)-act->result << 8;
}

/* Report it if it is new, in the buffer it lies behind. */
static __always_inline int act__report(struct act *act, struct task_struct *task, __u32 flags)
{
	struct record *r = (void *)act - ACT_AT;
	struct ev_novelty_key key = {};
	struct ev_socket *e;

	/* filter: known */
	novelty__subject(&key, EV_SOCKET, task);
	act__object(act, (struct peer *)key.object);
	if (!novelty__first(&key, &flags))
		return 0;
	/* head */
	record__clear(r, EV_SOCKET, sizeof(struct ev_socket), task);
	e = (void *)r;
	r->flags |= flags;
	/* 1: exe */
	e->exe = key.exe;
	/* 2: addresses, ports, family, protocol */
	__builtin_memcpy(e->local_addr, act->ends.local, sizeof(e->local_addr));
	__builtin_memcpy(e->peer_addr, act->ends.peer, sizeof(e->peer_addr));
	e->local_port = act->ends.local_port;
	e->peer_port = act->ends.peer_port;
	e->family = act->ends.family;
	e->protocol = act->ends.protocol;
	/* 3: type, op, result */
	e->type = act->type;
	e->op = act->op;
	e->result = act->result;
	/* 4: name */
	e->name_len = act->name_len;
	__builtin_memcpy(r->bytes + sizeof(*e), act->name, sizeof(act->name));
	r->end += act->name_len;
	/* emit */
	novelty__emit(r, &key);
	return 0;
}

#endif
