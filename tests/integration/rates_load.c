// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* A small server's load, and four kinds of abuse on top of it. Static, so that it runs in an empty container. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void nap(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};

	nanosleep(&t, NULL);
}

static int dial(const char *host, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, host, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void write_file(const char *path, size_t size)
{
	static char block[1 << 16];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, block, size) < 0)
		perror(path);
	close(fd);
}

static void benign(const char *host, int port, double until)
{
	char block[2048] = {}, path[64];

	for (int i = 0; now() < until; i++) {
		int fd = dial(host, port);

		if (fd >= 0) {
			send(fd, block, sizeof(block), MSG_NOSIGNAL);
			recv(fd, block, sizeof(block), 0);
			close(fd);
		}
		snprintf(path, sizeof(path), "/data/cache-%d", i % 3);
		write_file(path, 512);
		if (i % 5 == 0 && !fork()) {
			execl("/bin/load", "load", "nothing", NULL);
			_exit(1);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		nap(0.05);
	}
}

static void scan(const char *host, double until)
{
	for (int port = 1; now() < until; port = port % 60000 + 1) {
		int fd = dial(host, port);

		if (fd >= 0)
			close(fd);
		nap(0.001);
	}
}

static void leak(const char *host, int port, double until)
{
	static char block[1 << 16];
	int fd = dial(host, port);

	while (fd >= 0 && now() < until && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		continue;
	close(fd);
}

static void encrypt(double until)
{
	char path[64], locked[128];

	srand(getpid());
	for (int i = 0; now() < until; i++) {
		snprintf(path, sizeof(path), "/data/file-%d", i);
		write_file(path, 16384);
		snprintf(locked, sizeof(locked), "/data/%08x%08x%08x.locked", rand(), rand(), rand());
		rename(path, locked);
		nap(0.001);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double until = now() + (argc > 2 ? atof(argv[2]) : 0);

	mkdir("/data", 0755);
	if (!strcmp(what, "benign"))
		benign(argv[3], atoi(argv[4]), until);
	else if (!strcmp(what, "mine") && fork() >= 0) /* two of them, one for each core there is at least */
		for (volatile unsigned long n = 0; n % 4096 || now() < until; n++)
			continue;
	else if (!strcmp(what, "scan"))
		scan(argv[3], until);
	else if (!strcmp(what, "leak"))
		leak(argv[3], atoi(argv[4]), until);
	else if (!strcmp(what, "encrypt"))
		encrypt(until);
	return 0;
}
