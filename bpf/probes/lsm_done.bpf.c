// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* How the changes lsm_path.bpf.c saw coming ended, and connections accepted by any caller. */
#include "../include/caller.h"
#include "../include/conns.h"
#include "../include/held.h"

SEC("tracepoint")
int change_done(struct trace_event_raw_sys_exit *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct record *r = held__of(tid);
	struct ev_novelty_key key;
	UNDISTURBED; /* or others' changes are skipped meanwhile, and told late, as attempts */

	if (!r)
		return 0;
	key = *held__key(r);
	if (!ctx->ret)
		novelty__emit(r, &key);
	else
		bpf_map_delete_elem(&novelty, &key); /* it did not come about, so it is not known */
	held__drop(tid);
	return 0;
}

/* A thread that ends holds nothing back. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(change_abandoned, struct task_struct *task)
{
	UNDISTURBED;

	held__settle(bpf_get_current_pid_tgid());
	return 0;
}

/* The connection is there, and whoever takes it is current. With bottom halves off, so nobody else runs here. */
SEC("lsm/sock_graft")
int BPF_PROG(net_taken, struct sock *sk, struct socket *parent)
{
	return conn__seen(caller__task(task__current()), compat__typed(struct sock, sk), EV_ACCEPT);
}
