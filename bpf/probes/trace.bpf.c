// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* One process reaching into another: debugging, its memory, signals across containers. Failures too,
 * but for signals: one that is refused never comes to be.
 */
#include "../include/call.h"

/* Requests that take a process over or write to it. */
static __always_inline int ptrace__is_reported(__u64 request)
{
	switch (request) {
	case 4: case 5: case 6: /* POKETEXT, POKEDATA, POKEUSR */
	case 13: case 15:       /* SETREGS, SETFPREGS */
	case 16:                /* ATTACH */
	case 0x4205:            /* SETREGSET */
	case 0x4206:            /* SEIZE */
		return 1;
	}
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_ptrace")
int trace_ptrace(struct trace_event_raw_sys_exit *ctx)
{
	__u64 request = call__arg(0);

	if (!ptrace__is_reported(request) || config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_PTRACE, .args = {request}, .target = task__by_pid(task__current(), call__arg(1))),
			  ctx->ret);
}

static __always_inline int trace__memory(__u32 kind, long ret)
{
	struct task_struct *target;

	if (config__is_agent())
		return 0;
	target = task__by_pid(task__current(), call__arg(0));
	return call__emit(CALL(.kind = kind, .target = target, .novel = 1,
			       .same = {target ? task__start_time(target) : 0, target ? READ(target, tgid) : 0}), ret);
}

SEC("tracepoint/syscalls/sys_exit_process_vm_readv")
int trace_vm_read(struct trace_event_raw_sys_exit *ctx) { return trace__memory(CALL_PROCESS_VM_READ, ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_process_vm_writev")
int trace_vm_write(struct trace_event_raw_sys_exit *ctx) { return trace__memory(CALL_PROCESS_VM_WRITE, ctx->ret); }

#define SIGINFO_SPECIAL 1 /* up to here no pointer: SEND_SIG_NOINFO, SEND_SIG_PRIV */
#define SI_USER 0         /* kill, pidfd_send_signal */
#define SI_QUEUE -1       /* rt_sigqueueinfo */
#define SI_TKILL -6       /* tkill, tgkill */

/* Both sides are at hand here whatever the call. What the kernel itself sends has another code. */
SEC("tp_btf/signal_generate")
int BPF_PROG(trace_kill, int sig, struct kernel_siginfo *info, struct task_struct *target)
{
	struct config *cfg = config__get();
	struct task_struct *task = task__current();
	int code, v1 = cfg && cfg->cgroup_v1;

	/* filter: the kernel, the agent, itself, the same container */
	if ((__u64)info <= SIGINFO_SPECIAL || config__is_agent())
		return 0;
	code = READ(compat__typed(struct kernel_siginfo, info), si_code);
	if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL)
		return 0;
	if (READ(task, tgid) == READ(target, tgid) || task__cgroup_id(task, v1) == task__cgroup_id(target, v1))
		return 0;
	return call__emit(&(struct call){.kind = CALL_KILL, .slot = SCRATCH_SIGNAL, .args = {sig}, .target = target}, 0);
}
