/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 6: changes of the file tree as the kernel makes them: names in directories, and the behaviour they are. */
#ifndef VEDETTE_TREE_H
#define VEDETTE_TREE_H

#include "caller.h"
#include "change.h"

#define TEXT_WORDS 16 /* of a link's text, as part of the behaviour; those with longer ones are not filtered */

/* A name in a directory. */
struct named {
	struct dentry *dentry;
	struct vfsmount *mnt;
};

static __always_inline struct vfsmount *path__mnt(const struct path *path)
{
	struct path *plain = compat__typed(struct path, (void *)path);

	return READ(plain, mnt);
}

#define NAMED(dir, entry) (&(struct named){compat__typed(struct dentry, entry), path__mnt(dir)})

/* Calls at whose exit change_done runs (agent/source/programs.py). */
static __always_inline int change__exits(int call)
{
	switch (call) {
	case NR_RENAME: case NR_RENAMEAT: case NR_RENAMEAT2: case NR_LINK: case NR_LINKAT: case NR_SYMLINK:
	case NR_SYMLINKAT: case NR_UNLINK: case NR_UNLINKAT: case NR_RMDIR: case NR_MKDIR: case NR_MKDIRAT:
		return 1;
	}
	return 0;
}

static __always_inline __u64 directory__hash(const struct named *at, __u64 seed, __u64 hash, struct changed *out)
{
	struct ev_file_id id = {};
	struct dentry *dentry = at->dentry; /* READ must not take our own struct for one of the kernel's */
	struct dentry *parent = READ(dentry, d_parent);

	inode__id(READ(parent, d_inode), &id);
	out->ino = id.ino;
	out->dev = id.dev;
	return hash__mix(seed, hash__mix(seed, hash, id.ino), (__u64)id.dev << 32 | id.generation);
}

/* What is one behaviour: the directories, the operation, its arguments. Says so in *flags where it is too long. */
static __always_inline void change__object(struct changed *out, const struct named *at, const struct named *to,
					   const char *text, const __u64 *args, __u32 *flags)
{
	__u64 seed = hash__seed(), hash = hash__mix(seed, hash__mix(seed, seed, args[0]), out->op);
	__u64 words[TEXT_WORDS] = {};
	int i;

	if (text) {
		if (bpf_probe_read_kernel_str(words, sizeof(words), text) == sizeof(words))
			*flags |= EV_F_UNFILTERED;
		for (i = 0; i < TEXT_WORDS; i++)
			hash = hash__mix(seed, hash, words[i]);
	}
	if (to)
		hash = directory__hash(to, seed, hash, out);
	out->hash = directory__hash(at, seed, hash, out);
}

#endif
