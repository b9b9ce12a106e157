// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Ways to see a system call, each as little as can be: what the way itself costs. Attached one at a time by
 * bench/dispatch.py; nothing here is part of the sensor.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define WATCHED 161 /* chroot on x86-64: rare, and cheap to call in vain */
#define CALLS 512

typedef unsigned long long u64;

struct classic_exit { u64 common; long id, ret; };
struct classic_enter { u64 common; long id; unsigned long args[6]; };

/* The first words of struct pt_regs up to orig_ax, which holds the number of the call. */
struct registers { unsigned long before[15], orig_ax; };

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CALLS);
	__type(key, __u32);
	__type(value, __u32);
} handlers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, u64);
} seen SEC(".maps");

static __always_inline int count(void)
{
	__u32 zero = 0;
	u64 *n = bpf_map_lookup_elem(&seen, &zero);

	if (n)
		++*n;
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_chroot")
int classic_on_exit(struct classic_exit *ctx) { return ctx->ret < 0 ? count() : 0; }

SEC("tracepoint/syscalls/sys_enter_chroot")
int classic_on_enter(struct classic_enter *ctx) { return ctx->args[0] ? 0 : count(); }

SEC("tp_btf/sys_exit")
int raw_empty(u64 *ctx) { return 0; }

/* One program for all calls: compare the number, go on for those that are watched. */
SEC("tp_btf/sys_exit")
int raw_compare(u64 *ctx)
{
	struct registers *regs = (void *)ctx[0];
	unsigned long id = 0;

	bpf_probe_read_kernel(&id, sizeof(id), &regs->orig_ax);
	return id == WATCHED ? count() : 0;
}

/* The same, each call's own program reached through a table. */
SEC("tp_btf/sys_exit")
int raw_table(u64 *ctx)
{
	struct registers *regs = (void *)ctx[0];
	unsigned long id = 0;

	bpf_probe_read_kernel(&id, sizeof(id), &regs->orig_ax);
	if (id < CALLS)
		bpf_tail_call(ctx, &handlers, id);
	return 0;
}

SEC("tp_btf/sys_exit")
int raw_handler(u64 *ctx) { return count(); }

char LICENSE[] SEC("license") = "Dual BSD/GPL";
