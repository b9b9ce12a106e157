/* Does what no shell can, for acts.py; static, so it runs in any container.
 *   act packet            a packet socket
 *   act unix PATH         listen on a unix socket and connect to it
 *   act capability FILE   give a file a capability
 *   act memfd FILE ARG... run a copy of FILE from memory, as ARG...
 *   act memory            a file without a name
 *   act regain            give up root and take it back
 *   act vanish FILE       delete FILE: run as FILE itself, a program that deletes itself
 *   act reach read|write PID   one byte of another process, at an address it does not have
 *   act call NUMBER [A [B [C [D [E [F]]]]]]   any system call, by numbers
 * Status: 0, or errno. The acts that fail by design are asked for all the same: the sensor sees the attempt.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static int status(long result)
{
	return result < 0 ? errno : 0;
}

static int converse(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	unlink(path);
	if (bind(server, (void *)&address, sizeof(address)) || listen(server, 1))
		return errno;
	return status(connect(client, (void *)&address, sizeof(address)));
}

static int give_capability(const char *path)
{
	unsigned int data[5] = {0x02000000, 1 << 13, 0, 0, 0}; /* VFS_CAP_REVISION_2, CAP_NET_RAW permitted */

	return status(setxattr(path, "security.capability", data, sizeof(data), 0));
}

static int run_from_memory(char **argv)
{
	extern char **environ;
	int from = open(argv[0], O_RDONLY), memory = memfd_create("x", MFD_CLOEXEC);
	struct stat size;

	if (from < 0 || memory < 0 || fstat(from, &size) || sendfile(memory, from, NULL, size.st_size) != size.st_size)
		return errno;
	close(from);
	fexecve(memory, argv + 1, environ);
	return errno;
}

static int reach(int writes, int pid)
{
	char byte = 0;
	struct iovec here = {&byte, 1}, there = {(void *)16, 1};

	return status(writes ? process_vm_writev(pid, &here, 1, &there, 1, 0) : process_vm_readv(pid, &here, 1, &there, 1, 0));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long a[7] = {0};

	if (!strcmp(what, "packet"))
		return status(socket(AF_PACKET, SOCK_RAW, 0));
	if (!strcmp(what, "unix") && argc > 2)
		return converse(argv[2]);
	if (!strcmp(what, "capability") && argc > 2)
		return give_capability(argv[2]);
	if (!strcmp(what, "memfd") && argc > 3)
		return run_from_memory(argv + 2);
	if (!strcmp(what, "memory"))
		return status(memfd_create("x", 0));
	if (!strcmp(what, "regain"))
		return setresuid(1000, 1000, 0) ? errno : status(setuid(0)) ?: status(setresuid(0, 0, 0));
	if (!strcmp(what, "vanish") && argc > 2)
		return status(unlink(argv[2]));
	if (!strcmp(what, "reach") && argc > 3)
		return reach(!strcmp(argv[2], "write"), atoi(argv[3]));
	if (strcmp(what, "call") || argc < 3)
		return EINVAL;
	for (int i = 2; i < argc && i < 9; i++)
		a[i - 2] = strtol(argv[i], NULL, 0);
	return status(syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]));
}
