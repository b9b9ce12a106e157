/* Makes system calls by name for the tests of calls; static, so it runs in any container.
 *   calls NAME ARG... [-- NAME ARG...]...
 * ARG: a number | s:TEXT its address | fd:PATH a descriptor, read-only | child a paused child's pid |
 * pidfd:PID | iov an iovec of a buffer every child has too | attr:TYPE[,CONFIG] type and config of perf_event_attr;
 * TYPE alone also begins bpf's attributes | b:HEX these bytes | zero 256 zeroed bytes | page a fresh page.
 * Status: 0, or errno of the first call that failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ENTRY(name) {#name, SYS_##name}
static const struct { const char *name; long number; } table[] = {
	ENTRY(setuid), ENTRY(setreuid), ENTRY(setresuid), ENTRY(setfsuid), ENTRY(setgid), ENTRY(setregid),
	ENTRY(setresgid), ENTRY(setfsgid), ENTRY(capset), ENTRY(setns), ENTRY(unshare), ENTRY(chroot), ENTRY(ptrace),
	ENTRY(process_vm_readv), ENTRY(process_vm_writev), ENTRY(bpf), ENTRY(perf_event_open), ENTRY(memfd_create),
	ENTRY(io_uring_setup), ENTRY(kill), ENTRY(tgkill), ENTRY(pidfd_send_signal), ENTRY(mmap), ENTRY(mprotect),
	ENTRY(pkey_mprotect), ENTRY(keyctl), ENTRY(add_key), ENTRY(request_key), ENTRY(userfaultfd), ENTRY(sethostname),
	ENTRY(getpid), ENTRY(wait4), ENTRY(init_module), ENTRY(delete_module), ENTRY(kexec_load),
};

static char shared[64];
static struct iovec iov = {shared, sizeof(shared)};

static int pid; /* of the child, where there is one */

static long child(void)
{
	if (!pid) {
		pid = fork();
		while (!pid)
			pause();
	}
	return pid;
}

static long attributes(const char *text)
{
	static union { struct perf_event_attr perf; unsigned int first[64]; } attr;
	char *rest;

	memset(&attr, 0, sizeof(attr));
	attr.first[0] = strtoul(text, &rest, 0);
	if (*rest == ',') {
		attr.perf.size = sizeof(attr.perf);
		attr.perf.config = strtoul(rest + 1, NULL, 0);
		attr.perf.exclude_kernel = 1;
	} else {
		attr.first[1] = 4; /* BPF_MAP_CREATE: key and value size, entries */
		attr.first[2] = 4;
		attr.first[3] = 1;
	}
	return (long)&attr;
}

static long bytes(const char *hex)
{
	size_t n = strlen(hex) / 2;
	char *out = malloc(n);

	for (size_t i = 0; i < n; i++)
		sscanf(hex + 2 * i, "%2hhx", (unsigned char *)out + i);
	return (long)out;
}

static long argument(char *text)
{
	static char zero[256];

	if (!strncmp(text, "s:", 2))
		return (long)(text + 2);
	if (!strncmp(text, "b:", 2))
		return bytes(text + 2);
	if (!strncmp(text, "fd:", 3))
		return open(text + 3, O_RDONLY);
	if (!strncmp(text, "pidfd:", 6))
		return syscall(SYS_pidfd_open, atoi(text + 6), 0);
	if (!strncmp(text, "attr:", 5))
		return attributes(text + 5);
	if (!strcmp(text, "child"))
		return child();
	if (!strcmp(text, "iov"))
		return (long)&iov;
	if (!strcmp(text, "zero"))
		return (long)zero;
	if (!strcmp(text, "page"))
		return (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return strtol(text, NULL, 0);
}

static int make(char **words, int n)
{
	long a[6] = {0};

	for (int i = 1; i < n && i <= 6; i++)
		a[i - 1] = argument(words[i]);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(table[i].name, words[0]))
			return syscall(table[i].number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0;
	return 255;
}

int main(int argc, char **argv)
{
	int begin = 1, failed = 0;

	for (int at = 1; at <= argc; at++)
		if (at == argc || !strcmp(argv[at], "--")) {
			int error = make(argv + begin, at - begin);

			failed = failed ? failed : error;
			begin = at + 1;
		}
	if (pid)
		kill(pid, SIGKILL);
	return failed;
}
