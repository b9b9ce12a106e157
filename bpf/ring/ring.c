// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The drain of both rings: copies records, back to back and in the order of their times, into one buffer
 * of the caller's. Python calls it through cffi, which lets go of the interpreter lock meanwhile.
 *
 * Order: a record's time is taken before it is put into its ring, so when both rings were emptied after
 * the moment T, everything older than T (and not just being written) is here, and only that is handed out, merged by time. So of one
 * thread's records none overtakes another, whichever ring they took. What is younger waits for the next
 * call, which then does not block.
 */
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "../include/events.h"

#define RECORD_MAX 8192 /* no record is longer: RECORD_MASK in bpf/include/maps.h */
#define LANE_BYTES (128 * 1024)
#define LANES 2 /* the flood, the urgent: the latter is emptied last, so that no exec comes after its opens */
#define SETTLE_NS 200000 /* a record being written hides those behind it: longer than any write takes */
#define LOG_MAX 65536
#define MESSAGE_MAX (LOG_MAX / 8)

struct lane {
	struct ring_buffer *buffer;
	char *bytes;
	size_t begin, end; /* records in bytes not handed out yet */
	int is_full;       /* the ring has more than the lane had room for */
};

struct vedette_ring {
	struct lane lanes[LANES];
	int epoll;
};

static struct ev_head head_at(const struct lane *lane, size_t at)
{
	struct ev_head head;

	memcpy(&head, lane->bytes + at, sizeof(head));
	return head;
}

static int copy_record(void *ctx, void *data, size_t size)
{
	struct lane *lane = ctx;

	if (size > RECORD_MAX || size < sizeof(struct ev_head))
		return 0; /* cannot happen: every record begins with a head and fits its scratch buffer */
	memcpy(lane->bytes + lane->end, data, size);
	lane->end += size;
	/* libbpf counts this record as consumed even where the callback says stop, so copy first. */
	lane->is_full = LANE_BYTES - lane->end < RECORD_MAX;
	return lane->is_full ? -ENOBUFS : 0;
}

static int lane_open(struct lane *lane, int map_fd, int epoll)
{
	struct epoll_event event = {.events = EPOLLIN};

	lane->bytes = malloc(LANE_BYTES);
	lane->buffer = lane->bytes ? ring_buffer__new(map_fd, copy_record, lane, NULL) : NULL;
	return lane->buffer ? epoll_ctl(epoll, EPOLL_CTL_ADD, ring_buffer__epoll_fd(lane->buffer), &event) : -1;
}

void vedette_ring_free(struct vedette_ring *ring)
{
	for (int i = 0; i < LANES; i++) {
		ring_buffer__free(ring->lanes[i].buffer);
		free(ring->lanes[i].bytes);
	}
	if (ring->epoll >= 0)
		close(ring->epoll);
	free(ring);
}

struct vedette_ring *vedette_ring_new(int flood_fd, int urgent_fd)
{
	struct vedette_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ring->epoll >= 0 && !lane_open(&ring->lanes[0], flood_fd, ring->epoll) &&
	    !lane_open(&ring->lanes[1], urgent_fd, ring->epoll))
		return ring;
	vedette_ring_free(ring);
	return NULL;
}

/* Move what is left to the front and add what the ring has, as far as there is room. */
static int lane_fill(struct lane *lane)
{
	int n;

	memmove(lane->bytes, lane->bytes + lane->begin, lane->end - lane->begin);
	lane->end -= lane->begin;
	lane->begin = 0;
	lane->is_full = LANE_BYTES - lane->end < RECORD_MAX;
	if (lane->is_full)
		return 0;
	n = ring_buffer__consume(lane->buffer);
	return n < 0 && n != -ENOBUFS ? n : 0;
}

/* The time up to which everything of a lane has arrived. */
static uint64_t lane_known_until(const struct lane *lane, uint64_t now)
{
	uint64_t newest = 0;

	if (!lane->is_full)
		return now;
	for (size_t at = lane->begin; at < lane->end;) {
		struct ev_head head = head_at(lane, at);

		newest = head.time_ns > newest ? head.time_ns : newest;
		at += head.size;
	}
	return newest < now ? newest : now;
}

/* The lane whose next record is older; NULL where none is old enough. */
static struct lane *older(struct vedette_ring *ring, uint64_t until, struct ev_head *out)
{
	struct lane *found = NULL;

	out->time_ns = until;
	for (int i = LANES - 1; i >= 0; i--) {
		struct lane *lane = &ring->lanes[i];
		struct ev_head head;

		if (lane->begin == lane->end)
			continue;
		head = head_at(lane, lane->begin);
		if (head.time_ns > out->time_ns || (found && head.time_ns == out->time_ns))
			continue;
		*out = head;
		found = lane;
	}
	return found;
}

static size_t merge(struct vedette_ring *ring, char *out, size_t room, uint64_t until, unsigned int *records)
{
	struct ev_head head;
	struct lane *lane;
	size_t used = 0;

	while ((lane = older(ring, until, &head)) && head.size <= room - used) {
		memcpy(out + used, lane->bytes + lane->begin, head.size);
		lane->begin += head.size;
		used += head.size;
		++*records;
	}
	return used;
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int is_waiting(const struct vedette_ring *ring)
{
	for (int i = 0; i < LANES; i++)
		if (ring->lanes[i].begin < ring->lanes[i].end || ring->lanes[i].is_full)
			return 1;
	return 0;
}

/* Wait up to timeout_ms for a record, let more gather for pause_us, then copy what is there into
 * out, as far as it has room. Gives the number of bytes, negative errno on failure. */
long vedette_ring_read(struct vedette_ring *ring, char *out, size_t room, int timeout_ms, long pause_us,
		       unsigned int *records)
{
	struct timespec pause = {.tv_nsec = pause_us * 1000};
	struct epoll_event events[LANES];
	int waiting = is_waiting(ring), n = epoll_wait(ring->epoll, events, LANES, waiting ? 0 : timeout_ms);
	uint64_t now, until;

	*records = 0;
	if (n < 0 && errno != EINTR)
		return -errno;
	if (n <= 0 && !waiting)
		return 0;
	if (pause_us)
		nanosleep(&pause, NULL);
	until = now = boot_ns() - SETTLE_NS;
	for (int i = 0; i < LANES; i++) {
		uint64_t known;

		n = lane_fill(&ring->lanes[i]);
		if (n < 0)
			return n;
		known = lane_known_until(&ring->lanes[i], now);
		until = known < until ? known : until;
	}
	return merge(ring, out, room, until, records);
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
