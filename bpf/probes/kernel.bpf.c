// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Calls into the kernel's own machinery: modules, kexec, bpf, perf, io_uring, keys. Failures too.
 * Attributes are read from the caller's memory as the call returns.
 */
#include "../include/call.h"

#define BPF_COMMAND_MAP_CREATE 0
#define BPF_COMMAND_PROG_LOAD 5
#define KEY_OPERATION_ADD 0x10000   /* add_key and request_key have no operation of keyctl */
#define KEY_OPERATION_REQUEST 0x10001
#define URING_FLAGS 8               /* offset of flags in struct io_uring_params */
#define PERF_CONFIG 8               /* offset of config in struct perf_event_attr */

SEC("tracepoint/syscalls/sys_exit_init_module")
int kernel_init_module(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_MODULE_LOAD, .text = (void *)call__arg(2)), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_finit_module")
int kernel_finit_module(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_MODULE_LOAD, .args = {call__arg(2)}, .text = (void *)call__arg(1)), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_delete_module")
int kernel_delete_module(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_MODULE_DELETE, .args = {call__arg(1)}, .text = (void *)call__arg(0)), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_kexec_load")
int kernel_kexec_load(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_KEXEC_LOAD, .args = {call__arg(3)}), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_kexec_file_load")
int kernel_kexec_file_load(struct trace_event_raw_sys_exit *ctx)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_KEXEC_LOAD, .args = {call__arg(4)}, .text = (void *)call__arg(3)), ctx->ret);
}

/* Commands that only read or write map elements, or ask, are everyday work and left out. */
static __always_inline int bpf__is_reported(__u64 command)
{
	switch (command) {
	case BPF_COMMAND_MAP_CREATE:
	case BPF_COMMAND_PROG_LOAD:
	case 6: case 7:            /* OBJ_PIN, OBJ_GET */
	case 8: case 9:            /* PROG_ATTACH, PROG_DETACH */
	case 13: case 14: case 30: /* PROG_, MAP_, LINK_GET_FD_BY_ID */
	case 17:                   /* RAW_TRACEPOINT_OPEN */
	case 28: case 29: case 34: /* LINK_CREATE, LINK_UPDATE, LINK_DETACH */
	case 36:                   /* TOKEN_CREATE */
		return 1;
	}
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_bpf")
int kernel_bpf(struct trace_event_raw_sys_exit *ctx)
{
	__u64 command = call__arg(0);
	__u32 type = 0;

	if (!bpf__is_reported(command) || config__is_agent())
		return 0;
	if (command == BPF_COMMAND_MAP_CREATE || command == BPF_COMMAND_PROG_LOAD)
		bpf_probe_read_user(&type, sizeof(type), (void *)call__arg(1)); /* both begin with it */
	return call__emit(CALL(.kind = CALL_BPF, .args = {command, type}, .novel = 1, .same = {command, type}), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_perf_event_open")
int kernel_perf_event_open(struct trace_event_raw_sys_exit *ctx)
{
	__u64 attr = call__arg(0), event = 0;
	__u32 type = 0;

	if (config__is_agent())
		return 0;
	bpf_probe_read_user(&type, sizeof(type), (void *)attr);
	bpf_probe_read_user(&event, sizeof(event), (void *)(attr + PERF_CONFIG));
	return call__emit(CALL(.kind = CALL_PERF_EVENT_OPEN, .args = {type, event}, .novel = 1, .same = {type, event}),
			  ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_io_uring_setup")
int kernel_io_uring_setup(struct trace_event_raw_sys_exit *ctx)
{
	__u32 flags = 0;

	if (config__is_agent())
		return 0;
	bpf_probe_read_user(&flags, sizeof(flags), (void *)(call__arg(1) + URING_FLAGS));
	return call__emit(CALL(.kind = CALL_IO_URING_SETUP, .args = {call__arg(0), flags}, .novel = 1, .same = {flags}), ctx->ret);
}

static __always_inline int kernel__key(__u64 operation, const void *description, long ret)
{
	if (config__is_agent())
		return 0;
	return call__emit(CALL(.kind = CALL_KEYCTL, .args = {operation}, .text = description, .novel = 1,
			       .same = {operation}), ret);
}

SEC("tracepoint/syscalls/sys_exit_keyctl")
int kernel_keyctl(struct trace_event_raw_sys_exit *ctx) { return kernel__key((__u32)call__arg(0), NULL, ctx->ret); }

SEC("tracepoint/syscalls/sys_exit_add_key")
int kernel_add_key(struct trace_event_raw_sys_exit *ctx)
{
	return kernel__key(KEY_OPERATION_ADD, (void *)call__arg(1), ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_request_key")
int kernel_request_key(struct trace_event_raw_sys_exit *ctx)
{
	return kernel__key(KEY_OPERATION_REQUEST, (void *)call__arg(1), ctx->ret);
}
