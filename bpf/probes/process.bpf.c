// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Processes: fork, exec, exit. Never filtered. */
#include "../include/emit.h"

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct record *r;
	UNDISTURBED;

	/* filter: a new thread is no new process */
	if (READ(child, pid) != READ(child, tgid))
		return 0;
	/* head */
	r = record__begin(SCRATCH_PROCESS, EV_FORK, sizeof(struct ev_fork), child);
	if (!r)
		return 0;
	/* emit */
	ring__emit(r);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct mm_struct *mm = READ(task, mm);
	struct file *exe = READ(mm, exe_file);
	const struct cred *cred = READ(task, cred);
	struct ev_exec *e;
	struct record *r;
	UNDISTURBED;

	/* filter */
	if (config__is_agent())
		return 0;
	/* head */
	r = record__begin(SCRATCH_PROCESS, EV_EXEC, sizeof(struct ev_exec), task);
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: exe, exe_flags */
	task__exe_id(task, &e->exe);
	e->exe_flags = file__flags(exe);
	if (READ(bprm, interp) != READ(bprm, filename))
		e->exe_flags |= FILE_F_SCRIPT;
	if (BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec))
		e->exe_flags |= FILE_F_SECURE;
	/* 2: cap_permitted, cap_effective */
	compat__capabilities(&e->cap_permitted, cred, cap_permitted);
	compat__capabilities(&e->cap_effective, cred, cap_effective);
	/* 3: path */
	e->path_len = tail__path(r, READ(exe, f_path.dentry), READ(exe, f_path.mnt));
	/* 4: argv, argv_total */
	e->argv_len = tail__argv(r, mm, &e->argv_total);
	/* 5: cwd */
	e->cwd_len = tail__path(r, READ(task, fs, pwd.dentry), READ(task, fs, pwd.mnt));
	/* 6: filename */
	e->filename_len = tail__string(r, READ(bprm, filename), STRING_BYTES, OF_KERNEL);
	/* emit */
	ring__emit(r);
	return 0;
}

static __always_inline int process__exited(struct task_struct *task)
{
	struct ev_exit *e;
	struct record *r;
	UNDISTURBED;

	/* filter */
	if (config__is_agent())
		return 0;
	/* head */
	r = record__begin(SCRATCH_PROCESS, EV_EXIT, sizeof(struct ev_exit), task);
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: exit_code */
	e->exit_code = task__exit_code(task);
	/* emit */
	ring__emit(r);
	return 0;
}

/* Kernels since 6.16 say which thread is the last ("exit: move and extend sched_process_exit()
 * tracepoint"). The loader takes this program where the tracepoint has that argument.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task, _Bool group_dead)
{
	return group_dead ? process__exited(task) : 0;
}

/* Before 6.16: no thread lives any more. Two threads that end in the same instant can both be the
 * last by this measure; then the exit is reported twice, and user space ignores the second.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit_live, struct task_struct *task)
{
	return READ(task, signal, live.counter) ? 0 : process__exited(task);
}
