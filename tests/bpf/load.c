/* Loads for the live tests. Built once per session; static, so it runs in a container too.
 *   load execs N PROGRAM        fork and exec PROGRAM N times, one after the other
 *   load opens N DIR FILES      open FILES files of DIR for writing, N times in all
 *   load exit CODE | load kill SIGNAL
 *   load memfd                  exec itself from a memfd, as `memfd-payload exit 7`
 *   load file FLAGS PATH        open(PATH, FLAGS, 0640) and close
 *   load openat2 DIR NAME [RESOLVE]  openat2 relative to DIR, for writing, creating; RESOLVE_* as a number
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int execs(int n, char *program)
{
	char *argv[] = {program, "one two", "drei", NULL}, *none[] = {NULL};

	for (int i = 0; i < n; i++) {
		int status, pid = fork();

		if (pid == 0) {
			execve(program, argv, none);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 1;
	}
	return 0;
}

static int opens(int n, const char *directory, int files)
{
	char path[512];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/f%d", directory, i % files);
		int fd = open(path, O_WRONLY | O_CREAT, 0600);

		if (fd < 0 || close(fd))
			return 1;
	}
	return 0;
}

static int memfd(void)
{
	char *argv[] = {"memfd-payload", "exit", "7", NULL}, *none[] = {NULL};
	int self = open("/proc/self/exe", O_RDONLY), fd = memfd_create("vt-payload", 0);
	struct stat st;

	if (self < 0 || fd < 0 || fstat(self, &st) || sendfile(fd, self, NULL, st.st_size) != st.st_size)
		return 1;
	fexecve(fd, argv, none);
	return 1;
}

static int open_relative(const char *directory, const char *name, const char *resolve)
{
	struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 0600, .resolve = strtol(resolve, NULL, 0)};
	int dir = open(directory, O_PATH | O_DIRECTORY);

	return dir < 0 || syscall(SYS_openat2, dir, name, &how, sizeof(how)) < 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "execs"))
		return execs(atoi(argv[2]), argv[3]);
	if (argc == 5 && !strcmp(argv[1], "opens"))
		return opens(atoi(argv[2]), argv[3], atoi(argv[4]));
	if (argc == 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "kill"))
		return raise(atoi(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "memfd"))
		return memfd();
	if (argc == 4 && !strcmp(argv[1], "file"))
		return open(argv[3], strtol(argv[2], NULL, 0), 0640) < 0;
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "openat2"))
		return open_relative(argv[2], argv[3], argc == 5 ? argv[4] : "0");
	return 2;
}
