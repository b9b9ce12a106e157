// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The novelty filter as user space sees it: read in batches, only what grew handed on, cold and due
 * behaviours let go. Beside each key it keeps the count last read and when it last grew, under a 64-bit
 * hash of the key: 24 bytes a behaviour. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../include/events.h"

#define BATCH 4096
#define IDLE_MAX 4095 /* seconds; longer is the same */
#define ONCE_S 60     /* seen once only counts as unused for so much longer: a flood must not push out what is used */
#define COLDEST (IDLE_MAX + ONCE_S)

struct known {
	uint64_t hash; /* 0: free */
	uint64_t count;
	uint32_t grown_s, pass; /* when it last grew; the pass that last found it */
};

struct vedette_row {
	struct ev_novelty_key key;
	uint64_t count;
	uint32_t gone; /* enum gone */
	uint32_t pad;
};
_Static_assert(sizeof(struct vedette_row) == 72, "agent/source/filter.py unpacks it");

enum gone { STAYS, REARMED, EVICTED };

struct vedette_filter {
	int fd, cpus;
	uint32_t used, slots; /* of the table; slots is a power of two, at least twice the filter's entries */
	uint32_t passes;
	struct known *table;
	uint64_t seed;
	uint32_t colder[COLDEST + 1]; /* how many behaviours are how cold */
	struct ev_novelty_key *keys;         /* of one batch */
	uint64_t *values;
};

/* What one pass is to do. phases 0: re-arm nothing; else a behaviour is due in one phase of so many.
 * programs: re-arm, too, all behaviours with the cgroup, program and type of one of these. coldest: let
 * go of those at least so cold, at most `evict` of them. */
struct vedette_pass {
	uint32_t now_s, phase, phases, coldest, evict;
	const struct ev_novelty_key *programs;
	uint32_t n_programs;
};

static uint64_t hash_key(const struct vedette_filter *f, const struct ev_novelty_key *key)
{
	uint64_t words[sizeof(*key) / 8], hash = f->seed;

	memcpy(words, key, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / 8; i++) {
		hash = (hash ^ words[i]) * 0x9fb21c651e98df25;
		hash ^= hash >> 29;
	}
	hash ^= hash >> 32;
	return hash ? hash : 1;
}

static struct known *find(struct known *table, uint32_t slots, uint64_t hash)
{
	uint32_t at = hash & (slots - 1);

	while (table[at].hash && table[at].hash != hash)
		at = (at + 1) & (slots - 1);
	return &table[at];
}

/* Keep only what was found by the pass `since` or later. */
static int compact(struct vedette_filter *f, uint32_t since)
{
	struct known *fresh = calloc(f->slots, sizeof(*fresh));
	uint32_t used = 0;

	if (!fresh)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->slots; i++)
		if (f->table[i].hash && f->table[i].pass >= since) {
			*find(fresh, f->slots, f->table[i].hash) = f->table[i];
			used++;
		}
	free(f->table);
	f->table = fresh;
	f->used = used;
	return 0;
}

void vedette_filter_free(struct vedette_filter *f)
{
	free(f->table);
	free(f->keys);
	free(f->values);
	free(f);
}

struct vedette_filter *vedette_filter_new(int map_fd, uint32_t entries, int cpus, uint64_t seed)
{
	struct vedette_filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fd = map_fd;
	f->cpus = cpus;
	f->seed = seed;
	for (f->slots = 4 * BATCH; f->slots < 2 * entries;)
		f->slots *= 2;
	f->table = calloc(f->slots, sizeof(*f->table));
	f->keys = calloc(BATCH, sizeof(*f->keys));
	f->values = calloc((size_t)BATCH * cpus, sizeof(*f->values));
	if (f->table && f->keys && f->values)
		return f;
	vedette_filter_free(f);
	return NULL;
}

static uint64_t sum(const uint64_t *values, int n)
{
	uint64_t total = 0;

	for (int i = 0; i < n; i++)
		total += values[i];
	return total;
}

