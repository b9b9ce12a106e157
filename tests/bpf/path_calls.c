/* Make system calls exactly as told, one after the other, in one process:
 *   path_calls NAME ARG… [-- NAME ARG…]…
 * ARG: a number (0x… for hexadecimal), =TEXT for a string, @PATH for a descriptor of PATH opened with O_PATH,
 * +PATH for one opened for reading and writing, made if absent, ? for the result of the call before, ?? of the
 * one before that and so on. In a string, \HH is the byte with that
 * hexadecimal value. Prints each result, or minus the error, on a line of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct { const char *name; long number; } known[] = {
	{"renameat", SYS_renameat}, {"renameat2", SYS_renameat2}, {"linkat", SYS_linkat}, {"symlinkat", SYS_symlinkat},
	{"unlinkat", SYS_unlinkat}, {"mkdirat", SYS_mkdirat}, {"mknodat", SYS_mknodat}, {"truncate", SYS_truncate},
	{"ftruncate", SYS_ftruncate}, {"fchown", SYS_fchown}, {"fchownat", SYS_fchownat}, {"setxattr", SYS_setxattr},
	{"lsetxattr", SYS_lsetxattr}, {"fsetxattr", SYS_fsetxattr}, {"mount", SYS_mount}, {"umount2", SYS_umount2},
	{"pivot_root", SYS_pivot_root}, {"chdir", SYS_chdir}, {"chroot", SYS_chroot}, {"openat", SYS_openat},
	{"fsopen", 430}, {"fsconfig", 431}, {"fsmount", 432}, {"open_tree", 428}, {"move_mount", 429},
#ifdef SYS_rename
	{"rename", SYS_rename}, {"link", SYS_link}, {"symlink", SYS_symlink}, {"unlink", SYS_unlink},
	{"rmdir", SYS_rmdir}, {"mkdir", SYS_mkdir}, {"mknod", SYS_mknod}, {"chown", SYS_chown}, {"lchown", SYS_lchown},
#endif
};

static char *unescaped(char *text)
{
	char *to = text, *from = text, hex[3] = "";

	for (; *from; from++) {
		if (*from == '\\') {
			memcpy(hex, from + 1, 2);
			*to++ = strtol(hex, NULL, 16);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
	return text;
}

static long results[256], calls;

static long value(char *arg)
{
	if (*arg == '?')
		return results[(calls - strlen(arg)) & 255];
	if (*arg == '=')
		return (long)unescaped(arg + 1);
	if (*arg == '@')
		return open(unescaped(arg + 1), O_PATH | O_CLOEXEC);
	if (*arg == '+')
		return open(unescaped(arg + 1), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return strtol(arg, NULL, 0);
}

static long number(const char *name)
{
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].number;
	fprintf(stderr, "no such call: %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		long call = number(argv[i++]), args[6] = {}, result;

		for (int n = 0; i < argc && strcmp(argv[i], "--"); i++)
			args[n++ % 6] = value(argv[i]);
		result = syscall(call, args[0], args[1], args[2], args[3], args[4], args[5]);
		results[calls++ & 255] = result;
		printf("%ld\n", result < 0 ? (long)-errno : result);
	}
	return 0;
}
