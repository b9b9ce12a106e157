/* What the container in suite.py does, one act of each kind; static, it is the only file there.
 *   acts            everything below; the status is the number of the act that failed, 0 when all went well
 *   acts exit CODE  end with this status
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPEATS 500 /* by each of two processes: see KNOWN in suite.py */
#define PORT 4242
#define DIRECTORIES 100

int by_uring(void), by_compat(void); /* ways.c */

static int touch(const char *path, int flags)
{
	int fd = open(path, flags, 0640);

	return fd < 0 || close(fd);
}

static int run(int (*child)(void))
{
	int status, pid = fork();

	if (pid == 0)
		_exit(child());
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : WEXITSTATUS(status);
}

static int repeat(void)
{
	for (int i = 0; i < REPEATS; i++)
		if (touch("known", O_WRONLY | O_CREAT))
			return 1;
	return 0;
}

static int two_writers(void)
{
	int pid = fork(), status;

	if (pid == 0)
		_exit(repeat());
	return repeat() || waitpid(pid, &status, 0) != pid || status;
}

static int exec_self(void)
{
	char *argv[] = {"acts", "exit", "7", "zwei Wörter", NULL}, *none[] = {NULL};

	execve("/bin/acts", argv, none);
	return 127;
}

static int converse(int family, const void *address, socklen_t length)
{
	int server = socket(family, SOCK_STREAM, 0), pid, status, taken;

	if (server < 0 || bind(server, address, length) || listen(server, 1))
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(connect(socket(family, SOCK_STREAM, 0), address, length) != 0);
	taken = accept(server, NULL, NULL);
	return taken < 0 || waitpid(pid, &status, 0) != pid || status || close(taken) || close(server);
}

static int converse_v4(void)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return converse(AF_INET, &v4, sizeof(v4));
}

static int converse_v6(void)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	return converse(AF_INET6, &v6, sizeof(v6));
}

/* A DNS question (www.example A) to nobody, and memory that can be written and run. */
static int ask(void)
{
	static const char question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\0\0\1\0";
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return sendto(socket(AF_INET, SOCK_DGRAM, 0), question, sizeof(question), 0, (void *)&to, sizeof(to)) < 0;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

/* A name in each of many directories, by two processes at once: news each time, so each is written out whole. */
static int many(const char *prefix)
{
	char path[64];

	for (int i = 0; i < DIRECTORIES; i++) {
		snprintf(path, sizeof(path), "%s-%d", prefix, i);
		if (mkdir(path, 0700))
			return 1;
		snprintf(path, sizeof(path), "%s-%d/%s-%d", prefix, i, prefix, i);
		if (mkdir(path, 0700))
			return 1;
	}
	return 0;
}

static int two_builders(void)
{
	int pid = fork(), status;

	if (pid == 0)
		_exit(many("left"));
	return many("right") || waitpid(pid, &status, 0) != pid || status;
}

/* Through a symbolic link, which the kernel follows; and one that fails. */
static int by_detour(void)
{
	if (symlink(".", "here") || mkdir("here/found", 0700) || mkdir("full", 0700) || mkdir("full/inner", 0700))
		return 1;
	return rmdir("full") == 0 || rmdir("found") != 0;
}

/* In a directory of its own: elsewhere the same changes are known by now. */
static int within(const char *directory, int (*acts)(void))
{
	return mkdir(directory, 0700) || chdir(directory) || acts() || chdir("..");
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (chdir("/tmp") || touch("made", O_WRONLY | O_CREAT | O_TRUNC))
		return 1;
	if (touch("/etc/hostname", O_RDONLY))
		return 2;
	if (chmod("made", 0755))
		return 3;
	if (two_writers())
		return 4;
	if (run(exec_self) != 7)
		return 5;
	if (converse_v4() || converse_v6())
		return 6;
	if (rename("made", "moved") || link("moved", "linked") || symlink("moved", "pointer") || unlink("linked"))
		return 7;
	if (ask())
		return 8;
	if (map_code() || memfd_create("vt-kernels", 0) < 0)
		return 9;
	if (by_detour())
		return 10;
	if (two_builders())
		return 11;
	if (within("uring", by_uring))
		return 12;
	if (within("compat", by_compat))
		return 13;
	if (setresuid(65534, 65534, 65534))
		return 14;
	return 0;
}