/* Take a behaviour out; its count at that moment where the kernel gives it (5.14), else as it was read. */
static int let_go(struct vedette_filter *f, const struct ev_novelty_key *key, uint64_t *count)
{
	uint64_t values[f->cpus];

	if (!bpf_map_lookup_and_delete_elem(f->fd, key, values)) {
		*count = sum(values, f->cpus);
		return 1;
	}
	return errno != ENOENT && !bpf_map_delete_elem(f->fd, key);
}

static uint32_t coldness(const struct known *known, uint32_t now_s)
{
	uint32_t idle = now_s - known->grown_s;

	return (idle < IDLE_MAX ? idle : IDLE_MAX) + (known->count <= 1 ? ONCE_S : 0);
}

static int is_of(const struct vedette_pass *pass, const struct ev_novelty_key *key)
{
	for (uint32_t i = 0; i < pass->n_programs; i++) {
		const struct ev_novelty_key *of = &pass->programs[i];

		if (key->cgroup_id == of->cgroup_id && key->type == of->type && !memcmp(&key->exe, &of->exe, sizeof(key->exe)))
			return 1;
	}
	return 0;
}

/* One behaviour: what is known of it now, and whether the caller should hear of it. */
static int visit(struct vedette_filter *f, struct vedette_pass *pass, struct vedette_row *row)
{
	uint64_t hash = hash_key(f, &row->key);
	struct known *known = find(f->table, f->slots, hash);
	int grew = !known->hash || known->count != row->count;

	f->used += !known->hash;
	known->hash = hash;
	known->pass = f->passes;
	if (grew)
		known->grown_s = pass->now_s;
	known->count = row->count;
	row->gone = STAYS;
	if ((pass->phases && hash % pass->phases == pass->phase) || is_of(pass, &row->key))
		row->gone = REARMED;
	else if (pass->evict && coldness(known, pass->now_s) >= pass->coldest)
		row->gone = EVICTED;
	if (row->gone && !let_go(f, &row->key, &row->count))
		row->gone = STAYS;
	if (row->gone == EVICTED)
		pass->evict--;
	if (row->gone)
		known->pass = known->count = 0;
	else
		f->colder[coldness(known, pass->now_s)]++;
	return grew || row->gone;
}

/* One pass over the filter. Writes at most `room` rows and says how many; how many behaviours stay in
 * *stay. Negative errno on failure. */
long vedette_filter_pass(struct vedette_filter *f, struct vedette_pass *pass, struct vedette_row *rows, uint32_t room,
			 uint32_t *stay)
{
	uint64_t place = 0;
	uint32_t n = 0;
	int more = 1, first = 1;

	*stay = 0;
	if (f->used > f->slots / 2 && compact(f, f->passes))
		return -ENOMEM;
	f->passes++;
	memset(f->colder, 0, sizeof(f->colder));
	while (more) {
		uint32_t count = BATCH;
		int error = bpf_map_lookup_batch(f->fd, first ? NULL : &place, &place, f->keys, f->values, &count, NULL);

		if (error && error != -ENOENT)
			return error;
		first = 0;
		more = !error;
		if (n + count > room)
			return -ENOSPC; /* cannot happen: there is room for every entry of the filter */
		/* Nearly all were replaced since the last pass. What this one forgets looks as if it had grown. */
		if (f->used + count > f->slots / 8 * 7 && compact(f, f->passes))
			return -ENOMEM;
		for (uint32_t i = 0; i < count; i++) {
			struct vedette_row *row = &rows[n];

			row->key = f->keys[i];
			row->count = sum(&f->values[(size_t)i * f->cpus], f->cpus);
			n += visit(f, pass, row);
			*stay += !row->gone;
		}
	}
	return n;
}

/* How cold a behaviour must be to be among the `n` coldest, after a pass. */
uint32_t vedette_filter_coldest(const struct vedette_filter *f, uint32_t n)
{
	uint32_t at = COLDEST;

	for (uint64_t colder = f->colder[at]; at > 0 && colder < n; colder += f->colder[at])
		at--;
	return at;
}
