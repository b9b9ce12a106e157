/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: changes of the file tree, as system calls ask for them: a path as the caller passed it, and
 * the directory it starts from, which only the kernel knows.
 */
#ifndef VEDETTE_CHANGE_H
#define VEDETTE_CHANGE_H

#include "calls.h"
#include "emit.h"

#define AT_FDCWD (-100)
#define SECURITY 0x7974697275636573 /* "security" as it lies in memory */
#define HASHED_BYTES 256 /* of a caller's string; behaviours with longer ones are not filtered */

/* What a system call changed. `path`, `target` and `text` are the caller's pointers, NULL without one. */
struct change {
	__u32 op; /* enum ev_path_op */
	__u32 unfiltered;
	int path_dir, target_dir;
	const char *path, *target, *text;
	__u64 args[2];
	__u64 length; /* in place of args[0], and no part of the behaviour */
};

/* verifier: kept in a map, so that what follows is checked once and not for each kind of change. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct change);
} changes SEC(".maps");

static __always_inline struct change *change__begin(void)
{
	__u32 zero = 0;
	struct change *c = bpf_map_lookup_elem(&changes, &zero);

	if (c) {
		__builtin_memset(c, 0, sizeof(*c));
		c->path_dir = c->target_dir = AT_FDCWD;
	}
	return c;
}

/* Attributes named security.* give rights to what runs, so each is emitted. */
static __always_inline int text__is_security(const char *text)
{
	__u64 start = 0;

	bpf_probe_read_user(&start, sizeof(start), text);
	return start == SECURITY;
}

/* What makes it the same behaviour as an earlier one (ev_novelty_key.object): the directory of the path
 * in full, of the target by its hash.
 */
struct changed {
	__u64 hash; /* of the directory parts of both strings, of the target's start, of text and args */
	__u64 ino;  /* where the path starts */
	__u32 dev;
	__u32 op;
};
_Static_assert(sizeof(struct ev_path) % sizeof(__u64) == 0, "what stands behind it is aligned");
_Static_assert(sizeof(struct changed) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

/* Where hashes start: drawn once, so that nobody outside can look for directories that collide. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hash_seed SEC(".maps");

static __always_inline __u64 hash__seed(void)
{
	__u32 zero = 0;
	__u64 *seed = bpf_map_lookup_elem(&hash_seed, &zero);

	if (!seed)
		return 0;
	if (!*seed) /* two CPUs that meet here make a few behaviours look new twice */
		*seed = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
	return *seed;
}

/* Mixes so that two inputs with one result cannot be found without the seed, as in the NH hash (UMAC,
 * RFC 4418): the halves, with a secret added, are multiplied.
 */
static __always_inline __u64 hash__mix(__u64 seed, __u64 hash, __u64 value)
{
	__u64 x = hash ^ value;

	return ((x & 0xffffffff) + (seed & 0xffffffff)) * ((x >> 32) + (seed >> 32)) + (x << 7 | x >> 57);
}

enum part { WHOLE, DIRECTORY };

#define EACH_BYTE 0x0101010101010101ULL
#define SLASHES ('/' * EACH_BYTE)
#define LOW_BITS (0x7f * EACH_BYTE)

/* The bytes of a word before its last slash, as a mask; 0 in *slashes where it has none. In memory order
 * on a little-endian machine: earlier bytes are lower.
 */
static __always_inline __u64 word__before_slash(__u64 word, __u64 *slashes)
{
	__u64 x = word ^ SLASHES;

	x = *slashes = ~(((x & LOW_BITS) + LOW_BITS) | x | LOW_BITS); /* 0x80 where a byte is 0 */
	x |= x >> 8;
	x |= x >> 16;
	x |= x >> 32;
	return (x >> 15) * 0xff;
}

/* The hash of the `n` bytes behind the record's fixed part: all of them, or those before the last slash.
 * verifier: by words, because each turn is checked anew.
 */
static __always_inline __u64 hash__string(struct record *r, __u32 n, __u64 seed, __u64 hash, enum part part)
{
	__u64 *words = (__u64 *)&r->bytes[sizeof(struct ev_path)];
	__u64 directory = hash;
	volatile __u32 length = n; /* verifier: volatile keeps the mask below, as in tail__argv */
	__u32 i;

	__builtin_memset(&r->bytes[(sizeof(struct ev_path) + length) & RECORD_MASK], 0, sizeof(__u64));
	for (i = 0; i < HASHED_BYTES / sizeof(__u64) && i * sizeof(__u64) < length; i++) {
		__u64 slashes, before = word__before_slash(words[i], &slashes);

		if (slashes)
			directory = hash__mix(seed, hash, words[i] & before);
		hash = hash__mix(seed, hash, words[i]);
	}
	return part == WHOLE ? hash : directory;
}

struct start { struct dentry *dentry; struct vfsmount *mnt; };

/* Where a caller's path starts: the process's root, its working directory, or an open directory. */
static __always_inline void path__start(struct task_struct *task, int dir, int absolute, struct start *out)
{
	struct dentry *dentry = NULL;
	const void *from;

	/* verifier: three kinds of pointers meet here, so they are followed by helpers */
	if (absolute)
		from = &READ(task, fs)->root;
	else if (dir == AT_FDCWD)
		from = &READ(task, fs)->pwd;
	else
		from = &task__file(task, dir)->f_path;
	bpf_probe_read_kernel(&out->mnt, sizeof(out->mnt), from + bpf_core_field_offset(struct path, mnt));
	bpf_probe_read_kernel(&dentry, sizeof(dentry), from + bpf_core_field_offset(struct path, dentry));
	out->dentry = compat__typed(struct dentry, dentry);
}

