// SPDX-License-Identifier: Apache-2.0
/* open_storm COUNT WORKERS DIRECTORY FILES [RATE]: open, read 64 bytes, close, over files everyone knows. */
#include "load.h"
#include <fcntl.h>
#include <sys/stat.h>

#define NAME_BYTES 256

static void make(const char *name)
{
	char content[128];
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	memset(content, 'x', sizeof(content));
	if (fd < 0 || write(fd, content, sizeof(content)) != sizeof(content))
		die(name);
	close(fd);
}

static void work(char (*names)[NAME_BYTES], long files, long first, long count, uint64_t begun, double rate)
{
	char content[64];

	for (long i = 0; i < count; i++) {
		int fd;

		keep_rate(begun, i, rate);
		fd = open(names[(i + first) % files], O_RDONLY);
		if (fd < 0 || read(fd, content, sizeof(content)) != sizeof(content))
			die("open");
		close(fd);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	long count = number(argc, argv, 1, 1000), workers = number(argc, argv, 2, 1), files = number(argc, argv, 4, 64);
	double rate = (double)number(argc, argv, 5, 0) / (double)workers;
	char(*names)[NAME_BYTES] = calloc((size_t)files, NAME_BYTES);
	uint64_t begun;

	if (argc < 5 || !names)
		return 2;
	mkdir(argv[3], 0755);
	for (long i = 0; i < files; i++) {
		snprintf(names[i], NAME_BYTES, "%s/f%04ld", argv[3], i);
		if (access(names[i], R_OK))
			make(names[i]);
	}
	begun = now_ns();
	for (long worker = 0; worker < workers; worker++)
		if (!fork())
			work(names, files, worker, count / workers, begun, rate);
	return finish("open", count / workers * workers, begun);
}
