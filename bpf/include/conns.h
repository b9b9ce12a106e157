/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 6: a TCP connection attempted or accepted, through the novelty filter. */
#ifndef VEDETTE_CONNS_H
#define VEDETTE_CONNS_H

#include "sockets.h"

/* `task`: on whose behalf. Runs where nobody else can use this CPU. */
static __always_inline int conn__seen(struct task_struct *task, const struct sock *sk, __u32 type)
{
	struct ev_novelty_key key = {};
	struct ends ends = {};
	struct peer peer = {};
	__u32 flags = 0;
	struct ev_conn *e;
	struct record *r;

	/* filter: the agent, other families, known */
	if (config__is_agent() || !sock__ends(sk, &ends) || ends.protocol != IPPROTO_TCP)
		return 0;
	__builtin_memcpy(peer.addr, ends.peer, sizeof(peer.addr));
	peer.port = type == EV_ACCEPT ? ends.local_port : ends.peer_port;
	peer.family = ends.family;
	peer.protocol = ends.protocol;
	novelty__subject(&key, type, task);
	__builtin_memcpy(key.object, &peer, sizeof(key.object));
	if (!novelty__first(&key, &flags))
		return 0;
	/* head */
	r = record__begin(SCRATCH_NET, type, sizeof(struct ev_conn), task);
	if (!r)
		return 0;
	e = (void *)r;
	r->flags = flags;
	/* 1: exe */
	e->exe = key.exe;
	/* 2: addresses, ports, family, protocol */
	__builtin_memcpy(e->local_addr, ends.local, sizeof(e->local_addr));
	__builtin_memcpy(e->peer_addr, ends.peer, sizeof(e->peer_addr));
	e->local_port = ends.local_port;
	e->peer_port = ends.peer_port;
	e->family = ends.family;
	e->protocol = ends.protocol;
	/* emit */
	novelty__emit(r, &key);
	return 0;
}

#endif
