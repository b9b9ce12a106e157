// SPDX-License-Identifier: Apache-2.0
/* call_loop COUNT CALL: the cost of one system call in a loop, for bench/dispatch.py. CALL is "getppid", which no
 * sensor watches, or "chroot", which fails at once for want of a name.
 */
#include "load.h"
#include <sys/syscall.h>

int main(int argc, char **argv)
{
	long count = number(argc, argv, 1, 1000000);
	long call = argc > 2 && !strcmp(argv[2], "chroot") ? SYS_chroot : SYS_getppid;
	uint64_t begun = now_ns();

	for (long i = 0; i < count; i++)
		syscall(call, 0);
	return finish("call", count, begun);
}
