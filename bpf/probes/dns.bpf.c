// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Datagrams: UDP peers a process sends to without a connection, and DNS messages to and from a server.
 * Resolvers use every call there is (glibc sendmmsg and recvfrom, musl sendto and recvmsg, busybox and Go write
 * and read), so the hooks are where all meet: sock_send_length and sock_recv_length, since 6.3 (6e6eda44b939, "sock:
 * add tracepoint for send recv length"). Older kernels have only the exits of the calls.
 */
#include "../include/dns.h"

#define DNS_PORT 53
#define MDNS_PORT 5353
#define MSG_PEEK 2
#define BATCH 8 /* messages looked at in one sendmmsg or recvmmsg */

/* The server a socket without a connection last asked. A socket made anew at the same address of memory counts
 * as the old one until it is pushed out: its messages are then looked at as if they were answers.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct ends);
} dns_servers SEC(".maps");

static __always_inline int dns__is_port(__u16 port)
{
	return port == DNS_PORT || port == MDNS_PORT;
}

static __always_inline int datagram__sent(const struct sock *sk, struct act *act)
{
	int connected, named;

	if (!sock__ends(sk, &act->ends))
		return 0;
	act->type = SOCK_DGRAM;
	connected = act->ends.peer_port != 0;
	named = address__of_user(act->datagram.name, act->datagram.name_size, act->ends.peer, &act->ends.peer_port, &act->ends.family);
	if (dns__is_port(act->ends.peer_port)) {
		__u64 key = (__u64)sk;

		if (!connected)
			bpf_map_update_elem(&dns_servers, &key, &act->ends, BPF_ANY);
		dns__seen(act, 0);
	}
	return named ? act__report(act, task__current(), 0) : 0;
}

static __always_inline int datagram__received(const struct sock *sk, struct act *act)
{
	__u64 key = (__u64)sk;
	struct ends *asked;

	if (!sock__ends(sk, &act->ends))
		return 0;
	if (!act->ends.peer_port) {
		asked = bpf_map_lookup_elem(&dns_servers, &key);
		if (!asked)
			return 0;
		act->ends = *asked;
	}
	return dns__is_port(act->ends.peer_port) ? dns__seen(act, 1) : 0;
}

/* verifier: a function by itself, checked once, not at every call; what it works on is in scratch memory. */
__noinline int datagram__passed(__u32 received)
{
	struct act *act = act__here();
	const struct sock *sk = act ? compat__typed(struct sock, (void *)act->socket) : NULL;

	if (!sk)
		return 0;
	return received ? datagram__received(sk, act) : datagram__sent(sk, act);
}

/* `flags` are the caller's MSG_* ones. */
static __always_inline int socket__talked(const struct sock *sk, int size, int received, int flags)
{
	UNDISTURBED;
	struct act *act;

	/* filter: failed, not UDP, not taken yet, the agent */
	if (size <= 0 || READ(sk, sk_protocol) != IPPROTO_UDP || (received && flags & MSG_PEEK) || config__is_agent())
		return 0;
	act = act__begin(SOCKET_SEND);
	if (!act || !datagram__of_call(size, &act->datagram))
		return 0;
	act->socket = (__u64)sk;
	return datagram__passed(received);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(dns_sent, struct sock *sk, int size, int flags) { return socket__talked(sk, size, 0, flags); }

SEC("tp_btf/sock_recv_length")
int BPF_PROG(dns_received, struct sock *sk, int size, int flags) { return socket__talked(sk, size, 1, flags); }

/* The socket of a call's first argument, if it is UDP's. */
static __always_inline const struct sock *call__udp(void)
{
	struct socket *socket = fd__socket(task__current(), task__syscall_arg(0));
	const struct sock *sk = socket ? READ(socket, sk) : NULL;

	return sk && READ(sk, sk_protocol) == IPPROTO_UDP ? sk : NULL;
}

static __always_inline int call__talked(long size, int received, int flags)
{
	const struct sock *sk = size > 0 ? call__udp() : NULL;

	return sk ? socket__talked(sk, size, received, flags) : 0;
}

SEC("tracepoint/syscalls/sys_exit_sendto")
int dns_send(struct trace_event_raw_sys_exit *ctx) { return call__talked(ctx->ret, 0, 0); }

SEC("tracepoint/syscalls/sys_exit_recvfrom")
int dns_recvfrom(struct trace_event_raw_sys_exit *ctx) { return call__talked(ctx->ret, 1, task__syscall_arg(3)); }

SEC("tracepoint/syscalls/sys_exit_recvmsg")
int dns_recvmsg(struct trace_event_raw_sys_exit *ctx) { return call__talked(ctx->ret, 1, task__syscall_arg(2)); }

/* Several at once: on every kernel, as only at the exit they are all there. */
static __always_inline int call__talked_often(long messages, int received)
{
	const volatile __u32 turns = messages; /* verifier: see dns__answers */
	const struct user_mmsghdr *from = (void *)task__syscall_arg(1);
	const struct sock *sk = messages > 0 && !config__is_agent() ? call__udp() : NULL;
	UNDISTURBED;

	if (!sk)
		return 0;
	for (int i = 0; i < BATCH && i < turns; i++) {
		struct act *act = act__begin(SOCKET_SEND);
		__u32 size = 0;

		if (!act || bpf_probe_read_user(&size, sizeof(size), &from[i].size))
			break;
		if (!datagram__of_header(&from[i].header, size, &act->datagram))
			break;
		act->socket = (__u64)sk;
		datagram__passed(received);
	}
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_sendmmsg")
int dns_sendmmsg(struct trace_event_raw_sys_exit *ctx) { return call__talked_often(ctx->ret, 0); }

SEC("tracepoint/syscalls/sys_exit_recvmmsg")
int dns_recvmmsg(struct trace_event_raw_sys_exit *ctx) { return call__talked_often(ctx->ret, 1); }
