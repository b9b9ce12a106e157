// SPDX-License-Identifier: Apache-2.0
/* rw_storm COUNT WORKERS: read one byte, write one byte. The cheapest calls there are, so the dearest for a sensor
 * that looks at every system call.
 */
#include "load.h"
#include <fcntl.h>

static void work(long count)
{
	int from = open("/dev/zero", O_RDONLY), to = open("/dev/null", O_WRONLY);
	char byte;

	for (long i = 0; i < count; i++)
		if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
			die("read or write");
	_exit(0);
}

int main(int argc, char **argv)
{
	long count = number(argc, argv, 1, 1000), workers = number(argc, argv, 2, 1);
	uint64_t begun = now_ns();

	for (long worker = 0; worker < workers; worker++)
		if (!fork())
			work(count / workers);
	return finish("rw", count / workers * workers, begun);
}
