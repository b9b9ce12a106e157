// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* TCP connections attempted and accepted. */
#include "../include/conns.h"

/* The attempt: in the context of the process that called connect. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(net_connect, const struct sock *sk, int old_state, int new_state)
{
	UNDISTURBED;

	return new_state == TCP_SYN_SENT ? conn__seen(task__current(), sk, EV_CONNECT) : 0;
}

static __always_inline int net__accepted(long fd)
{
	struct task_struct *task = task__current();
	struct socket *socket;
	UNDISTURBED;

	if (fd < 0)
		return 0;
	socket = fd__socket(task, fd);
	if (!socket) {
		counters__bump(EV_ACCEPT, CTR_READ_FAILED);
		return 0;
	}
	return conn__seen(task, READ(socket, sk), EV_ACCEPT);
}

SEC("tracepoint/syscalls/sys_exit_accept")
int net_accept(struct trace_event_raw_sys_exit *ctx) { return net__accepted(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_accept4")
int net_accept4(struct trace_event_raw_sys_exit *ctx) { return net__accepted(ctx->ret); }
