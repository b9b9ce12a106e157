/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: the ids and capabilities a process had before it changed them. The kernel frees the old
 * credentials as the call ends, so they are remembered here: copied at fork, renewed at exec and
 * after every change, dropped at exit. By process, not by thread: where the C library changes every
 * thread of a process in turn, that is one change.
 */
#ifndef VEDETTE_IDS_H
#define VEDETTE_IDS_H

#include "call.h"

#define IDS_ENTRIES 16384 /* live processes; those beyond are seen as their program's opener was */

/* Four ids each, in the order real, effective, saved, file system. */
struct ids {
	__u32 uid[4], gid[4];
	__u64 effective, permitted;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IDS_ENTRIES);
	__type(key, __u32);
	__type(value, struct ids);
} process_ids SEC(".maps");

static __always_inline void ids__read(const struct cred *cred, struct ids *out)
{
	out->uid[0] = READ(cred, uid.val);
	out->uid[1] = READ(cred, euid.val);
	out->uid[2] = READ(cred, suid.val);
	out->uid[3] = READ(cred, fsuid.val);
	out->gid[0] = READ(cred, gid.val);
	out->gid[1] = READ(cred, egid.val);
	out->gid[2] = READ(cred, sgid.val);
	out->gid[3] = READ(cred, fsgid.val);
	compat__capabilities(&out->effective, cred, cap_effective);
	compat__capabilities(&out->permitted, cred, cap_permitted);
}

static __always_inline void ids__remember(__u32 tgid, const struct cred *cred)
{
	struct ids now = {};

	ids__read(cred, &now);
	bpf_map_update_elem(&process_ids, &tgid, &now, BPF_ANY);
}

/* Before the change: as remembered, else (older than the sensor) as whoever opened the program's
 * file for exec was, which misses what a set-user-id bit or file capabilities gave.
 */
static __always_inline void ids__before(struct task_struct *task, struct ids *out)
{
	__u32 tgid = READ(task, tgid);
	struct ids *found = bpf_map_lookup_elem(&process_ids, &tgid);

	if (found)
		*out = *found;
	else
		ids__read(READ(task, mm, exe_file, f_cred), out);
}

#endif
