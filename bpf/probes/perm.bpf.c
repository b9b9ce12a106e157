// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Permissions that make a file run, or run as someone else. */
#include "../include/emit.h"

#define MODE_REPORTED 06111 /* set-user-id, set-group-id, execute */
#define MODE_BITS 07777
#define IN_FLIGHT 1024

struct chmod_call { const char *path; __u32 mode; __u32 pad; };

/* Calls between their entry and exit, by thread; a thread killed in between leaves its entry. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, IN_FLIGHT);
	__type(key, __u64);
	__type(value, struct chmod_call);
} chmod_calls SEC(".maps");

static __always_inline int perm__enter(const char *path, __u32 mode)
{
	struct chmod_call call = {.path = path, .mode = mode & MODE_BITS};
	__u64 thread = bpf_get_current_pid_tgid();

	if (!(mode & MODE_REPORTED) || config__is_agent())
		return 0;
	if (bpf_map_update_elem(&chmod_calls, &thread, &call, BPF_ANY))
		counters__bump(EV_CHMOD, CTR_LOST_SCRATCH);
	return 0;
}

static __always_inline int perm__exit(long ret)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct chmod_call *found = bpf_map_lookup_elem(&chmod_calls, &thread), call;
	struct ev_chmod *e;
	struct record *r;

	/* filter: a mode of no interest, or a call that failed */
	if (!found)
		return 0;
	call = *found;
	bpf_map_delete_elem(&chmod_calls, &thread);
	if (ret)
		return 0;
	/* head */
	r = record__begin(SCRATCH_PERM, EV_CHMOD, sizeof(struct ev_chmod), task__current());
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: mode */
	e->mode = call.mode;
	/* 2: path */
	if (call.path)
		e->path_len = tail__string(r, call.path, STRING_BYTES, OF_USER);
	/* emit */
	ring__emit(r);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_chmod")
int perm_chmod(struct trace_event_raw_sys_enter *ctx) { return perm__enter((void *)ctx->args[0], ctx->args[1]); }

SEC("tracepoint/syscalls/sys_enter_fchmod")
int perm_fchmod(struct trace_event_raw_sys_enter *ctx) { return perm__enter(NULL, ctx->args[1]); }

SEC("tracepoint/syscalls/sys_enter_fchmodat")
int perm_fchmodat(struct trace_event_raw_sys_enter *ctx) { return perm__enter((void *)ctx->args[1], ctx->args[2]); }

SEC("tracepoint/syscalls/sys_enter_fchmodat2")
int perm_fchmodat2(struct trace_event_raw_sys_enter *ctx) { return perm__enter((void *)ctx->args[1], ctx->args[2]); }

SEC("tracepoint/syscalls/sys_exit_chmod")
int perm_chmod_exit(struct trace_event_raw_sys_exit *ctx) { return perm__exit(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_fchmod")
int perm_fchmod_exit(struct trace_event_raw_sys_exit *ctx) { return perm__exit(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_fchmodat")
int perm_fchmodat_exit(struct trace_event_raw_sys_exit *ctx) { return perm__exit(ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_fchmodat2")
int perm_fchmodat2_exit(struct trace_event_raw_sys_exit *ctx) { return perm__exit(ctx->ret); }
