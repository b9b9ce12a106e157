// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* What has no exit of its own to be seen at, because io_uring or a 32-bit call does it: sockets bound, listening,
 * connected; memory both writable and executable. Each goes out as an attempt.
 */
#include "../include/act.h"
#include "../include/call.h"
#include "../include/caller.h"
#include "../include/held.h"

#define PROT_WRITE_EXEC (2 | 4)

/* The address as the kernel has copied it. */
static __always_inline void act__of_kernel(struct act *act, const void *address, __u32 size)
{
	struct { __u16 family, port; __u32 v4; } start = {};
	int far = act->op == SOCKET_CONNECT;
	__u32 words[4] = {};

	if (act->ends.family == AF_UNIX) {
		act__name(act, address, size, OF_KERNEL);
		return;
	}
	bpf_probe_read_kernel(&start, sizeof(start), address);
	words[0] = start.v4;
	if (start.family == AF_INET6)
		bpf_probe_read_kernel(words, sizeof(words), address + 8);
	act->ends.family = address__plain(start.family, words, far ? act->ends.peer : act->ends.local);
	*(far ? &act->ends.peer_port : &act->ends.local_port) = __builtin_bswap16(start.port);
}

static __always_inline int socket__reached(__u32 op, struct socket *reached, const void *address, __u32 size)
{
	struct task_struct *current = task__current();
	struct socket *socket = compat__typed(struct socket, reached);
	__u32 tid = bpf_get_current_pid_tgid();
	const struct sock *sk;
	struct record *r;
	struct act *act;

	/* filter: its exit will tell, the agent, TCP that comes about */
	if (caller__exits(current) || config__is_agent())
		return 0;
	sk = READ(socket, sk);
	if (op == SOCKET_CONNECT && READ(sk, sk_protocol) == IPPROTO_TCP)
		return 0;
	r = held__memory(EV_SOCKET, tid);
	if (!r)
		return 0;
	act = (void *)&r->bytes[ACT_AT];
	__builtin_memset(act, 0, sizeof(*act));
	act->op = op;
	act->ends.family = READ(sk, __sk_common.skc_family);
	act->type = READ(socket, type);
	if (act->ends.family == AF_UNIX || sock__ends(sk, &act->ends)) {
		if (address)
			act__of_kernel(act, address, size);
		else if (act->ends.family == AF_UNIX)
			act__of_unix(act, sk);
		act__report(act, caller__task(current), caller__flags(current));
	}
	held__drop(tid);
	return 0;
}

SEC("lsm/socket_bind")
int BPF_PROG(socket_binds, struct socket *socket, void *address, int size)
{
	return socket__reached(SOCKET_BIND, socket, address, size);
}

SEC("lsm/socket_listen")
int BPF_PROG(socket_listens, struct socket *socket)
{
	return socket__reached(SOCKET_LISTEN, socket, NULL, 0);
}

SEC("lsm/socket_connect")
int BPF_PROG(socket_connects, struct socket *socket, void *address, int size)
{
	return socket__reached(SOCKET_CONNECT, socket, address, size);
}

static __always_inline int memory__reached(__u32 kind, __u64 start, __u64 length, __u64 protection)
{
	struct call call = {.kind = kind, .args = {start, length, protection}, .novel = 1, .same = {NO_CALL}};
	struct task_struct *current = task__current(), *task;
	struct ev_novelty_key key = {};
	struct record *r;
	__u32 flags;

	/* filter: its exit will tell, the agent, known */
	if (caller__exits(current) || config__is_agent())
		return 0;
	task = caller__task(current);
	flags = caller__flags(current);
	novelty__subject(&key, EV_CALL, task);
	call__object(&call, 0, (struct call_object *)key.object);
	if (!novelty__first(&key, &flags))
		return 0;
	/* head, 1, emit */
	r = held__begin(EV_CALL, sizeof(struct ev_call), task, &key);
	if (!r)
		return 0;
	r->flags = flags;
	call__fill(r, &call, &key, 0);
	novelty__emit(r, &key);
	held__drop(bpf_get_current_pid_tgid());
	return 0;
}

/* What follows the protection asked for differs between the hook and the kernel's function for it. */
SEC("lsm/mmap_file")
int BPF_PROG(memory_maps, struct file *file, unsigned long protection)
{
	return (protection & PROT_WRITE_EXEC) == PROT_WRITE_EXEC ? memory__reached(CALL_MMAP_WX, 0, 0, protection) : 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(memory_protects, struct vm_area_struct *area, unsigned long protection)
{
	struct vm_area_struct *vma = compat__typed(struct vm_area_struct, area);

	if ((protection & PROT_WRITE_EXEC) != PROT_WRITE_EXEC)
		return 0;
	return memory__reached(CALL_MPROTECT_WX, READ(vma, vm_start), READ(vma, vm_end) - READ(vma, vm_start), protection);
}
