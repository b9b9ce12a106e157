// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The ring drain: copies records, back to back, into one buffer of the caller's. Python calls it
 * through cffi, which lets go of the interpreter lock meanwhile. */
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define RECORD_MAX 8192 /* no record is longer: RECORD_MASK in bpf/include/maps.h */
#define LOG_MAX 65536
#define MESSAGE_MAX (LOG_MAX / 8)

struct vedette_ring {
	struct ring_buffer *buffer;
	char *out;
	size_t used, room;
	unsigned int records, oversized;
};

static int copy_record(void *ctx, void *data, size_t size)
{
	struct vedette_ring *ring = ctx;

	if (size > RECORD_MAX || size > ring->room - ring->used) {
		ring->oversized++; /* cannot happen: there is always room for the longest record */
		return 0;
	}
	memcpy(ring->out + ring->used, data, size);
	ring->used += size;
	ring->records++;
	/* libbpf counts this record as consumed even where the callback says stop, so copy first. */
	return ring->room - ring->used < RECORD_MAX ? -ENOBUFS : 0;
}

struct vedette_ring *vedette_ring_new(int map_fd)
{
	struct vedette_ring *ring = calloc(1, sizeof(*ring));

	if (ring)
		ring->buffer = ring_buffer__new(map_fd, copy_record, ring, NULL);
	if (ring && ring->buffer)
		return ring;
	free(ring);
	return NULL;
}

/* Wait up to timeout_ms for a record, let more gather for pause_us, then copy what is there into
 * out, as far as it has room. Gives the number of bytes, negative errno on failure. */
long vedette_ring_read(struct vedette_ring *ring, char *out, size_t room, int timeout_ms, long pause_us,
		       unsigned int *records)
{
	struct timespec pause = {.tv_nsec = pause_us * 1000};
	struct epoll_event event;
	int n = epoll_wait(ring_buffer__epoll_fd(ring->buffer), &event, 1, timeout_ms);

	*records = 0;
	if (n <= 0)
		return n < 0 && errno != EINTR ? -errno : 0;
	if (pause_us)
		nanosleep(&pause, NULL);
	ring->out = out;
	ring->room = room;
	ring->used = ring->records = 0;
	n = ring_buffer__consume(ring->buffer);
	*records = ring->records;
	return n < 0 && n != -ENOBUFS ? n : (long)ring->used;
}

void vedette_ring_free(struct vedette_ring *ring)
{
	ring_buffer__free(ring->buffer);
	free(ring);
}

static char log_text[LOG_MAX]; /* one for the process, as libbpf has one print function */
static size_t log_used;

/* libbpf's messages, kept for the error a failed load is reported with. A verifier's log can be
 * longer than everything else together, and its end is what says why. */
static int keep_message(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t room = LOG_MAX - 1 - log_used;
	char *whole, *from;
	int n;

	if (level == LIBBPF_DEBUG || (n = vasprintf(&whole, format, args)) < 0)
		return 0;
	from = n > MESSAGE_MAX ? whole + n - MESSAGE_MAX : whole;
	log_used += stpncpy(log_text + log_used, from, room) - (log_text + log_used);
	log_text[log_used] = 0;
	free(whole);
	return n;
}

void vedette_log_start(void)
{
	log_used = log_text[0] = 0;
	libbpf_set_print(keep_message);
}

const char *vedette_log(void)
{
	return log_text;
}
