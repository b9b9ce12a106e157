// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* An object of which the kernel takes only a part (test_loading.py). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } sized SEC(".maps");
/* No kernel makes a map of this type. */
struct { __uint(type, 9999); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } unknown SEC(".maps");

SEC("raw_tp/sys_exit")
int good(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sized, &zero) != NULL;
}

/* The verifier refuses it: a number is followed as if it were a pointer. */
SEC("raw_tp/sys_exit")
int careless(void *ctx) { return *(volatile int *)bpf_get_current_task(); }

SEC("tp_btf/vedette_no_such_tracepoint")
int nowhere(void *ctx) { return 0; }

SEC("raw_tp/sys_exit")
int mapless(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&unknown, &zero) != NULL;
}
