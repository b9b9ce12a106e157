/* The same acts by other ways than a 64-bit system call: io_uring, and the 32-bit table (int $0x80). Linked to acts.c,
 * static, so at a fixed low address: what 32-bit calls point to must lie below 4 GiB.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRIES 4
#define PORT 4243

static struct {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
} uring;

static struct sockaddr_in peer = {.sin_family = AF_INET};

static unsigned *word(char *ring, unsigned at)
{
	return (unsigned *)(ring + at);
}

static int uring_open(void)
{
	struct io_uring_params *p = &uring.params;

	uring.fd = syscall(SYS_io_uring_setup, ENTRIES, p);
	if (uring.fd < 0)
		return 1;
	uring.sq = mmap(0, p->sq_off.array + p->sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, uring.fd, IORING_OFF_SQ_RING);
	uring.cq = mmap(0, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED,
			uring.fd, IORING_OFF_CQ_RING);
	uring.sqes = mmap(0, p->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, uring.fd,
			  IORING_OFF_SQES);
	return uring.sq == MAP_FAILED || uring.cq == MAP_FAILED || uring.sqes == MAP_FAILED;
}

/* One operation, done before it returns its result. `async`: by a worker thread of the kernel's. */
static int operate(int opcode, int fd, const void *addr, unsigned len, const void *addr2, unsigned flags, int async)
{
	struct io_uring_params *p = &uring.params;
	unsigned *tail = word(uring.sq, p->sq_off.tail), *head = word(uring.cq, p->cq_off.head), slot = *tail & (ENTRIES - 1);
	struct io_uring_cqe *cqes = (void *)(uring.cq + p->cq_off.cqes);
	struct io_uring_sqe sqe = {
		.opcode = opcode, .fd = fd, .addr = (long)addr, .len = len, .off = (long)addr2, .open_flags = flags,
		.flags = async ? IOSQE_ASYNC : 0,
	};

	uring.sqes[slot] = sqe;
	word(uring.sq, p->sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	while (__atomic_load_n(word(uring.cq, p->cq_off.tail), __ATOMIC_ACQUIRE) == *head)
		;
	int result = cqes[*head & *word(uring.cq, p->cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static int server(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (void *)at, sizeof(*at)) || listen(fd, 1) ? -1 : fd;
}

/* Give a connection to be taken by `taker`. */
static int offer(int (*taker)(int))
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = server(&at), pid, status, taken;

	if (listener < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&at, sizeof(at)) != 0);
	taken = taker(listener);
	return waitpid(pid, &status, 0) != pid || status || taken < 0 || close(taken) || close(listener);
}

static int take_by_uring(int listener)
{
	return operate(IORING_OP_ACCEPT, listener, NULL, 0, NULL, 0, 0);
}

/* What a kernel does not have yet fails there, and nothing else: checks.py knows which. */
int by_uring(void)
{
	int first, second;

	if (uring_open())
		return 1;
	first = operate(IORING_OP_OPENAT, AT_FDCWD, "uring-made", 0640, NULL, O_WRONLY | O_CREAT, 0);
	second = operate(IORING_OP_OPENAT, AT_FDCWD, "uring-async", 0640, NULL, O_WRONLY | O_CREAT, 1);
	if (first < 0 || second < 0)
		return 1;
	operate(IORING_OP_RENAMEAT, AT_FDCWD, "uring-made", AT_FDCWD, "uring-moved", 0, 0);
	operate(IORING_OP_UNLINKAT, AT_FDCWD, "uring-async", 0, NULL, 0, 0);
	operate(IORING_OP_MKDIRAT, AT_FDCWD, "uring-dir", 0750, NULL, 0, 0);
	peer.sin_port = htons(PORT);
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (operate(IORING_OP_CONNECT, socket(AF_INET, SOCK_DGRAM, 0), &peer, 0, (void *)sizeof(peer), 0, 0))
		return 2;
	return offer(take_by_uring);
}

static long call32(long number, const void *a, const void *b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static char made[] = "compat-made", moved[] = "compat-moved", here[] = ".", none[] = "compat-none", type[] = "vt-none";
static struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "compat-socket"};

static int by_compat_socket(void)
{
	long fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return call32(361, (void *)fd, &name, sizeof(name)) || call32(363, (void *)fd, (void *)1, 0); /* bind, listen */
}

static int by_compat_memory(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return page == MAP_FAILED || call32(125, page, (void *)4096, PROT_READ | PROT_WRITE | PROT_EXEC); /* mprotect */
}

/* Numbers of arch/x86/entry/syscalls/syscall_32.tbl. */
int by_compat(void)
{
	long fd = call32(5, made, (void *)(O_WRONLY | O_CREAT), 0640);

	if (fd < 0 || close(fd) || call32(15, made, (void *)0755, 0) || call32(212, made, (void *)0, 0))
		return 1; /* open, chmod, chown32 */
	if (call32(38, made, moved, 0) || call32(10, moved, NULL, 0))
		return 2; /* rename, unlink */
	call32(21, none, here, (long)type); /* mount: seen before it is refused */
	return by_compat_socket() || by_compat_memory();
}

#ifdef ALONE /* ways uring | ways compat, in the working directory: for tests without an emulator */
int main(int argc, char **argv)
{
	return argc == 2 && !strcmp(argv[1], "uring") ? by_uring() : by_compat();
}
#endif
