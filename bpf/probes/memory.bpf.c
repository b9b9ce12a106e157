// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Memory from which code may come that was never a program's file. */
#include "../include/call.h"

#define PROT_WX (2 | 4) /* PROT_WRITE | PROT_EXEC */
#define MAP_KIND 0x23   /* MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS */
#define IS_ERROR(ret) ((unsigned long)(ret) >= -4095UL)

/* Frequent calls: nothing but the protection is looked at first. */
SEC("tracepoint/syscalls/sys_exit_mmap")
int memory_mmap(struct trace_event_raw_sys_exit *ctx)
{
	__u64 protection = call__arg(2), flags;

	if ((protection & PROT_WX) != PROT_WX || IS_ERROR(ctx->ret) || config__is_agent())
		return 0;
	flags = call__arg(3);
	return call__emit(CALL(.kind = CALL_MMAP_WX, .args = {call__arg(0), call__arg(1), protection, flags}, .novel = 1,
			       .same = {flags & MAP_KIND}), ctx->ret);
}

static __always_inline int memory__protected(long ret)
{
	__u64 protection = call__arg(2);

	if ((protection & PROT_WX) != PROT_WX || ret || config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_MPROTECT_WX, .args = {call__arg(0), call__arg(1), protection}, .novel = 1), ret);
}

SEC("tracepoint/syscalls/sys_exit_mprotect")
int memory_mprotect(struct trace_event_raw_sys_exit *ctx) { return memory__protected(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_pkey_mprotect")
int memory_pkey_mprotect(struct trace_event_raw_sys_exit *ctx) { return memory__protected(ctx->ret); }

/* The same behaviour: the same flags, and the same first seven bytes of the name. */
SEC("tracepoint/syscalls/sys_exit_memfd_create")
int memory_memfd_create(struct trace_event_raw_sys_exit *ctx)
{
	const void *name = (void *)call__arg(0);
	__u64 start = 0;

	if (ctx->ret < 0 || config__is_agent())
		return 0;
	bpf_probe_read_user_str(&start, sizeof(start), name);
	return call__emit(CALL(.kind = CALL_MEMFD_CREATE, .args = {call__arg(1)}, .text = name, .novel = 1,
			       .same = {call__arg(1), start}), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_userfaultfd")
int memory_userfaultfd(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_USERFAULTFD, .args = {call__arg(0)}, .novel = 1, .same = {call__arg(0)}), ctx->ret);
}
