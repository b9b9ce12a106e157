/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: for hooks inside the kernel: on whose behalf it acts, and whether a system call's exit will tell. */
#ifndef VEDETTE_CALLER_H
#define VEDETTE_CALLER_H

#include "calls.h"
#include "reads.h"

#define PF_IO_WORKER 0x10    /* include/linux/sched.h: a thread io_uring made for itself */
#define PF_KTHREAD 0x200000
#define NO_CALL (-1)
#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x2        /* arch/x86/include/asm/thread_info.h: inside a call of the 32-bit table */
#define CALL_NUMBER(regs) READ(regs, orig_ax)
#elif defined(__TARGET_ARCH_arm64)
#define TIF_32BIT 22         /* arch/arm64/include/asm/thread_info.h */
#define CALL_NUMBER(regs) READ(regs, syscallno)
#endif

static __always_inline int caller__is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return !!(READ(task, thread_info.status) & TS_COMPAT);
#else
	return READ(task, thread_info.flags) >> TIF_32BIT & 1;
#endif
}

/* The call of the 64-bit table the current task is in; NO_CALL for 32-bit calls, whose exits classic tracepoints
 * skip, and for kernel threads, which have none.
 */
static __always_inline int caller__call(struct task_struct *task)
{
	if (READ(task, flags) & (PF_IO_WORKER | PF_KTHREAD) || caller__is_compat(task))
		return NO_CALL;
	return CALL_NUMBER(compat__user_regs());
}

#ifndef VEDETTE_WITHOUT_BTF
/* Who wants it done. Until 5.12 io_uring's workers were kernel threads that only borrowed the memory of the
 * process they worked for (3bfe6106693b, "io-wq: fork worker threads from original task").
 */
static __always_inline struct task_struct *caller__task(struct task_struct *task)
{
	if (READ(task, flags) & PF_KTHREAD && bpf_core_field_exists(struct mm_struct, owner)) {
		struct task_struct *owner = READ(task, mm, owner);

		return owner ? compat__typed(struct task_struct, owner) : task;
	}
	return task;
}
#endif

/* Whether the exit of a call will tell. io_uring's operations run inside io_uring_enter, among others. */
static __always_inline int caller__exits(struct task_struct *task)
{
	int call = caller__call(task);

	return call >= 0 && call != NR_IO_URING_ENTER;
}

/* ev_head.flags of what no exit will tell about. */
static __always_inline __u32 caller__flags(struct task_struct *task)
{
	return EV_F_ATTEMPT | (caller__is_compat(task) ? EV_F_COMPAT : 0);
}

#endif