/* Append a caller's path as its first component, then those of the directory it starts from; "" stands
 * for the start itself. Gives the bytes they take.
 */
static __always_inline __u16 tail__user_path(struct record *r, struct task_struct *task, int dir, const char *string)
{
	__u32 begin = r->end;
	__u16 n = tail__string(r, string, STRING_BYTES, OF_USER);
	int absolute = n && r->bytes[begin & RECORD_MASK] == '/';
	struct start start = {};

	if (!n && r->flags & EV_F_READ_FAILED)
		return 0;
	if (n)
		r->end++; /* keep the NUL */
	path__start(task, dir, absolute, &start);
	tail__path(r, start.dentry, start.mnt);
	return r->end - begin;
}

/* The hash of one of the caller's strings, read behind the record's fixed part for the moment. */
static __always_inline __u64 change__hash(struct record *r, const char *string, __u64 seed, __u64 hash, enum part part,
					  __u32 *lengths)
{
	__u32 n;

	r->end = sizeof(struct ev_path);
	n = tail__string(r, string, STRING_BYTES, OF_USER);
	*lengths |= n;
	return hash__string(r, n, seed, hash, part);
}

/* Where the string that was hashed last starts. */
static __always_inline void change__start(struct record *r, struct task_struct *task, int dir, struct ev_file_id *id)
{
	struct start start = {};
	struct dentry *dentry;

	path__start(task, dir, r->bytes[sizeof(struct ev_path)] == '/', &start);
	dentry = start.dentry; /* READ must not take our own struct for one of the kernel's */
	inode__id(READ(dentry, d_inode), id);
}

/* Whether a change is to be emitted: the record's memory, or NULL. What is too long to be a key, or
 * cannot be read, always is.
 */
static __always_inline struct record *change__first(struct task_struct *task, const struct change *c,
						    struct ev_novelty_key *key, __u32 *flags)
{
	__u64 seed = hash__seed();
	struct changed object = {.op = c->op, .hash = seed};
	__u32 slot = SCRATCH_PATH, lengths = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);
	struct ev_file_id id = {};

	if (!r)
		return NULL;
	r->flags = 0;
	novelty__subject(key, EV_PATH, task);
	if (c->text)
		object.hash = change__hash(r, c->text, seed, object.hash, WHOLE, &lengths);
	if (c->target) {
		object.hash = change__hash(r, c->target, seed, object.hash, DIRECTORY, &lengths);
		change__start(r, task, c->target_dir, &id);
		object.hash = hash__mix(seed, object.hash, id.ino);
	}
	object.hash = change__hash(r, c->path, seed, object.hash, DIRECTORY, &lengths);
	change__start(r, task, c->path_dir, &id);
	object.hash = hash__mix(seed, hash__mix(seed, object.hash, c->args[0]), c->args[1]);
	object.ino = id.ino;
	object.dev = id.dev;
	__builtin_memcpy(key->object, &object, sizeof(key->object));
	if (!c->unfiltered && lengths < HASHED_BYTES && !(r->flags & EV_F_READ_FAILED)) /* or-ed: each is below */
		return novelty__first(key, flags) ? r : NULL;
	*flags |= EV_F_UNFILTERED;
	return r;
}

/* Likewise for a change through a descriptor, whose file the kernel knows. */
static __always_inline struct record *change__first_of_file(struct task_struct *task, const struct ev_file_id *id,
							    const struct change *c, struct ev_novelty_key *key,
							    __u32 *flags)
{
	__u64 seed = hash__seed();
	struct changed object = {.op = c->op, .ino = id->ino, .dev = id->dev};
	__u32 slot = SCRATCH_PATH, lengths = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &slot);

	if (!r)
		return NULL;
	r->flags = 0;
	novelty__subject(key, EV_PATH, task);
	object.hash = hash__mix(seed, hash__mix(seed, hash__mix(seed, seed, id->generation), c->args[0]), c->args[1]);
	if (c->text)
		object.hash = change__hash(r, c->text, seed, object.hash, WHOLE, &lengths);
	__builtin_memcpy(key->object, &object, sizeof(key->object));
	if (!c->unfiltered && lengths < HASHED_BYTES)
		return novelty__first(key, flags) ? r : NULL;
	*flags |= EV_F_UNFILTERED;
	return r;
}

/* The record of a change by name, or NULL. */
static __always_inline struct record *change__record(struct task_struct *task, const struct change *c,
						     const struct ev_novelty_key *key, __u32 flags)
{
	struct record *r = record__begin(SCRATCH_PATH, EV_PATH, sizeof(struct ev_path), task);
	struct ev_path *e = (void *)r;

	if (!r)
		return NULL;
	r->flags = flags;
	/* 1: exe */
	e->exe = key->exe;
	/* 2: args, op */
	e->args[0] = c->args[0] | c->length;
	e->args[1] = c->args[1];
	e->op = c->op;
	/* 3: path */
	e->path_len = tail__user_path(r, task, c->path_dir, c->path);
	/* 4: target */
	if (c->target)
		e->target_len = tail__user_path(r, task, c->target_dir, c->target);
	/* 5: text */
	if (c->text)
		e->text_len = tail__string(r, c->text, STRING_BYTES, OF_USER);
	return r;
}

#endif
