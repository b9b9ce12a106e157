// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* TCP connections attempted and accepted. */
#include "../include/sockets.h"

static __always_inline int conn__seen(const struct sock *sk, __u32 type)
{
	struct task_struct *task = task__current();
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

/* The attempt: in the context of the process that called connect. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(net_connect, const struct sock *sk, int old_state, int new_state)
{
	return new_state == TCP_SYN_SENT ? conn__seen(sk, EV_CONNECT) : 0;
}

static __always_inline int net__accepted(long fd)
{
	struct socket *socket;

	if (fd < 0)
		return 0;
	socket = fd__socket(task__current(), fd);
	if (!socket) {
		counters__bump(EV_ACCEPT, CTR_READ_FAILED);
		return 0;
	}
	return conn__seen(READ(socket, sk), EV_ACCEPT);
}

SEC("tracepoint/syscalls/sys_exit_accept")
int net_accept(struct trace_event_raw_sys_exit *ctx) { return net__accepted(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_accept4")
int net_accept4(struct trace_event_raw_sys_exit *ctx) { return net__accepted(ctx->ret); }
