// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* TCP connections attempted and accepted. */
#include "../include/emit.h"

/* Both ends of a socket. An IPv4 peer of a dual-stack socket is an IPv4 peer. */
struct ends {
	__u8 local[16], peer[16];
	__u16 local_port, peer_port, family, protocol;
};

/* What makes a connection the same behaviour as an earlier one (ev_novelty_key.object): the peer,
 * and the port of the side that serves.
 */
struct peer {
	__u8 addr[16];
	__u16 port, family, protocol, pad;
};
_Static_assert(sizeof(struct peer) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

#define V4_MAPPED 0xffff0000 /* third word of ::ffff:a.b.c.d as it lies in memory */

static __always_inline int sock__ends(const struct sock *sk, struct ends *out)
{
	__u32 peer[4] = {}, local[4] = {};

	out->family = READ(sk, __sk_common.skc_family);
	out->protocol = READ(sk, sk_protocol);
	out->local_port = READ(sk, __sk_common.skc_num);
	out->peer_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	if (out->family == AF_INET) {
		peer[0] = READ(sk, __sk_common.skc_daddr);
		local[0] = READ(sk, __sk_common.skc_rcv_saddr);
	} else if (out->family == AF_INET6) {
		bpf_core_read(peer, sizeof(peer), &sk->__sk_common.skc_v6_daddr);
		bpf_core_read(local, sizeof(local), &sk->__sk_common.skc_v6_rcv_saddr);
		if (!peer[0] && !peer[1] && peer[2] == V4_MAPPED) {
			out->family = AF_INET;
			peer[0] = peer[3];
			local[0] = local[3];
			peer[2] = peer[3] = local[1] = local[2] = local[3] = 0;
		}
	} else {
		return 0;
	}
	__builtin_memcpy(out->peer, peer, sizeof(peer));
	__builtin_memcpy(out->local, local, sizeof(local));
	return 1;
}

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
	struct file *file;
	struct socket *socket;

	if (fd < 0)
		return 0;
	file = task__file(task__current(), fd);
	if ((READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK) {
		counters__bump(EV_ACCEPT, CTR_READ_FAILED);
		return 0;
	}
	socket = compat__typed(struct socket, READ(file, private_data));
	return conn__seen(READ(socket, sk), EV_ACCEPT);
}

SEC("tracepoint/syscalls/sys_exit_accept")
int net_accept(struct trace_event_raw_sys_exit *ctx) { return net__accepted(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_accept4")
int net_accept4(struct trace_event_raw_sys_exit *ctx) { return net__accepted(ctx->ret); }
