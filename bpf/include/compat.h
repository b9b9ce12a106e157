/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Everything that differs between kernel versions, each with the change that made the difference. */
#ifndef VEDETTE_COMPAT_H
#define VEDETTE_COMPAT_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* kernel_cap_t: two __u32 until 6.3 (f122a08b197d, "capability: just use a 'u64' instead of a
 * 'u32[2]' array"). The same eight bytes on a little-endian machine, so read them as bytes.
 */
#define compat__capabilities(out, cred, field) bpf_core_read(out, sizeof(__u64), &(cred)->field)

/* ovl_inode.__upperdentry has no BTF where overlayfs is a module. It has stood right behind the
 * embedded inode since 4.13 (09d8b586731b, "ovl: move __upperdentry to ovl_inode").
 */
static __always_inline struct dentry *compat__ovl_upper(const struct inode *inode)
{
	struct dentry *upper = NULL;

	bpf_probe_read_kernel(&upper, sizeof(upper), (const char *)inode + bpf_core_type_size(struct inode));
	return upper;
}

/* Pure cgroup v1 hosts keep every task in the root of the default hierarchy; there the pids
 * controller tells containers apart. The enum's values depend on the kernel's configuration.
 * `subsys` is the kernel's array of that name; NULL without the controller.
 */
static __always_inline struct cgroup_subsys_state *compat__pids_css(void *subsys)
{
	struct cgroup_subsys_state *css = NULL;
	__u64 index;

	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return NULL;
	index = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	bpf_probe_read_kernel(&css, sizeof(css), subsys + index * sizeof(css));
	return css;
}

#endif
