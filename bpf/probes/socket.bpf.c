// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Sockets other than a TCP connection that comes about: raw and packet sockets made, addresses bound,
 * listeners, unix and UDP peers connected to, connections refused. What succeeded is read from the
 * kernel's socket, what failed from the address the process passed.
 */
#include "../include/act.h"

#define ENOENT 2
#define EINTR 4
#define EAGAIN 11
#define EALREADY 114
#define EINPROGRESS 115

/* What the process asked for: after a call that failed the socket does not say. */
static __always_inline void act__of_user(struct act *act)
{
	const void *address = (void *)task__syscall_arg(1);
	__u32 size = task__syscall_arg(2);
	int far = act->op == SOCKET_CONNECT;

	if (act->ends.family == AF_UNIX)
		act__name(act, address, size, OF_USER);
	else
		address__of_user(address, size, far ? act->ends.peer : act->ends.local, far ? &act->ends.peer_port : &act->ends.local_port,
				 &act->ends.family);
}

static __always_inline int result__tells(long result)
{
	return result != -ENOENT && result != -EINTR && result != -EAGAIN && result != -EALREADY && result != -EINPROGRESS;
}

static __always_inline int socket__done(__u32 op, long result)
{
	struct task_struct *task;
	struct socket *socket;
	const struct sock *sk;
	struct act *act;
	UNDISTURBED;

	/* filter: not done yet, the agent, not a socket, TCP that comes about */
	if (!result__tells(result) || config__is_agent())
		return 0;
	task = task__current();
	socket = fd__socket(task, task__syscall_arg(0));
	if (!socket)
		return 0;
	sk = READ(socket, sk);
	if (op == SOCKET_CONNECT && !result && READ(sk, sk_protocol) == IPPROTO_TCP)
		return 0;
	act = act__begin(op);
	if (!act)
		return 0;
	act->ends.family = READ(sk, __sk_common.skc_family);
	if (act->ends.family != AF_UNIX && !sock__ends(sk, &act->ends))
		return 0;
	act->type = READ(socket, type);
	act->result = result;
	if (result)
		act__of_user(act);
	else if (act->ends.family == AF_UNIX)
		act__of_unix(act, sk);
	else if (op != SOCKET_CONNECT && act->ends.family == AF_INET6)
		act->ends.family = address__plain(AF_INET6, (__u32 *)act->ends.local, act->ends.local);
	return act__report(act, task, 0);
}

SEC("tracepoint/syscalls/sys_exit_bind")
int socket_bind(struct trace_event_raw_sys_exit *ctx) { return socket__done(SOCKET_BIND, ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_listen")
int socket_listen(struct trace_event_raw_sys_exit *ctx) { return socket__done(SOCKET_LISTEN, ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_connect")
int socket_connect(struct trace_event_raw_sys_exit *ctx) { return socket__done(SOCKET_CONNECT, ctx->ret); }

/* Raw and packet sockets, refused ones too: the arguments say what was asked for. */
SEC("tracepoint/syscalls/sys_exit_socket")
int socket_create(struct trace_event_raw_sys_exit *ctx)
{
	__u32 family = task__syscall_arg(0), type, protocol;
	struct act *act;
	UNDISTURBED;

	/* filter: others, the agent */
	if (family != AF_PACKET && family != AF_INET && family != AF_INET6)
		return 0;
	type = task__syscall_arg(1) & SOCK_TYPE;
	if ((family != AF_PACKET && type != SOCK_RAW) || config__is_agent())
		return 0;
	protocol = task__syscall_arg(2);
	act = act__begin(SOCKET_CREATE);
	if (!act)
		return 0;
	act->type = type;
	act->result = ctx->ret < 0 ? ctx->ret : 0;
	act->ends.family = family;
	act->ends.protocol = family == AF_PACKET ? __builtin_bswap16(protocol) : protocol;
	return act__report(act, task__current(), 0);
}
