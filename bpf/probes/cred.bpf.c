// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Credentials changed: user ids, group ids, capabilities. Reported only where something changed. */
#include "../include/ids.h"

SEC("tp_btf/sched_process_fork")
int BPF_PROG(cred_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = READ(child, tgid);

	if (READ(child, pid) == tgid)
		ids__remember(tgid, READ(child, cred));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(cred_exec, struct task_struct *task)
{
	ids__remember(READ(task, tgid), READ(task, cred));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(cred_exit, struct task_struct *task)
{
	__u32 tgid = READ(task, tgid);

	if (!READ(task, signal, live.counter))
		bpf_map_delete_elem(&process_ids, &tgid);
	return 0;
}

static __always_inline int ids__equal(const __u32 *a, const __u32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline int cred__ids_changed(__u32 kind)
{
	struct task_struct *task = task__current();
	struct ids before = {}, after = {};
	__u32 *was, *is;

	/* filter: the agent, no change */
	if (config__is_agent())
		return 0;
	ids__before(task, &before);
	ids__read(READ(task, cred), &after);
	was = kind == CALL_SETUID ? before.uid : before.gid;
	is = kind == CALL_SETUID ? after.uid : after.gid;
	if (ids__equal(was, is))
		return 0;
	ids__remember(READ(task, tgid), READ(task, cred));
	return call__emit(CALL(.kind = kind, .args = {was[0], was[1], is[2], is[3]}), 0);
}

static __always_inline int cred__capset(void)
{
	struct task_struct *task = task__current();
	struct ids before = {}, after = {};

	/* filter: the agent, no change */
	if (config__is_agent())
		return 0;
	ids__before(task, &before);
	ids__read(READ(task, cred), &after);
	if (before.effective == after.effective && before.permitted == after.permitted)
		return 0;
	ids__remember(READ(task, tgid), READ(task, cred));
	return call__emit(CALL(.kind = CALL_CAPSET,
			       .args = {before.effective, after.effective, before.permitted, after.permitted}), 0);
}

SEC("tracepoint/syscalls/sys_exit_setuid")
int cred_setuid(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__ids_changed(CALL_SETUID); }

SEC("tracepoint/syscalls/sys_exit_setreuid")
int cred_setreuid(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__ids_changed(CALL_SETUID); }

SEC("tracepoint/syscalls/sys_exit_setresuid")
int cred_setresuid(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__ids_changed(CALL_SETUID); }

/* Gives the old id whether it succeeds or not. */
SEC("tracepoint/syscalls/sys_exit_setfsuid")
int cred_setfsuid(struct trace_event_raw_sys_exit *ctx) { return cred__ids_changed(CALL_SETUID); }

SEC("tracepoint/syscalls/sys_exit_setgid")
int cred_setgid(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__ids_changed(CALL_SETGID); }

SEC("tracepoint/syscalls/sys_exit_setregid")
int cred_setregid(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__ids_changed(CALL_SETGID); }

SEC("tracepoint/syscalls/sys_exit_setresgid")
int cred_setresgid(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__ids_changed(CALL_SETGID); }

SEC("tracepoint/syscalls/sys_exit_setfsgid")
int cred_setfsgid(struct trace_event_raw_sys_exit *ctx) { return cred__ids_changed(CALL_SETGID); }

SEC("tracepoint/syscalls/sys_exit_capset")
int cred_capset(struct trace_event_raw_sys_exit *ctx) { return ctx->ret ? 0 : cred__capset(); }
