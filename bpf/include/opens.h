/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: a file that was opened, whoever tells of it: which ones are reported, what one behaviour is. */
#ifndef VEDETTE_OPENS_H
#define VEDETTE_OPENS_H

#include "emit.h"

#define O_TRUNC 01000
#define DEV_MAJOR(dev) ((dev) >> 20)
#define DEV_MINOR(dev) ((dev) & 0xfffff)
#define MAJOR_MEM 1
#define MEM_HARMLESS (1 << 3 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9) /* null zero full random urandom */

/* What makes an open the same behaviour as an earlier one (ev_novelty_key.object). */
enum access { ACCESS_WRITE = 1 << 0, ACCESS_UNLINKED = 1 << 1, ACCESS_TRUNCATE = 1 << 2 };

struct opened {
	struct ev_file_id file;
	__u32 access;
	__u32 name;
};
_Static_assert(sizeof(struct opened) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

static __always_inline int device__is_harmless(__u32 dev)
{
	__u32 major = DEV_MAJOR(dev), minor = DEV_MINOR(dev);

	if (major == MAJOR_MEM)
		return minor < 16 && (MEM_HARMLESS >> minor & 1);
	return major == 4 || major == 5 || (major >= 136 && major <= 143); /* terminals */
}

/* Reads: regular files that hold data. Writes: files and devices; never pipes, sockets, terminals. */
static __always_inline int file__is_reported(struct inode *inode, __u16 mode, int writes)
{
	__u16 type = mode & S_IFMT;

	if (!writes)
		return type == S_IFREG && !magic__is_pseudo(inode__magic(inode));
	if (type == S_IFCHR)
		return !device__is_harmless(READ(inode, i_rdev));
	return type == S_IFREG || type == S_IFBLK;
}

static __always_inline int open__writes(__u32 f_mode)
{
	return !!(f_mode & (FMODE_WRITE | FMODE_CREATED));
}

/* The behaviour an open is. `truncated` is O_TRUNC where the file lost its content by it. */
static __always_inline void open__object(struct file *file, struct inode *inode, int writes, __u32 truncated,
					 struct opened *out)
{
	inode__id(inode, &out->file);
	out->access = (writes ? ACCESS_WRITE : 0) | (truncated ? ACCESS_TRUNCATE : 0) |
		      (READ(inode, i_nlink) ? 0 : ACCESS_UNLINKED);
	out->name = path__name(READ(file, f_path.dentry), READ(file, f_path.mnt));
}

/* Fill a record begun as struct ev_open, and emit it. */
static __always_inline void file__emit(struct record *r, struct file *file, const struct ev_novelty_key *key,
				       __u32 flags, __u32 f_mode, __u32 open_flags, __u16 mode)
{
	struct ev_open *e = (void *)r;
	const struct opened *opened;

	r->flags = flags;
	/* 1: exe, file, name */
	e->exe = key->exe;
	opened = (void *)key->object;
	e->file = opened->file;
	e->name = opened->name;
	/* 2: file_flags, open_flags, mode */
	e->file_flags = file__flags(file);
	if (f_mode & FMODE_WRITE)
		e->file_flags |= FILE_F_WRITE;
	if (f_mode & FMODE_CREATED)
		e->file_flags |= FILE_F_CREATED;
	e->open_flags = open_flags;
	e->mode = mode;
	/* 3: fs_magic */
	e->fs_magic = inode__magic(READ(file, f_inode));
	/* 4: path */
	e->path_len = tail__path(r, READ(file, f_path.dentry), READ(file, f_path.mnt));
	/* emit */
	novelty__emit(r, key);
}

#endif
