// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Calls that change what a process is in: its namespaces, its root, its host name. Failures too. */
#include "../include/ids.h"

#define CLONE_NEWUSER 0x10000000
#define CLONE_NEW_ANY 0x7e020080 /* every CLONE_NEW* bit: ns, cgroup, uts, ipc, user, pid, net, and time */
#define NSFS_MAGIC 0x6e736673

/* A new user namespace gives all capabilities in it: no call of capset did. */
static __always_inline void namespace__entered(struct task_struct *task, __u64 kinds, long result)
{
	if (!result && kinds & CLONE_NEWUSER)
		ids__remember(READ(task, tgid), READ(task, cred));
}

/* The namespace is the one behind the descriptor; a pidfd names several, then the kinds are those
 * asked for and the number is 0.
 */
SEC("tracepoint/syscalls/sys_exit_setns")
int namespace_setns(struct trace_event_raw_sys_exit *ctx)
{
	struct task_struct *task = task__current();
	long ret = ctx->ret; /* verifier: no offset into the context may be kept in a register */
	__u64 kinds = call__arg(1) & CLONE_NEW_ANY, number = 0;
	struct inode *inode;

	if (config__is_agent())
		return 0;
	inode = READ(task__file(task, call__arg(0)), f_inode);
	if (inode && inode__magic(inode) == NSFS_MAGIC) {
		kinds = compat__namespace_kind(READ(inode, i_private));
		number = READ(inode, i_ino);
	}
	namespace__entered(task, kinds, ret);
	return call__emit(CALL(.kind = CALL_SETNS, .args = {kinds, number}, .novel = 1, .same = {kinds, number}), ret);
}

SEC("tracepoint/syscalls/sys_exit_unshare")
int namespace_unshare(struct trace_event_raw_sys_exit *ctx)
{
	__u64 flags = call__arg(0);
	long ret = ctx->ret;

	if (!(flags & CLONE_NEW_ANY) || config__is_agent())
		return 0;
	namespace__entered(task__current(), flags, ret);
	return call__emit(CALL(.kind = CALL_UNSHARE, .args = {flags}, .novel = 1, .same = {flags}), ret);
}

SEC("tracepoint/syscalls/sys_exit_chroot")
int namespace_chroot(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_CHROOT, .text = (void *)call__arg(0)), ctx->ret);
}

/* The name as the kernel has it now; the caller's need not end in NUL. None where the call failed. */
SEC("tracepoint/syscalls/sys_exit_sethostname")
int namespace_sethostname(struct trace_event_raw_sys_exit *ctx)
{
	struct uts_namespace *uts = READ(task__current(), nsproxy, uts_ns);
	__u64 name = (__u64)uts + bpf_core_field_offset(struct uts_namespace, name.nodename);

	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_SETHOSTNAME, .of_kernel = 1, .text = ctx->ret ? NULL : (void *)name),
			  ctx->ret);
}
