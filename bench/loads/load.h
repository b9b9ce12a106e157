/* SPDX-License-Identifier: Apache-2.0 */
/* What every load shares: workers, a steady rate, and one line of JSON at the end. */
#ifndef VEDETTE_LOAD_H
#define VEDETTE_LOAD_H

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what)
{
	perror(what);
	_exit(1);
}

static inline long number(int argc, char **argv, int at, long otherwise)
{
	return argc > at ? atol(argv[at]) : otherwise;
}

/* Let operation `done` begin when a steady `rate` a second would; 0 is as fast as can be. Operations are
 * let go in bursts of one millisecond.
 */
static inline void keep_rate(uint64_t begun, long done, double rate)
{
	uint64_t due, now;

	if (rate <= 0)
		return;
	due = begun + (uint64_t)((double)done * 1000.0 / rate) * 1000000u;
	while ((now = now_ns()) < due) {
		uint64_t left = due - now;
		struct timespec t = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};

		nanosleep(&t, NULL);
	}
}

/* Wait for every child and tell the result; the exit status of main. */
static inline int finish(const char *name, long operations, uint64_t begun)
{
	int status, failed = 0;

	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		return 1;
	printf("{\"load\":\"%s\",\"operations\":%ld,\"wall_s\":%.6f}\n", name, operations,
	       (double)(now_ns() - begun) / 1e9);
	return 0;
}

#endif
