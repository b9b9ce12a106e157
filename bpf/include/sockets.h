/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rank 5: the two ends of a socket, from the kernel's own copy or from an address a process passed, and the
 * behaviour they are.
 */
#ifndef VEDETTE_SOCKETS_H
#define VEDETTE_SOCKETS_H

#include "emit.h"

#define AF_UNIX 1
#define AF_PACKET 17
#define IPPROTO_UDP 17
#define EPHEMERAL_PORT 32768 /* where the kernel begins to choose ports by default */
#define UNIX_NAME_BYTES 108  /* sizeof(sockaddr_un.sun_path) */
#define SOCK_RAW 3
#define SOCK_TYPE 0xf /* flags stand above */
#define V4_MAPPED 0xffff0000 /* third word of ::ffff:a.b.c.d as it lies in memory */

struct ends {
	__u8 local[16], peer[16];
	__u16 local_port, peer_port, family, protocol;
};

/* What makes a connection the same behaviour as an earlier one (ev_novelty_key.object): the peer,
 * and the port of the side that serves. `deed` sets apart what was done with other sockets.
 */
struct peer {
	__u8 addr[16];
	__u16 port, family, protocol, deed;
};
_Static_assert(sizeof(struct peer) == sizeof(((struct ev_novelty_key *)0)->object), "fills the object");

/* An address as it lies in memory, IPv4-mapped ones as plain IPv4; gives the family. */
static __always_inline __u16 address__plain(__u16 family, const __u32 words[4], __u8 out[16])
{
	__u32 plain[4] = {words[0], words[1], words[2], words[3]};

	if (family == AF_INET6 && !plain[0] && !plain[1] && plain[2] == V4_MAPPED) {
		plain[0] = plain[3];
		plain[2] = plain[3] = 0;
		family = AF_INET;
	}
	__builtin_memcpy(out, plain, sizeof(plain));
	return family;
}

/* Both ends of a socket; 0 where it is neither IPv4 nor IPv6. An IPv4 peer of a dual-stack socket is an IPv4 peer. */
static __always_inline int sock__ends(const struct sock *sk, struct ends *out)
{
	__u32 peer[4] = {}, local[4] = {};

	out->family = READ(sk, __sk_common.skc_family);
	out->protocol = READ(sk, sk_protocol);
	out->local_port = READ(sk, __sk_common.skc_num);
	out->peer_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	if (out->family == AF_INET) {
		peer[0] = READ(sk, __sk_common.skc_daddr);
		local[0] = READ(sk, __sk_common.skc_rcv_saddr);
	} else if (out->family == AF_INET6) {
		bpf_core_read(peer, sizeof(peer), &sk->__sk_common.skc_v6_daddr);
		bpf_core_read(local, sizeof(local), &sk->__sk_common.skc_v6_rcv_saddr);
	} else {
		return 0;
	}
	if (address__plain(out->family, peer, out->peer) == AF_INET) {
		/* both are of one kind; an unbound IPv6 socket's own address stays "none" */
		address__plain(out->family, local, out->local);
		out->family = AF_INET;
	} else {
		__builtin_memcpy(out->local, local, sizeof(local));
	}
	return 1;
}

/* An address a process passed (struct sockaddr, `size` bytes); 0 where it is neither IPv4 nor IPv6. */
static __always_inline int address__of_user(const void *from, __u32 size, __u8 addr[16], __u16 *port, __u16 *family)
{
	struct { __u16 family, port; __u32 v4; } start = {};
	__u32 words[4] = {};

	if (!from || size < 16 || bpf_probe_read_user(&start, sizeof(start), from))
		return 0;
	if (start.family == AF_INET)
		words[0] = start.v4;
	else if (start.family != AF_INET6 || size < 24 || bpf_probe_read_user(words, sizeof(words), from + 8))
		return 0;
	*port = __builtin_bswap16(start.port);
	*family = address__plain(start.family, words, addr);
	return 1;
}

/* The socket behind a descriptor of the current task; NULL where there is none. */
static __always_inline struct socket *fd__socket(struct task_struct *task, __u32 fd)
{
	struct file *file = task__file(task, fd);

	if ((READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	return compat__typed(struct socket, READ(file, private_data));
}

/* Ports the kernel chooses differ each time without meaning anything: they are one. */
static __always_inline __u16 port__known(__u16 port)
{
	return port < EPHEMERAL_PORT ? port : 0;
}

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } secret SEC(".maps");

/* A number nobody outside the kernel knows, the same until the programs are unloaded: no one can choose
 * two names that share a hash begun with it.
 */
static __always_inline __u64 hash__begin(void)
{
	__u32 zero = 0;
	__u64 *kept = bpf_map_lookup_elem(&secret, &zero);

	if (!kept)
		return 0;
	if (!*kept) /* no compare-and-swap before 5.12: two CPUs that meet here make a few names look new twice */
		*kept = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
	return *kept;
}

/* The finalizer of SplitMix64 over what came so far and one more word. */
static __always_inline __u64 hash__add(__u64 hash, __u64 word)
{
	hash ^= word;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
	return hash ^ (hash >> 31);
}

#endif
