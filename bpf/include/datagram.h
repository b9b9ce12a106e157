/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 6: a datagram as it lies in the memory of the process that sends or receives it. */
#ifndef VEDETTE_DATAGRAM_H
#define VEDETTE_DATAGRAM_H

#include "caller.h"
#include "sockets.h"

#define SOCK_DGRAM 2

#if defined(__TARGET_ARCH_x86)
enum { NR_READ = 0, NR_WRITE = 1, NR_SENDTO = 44, NR_RECVFROM = 45, NR_SENDMSG = 46, NR_RECVMSG = 47 };
#elif defined(__TARGET_ARCH_arm64)
enum { NR_READ = 63, NR_WRITE = 64, NR_SENDTO = 206, NR_RECVFROM = 207, NR_SENDMSG = 211, NR_RECVMSG = 212 };
#endif

/* As processes lay them out. */
struct user_iovec { void *base; __u64 size; };
struct user_msghdr { void *name; __u32 name_size, pad; struct user_iovec *iov; __u64 iovs, control[2]; __u64 flags; };
struct user_mmsghdr { struct user_msghdr header; __u32 size, pad; };
_Static_assert(sizeof(struct user_mmsghdr) == 64, "the ABI's");

/* One datagram in a process's memory. `name` is an address it goes to or came from, NULL without one. */
struct datagram {
	const void *data, *name;
	__u32 size, name_size;
};

static __always_inline int datagram__of_header(const void *from, __u32 size, struct datagram *out)
{
	struct user_msghdr header;
	struct user_iovec iov;

	if (bpf_probe_read_user(&header, sizeof(header), from) || !header.iovs)
		return 0;
	if (bpf_probe_read_user(&iov, sizeof(iov), header.iov))
		return 0;
	*out = (struct datagram){iov.base, header.name, size < iov.size ? size : iov.size, header.name_size};
	return 1;
}

/* The datagram the current system call sends or receives; `size` is what the kernel took or gave. */
static __always_inline int datagram__of_call(__u32 size, struct datagram *out)
{
	switch (CALL_NUMBER(compat__user_regs())) {
	case NR_SENDTO:
	case NR_RECVFROM:
		out->name = (void *)task__syscall_arg(4);
		out->name_size = task__syscall_arg(5);
		/* fall through */
	case NR_READ:
	case NR_WRITE:
		out->data = (void *)task__syscall_arg(1);
		out->size = size;
		if (size > task__syscall_arg(2))
			out->size = task__syscall_arg(2);
		return 1;
	case NR_SENDMSG:
	case NR_RECVMSG:
		return datagram__of_header((void *)task__syscall_arg(1), size, out);
	}
	return 0; /* io_uring, 32-bit calls */
}

#endif
