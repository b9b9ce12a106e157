// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Cgroups made and removed: containers come and go with theirs. */
#include "../include/emit.h"

/* Of the hierarchies a machine has, only the one that gives processes their cgroup_id counts. */
static __always_inline int cgroup__is_watched(struct cgroup *cgroup)
{
	struct config *cfg = config__get();

	if (!cfg || !cfg->cgroup_v1)
		return READ(cgroup, root, hierarchy_id) == 0;
	return compat__pids_css((void *)cgroup + bpf_core_field_offset(struct cgroup, subsys)) != NULL;
}

static __always_inline int cgroup__changed(struct cgroup *cgroup, const char *path, __u32 type)
{
	struct ev_cgroup *e;
	struct record *r;
	UNDISTURBED;

	/* filter */
	if (!cgroup__is_watched(cgroup))
		return 0;
	/* head */
	r = record__begin(SCRATCH_CGROUP, type, sizeof(struct ev_cgroup), task__current());
	if (!r)
		return 0;
	e = (void *)r;
	/* 1: id, level */
	e->id = READ(cgroup, kn, id);
	e->level = READ(cgroup, level);
	/* 2: path */
	e->path_len = tail__string(r, path, STRING_BYTES, OF_KERNEL);
	/* emit */
	ring__emit(r);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	return cgroup__changed(cgroup, path, EV_CGROUP_MKDIR);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return cgroup__changed(cgroup, path, EV_CGROUP_RMDIR);
}
