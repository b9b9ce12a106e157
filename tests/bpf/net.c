// SPDX-License-Identifier: Apache-2.0
/* Does one thing with a socket and ends: what the tests of the socket probes run in their containers. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_storage address;

static socklen_t internet(const char *text, const char *port)
{
	struct sockaddr_in *four = (void *)&address;
	struct sockaddr_in6 *six = (void *)&address;

	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(atoi(port));
		return sizeof(*four);
	}
	inet_pton(AF_INET6, text, &six->sin6_addr);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(atoi(port));
	return sizeof(*six);
}

/* A name that begins with @ is abstract. */
static socklen_t local(const char *name)
{
	struct sockaddr_un *un = (void *)&address;

	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, name);
	if (name[0] == '@')
		un->sun_path[0] = 0;
	return sizeof(un->sun_family) + strlen(name) + (name[0] != '@');
}

static int status(int result) { return result < 0 ? errno : 0; }

/* One question to a server without a connection, by sendto or sendmsg and recvmsg; gives the answer's size. */
static int ask(int fd, socklen_t size, int times)
{
	static const char question[] = "\1\2\1\0\0\1\0\0\0\0\0\0\4Raw1\7example\4test\0\0\1\0\1";
	char answer[512];
	struct iovec out = {(void *)question, sizeof(question) - 1}, in = {answer, sizeof(answer)};
	struct sockaddr_storage from;
	struct msghdr ask = {.msg_name = &address, .msg_namelen = size, .msg_iov = &out, .msg_iovlen = 1};
	struct msghdr hear = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &in, .msg_iovlen = 1};

	for (int i = 0; i < times; i++) {
		if ((i % 2 ? sendmsg(fd, &ask, 0) : sendto(fd, question, sizeof(question) - 1, 0, (void *)&address, size)) < 0)
			return errno;
		if (recvmsg(fd, &hear, 0) < 12)
			return errno;
	}
	return 0;
}

/* Look a name up as glibc does, and connect to what comes first; the failure of that is no failure. */
static int visit(const char *name, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;

	if (getaddrinfo(name, port, &hints, &found))
		return EHOSTUNREACH;
	for (; found; found = found->ai_next)
		connect(socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0), found->ai_addr, found->ai_addrlen);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	socklen_t size;
	int fd;

	if (!strcmp(what, "socket"))
		return status(socket(atoi(argv[2]), atoi(argv[3]), atoi(argv[4])));
	if (!strncmp(what, "unix", 4)) {
		size = local(argv[2]);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (!strcmp(what, "unix-connect"))
			return status(connect(fd, (void *)&address, size));
		if (bind(fd, (void *)&address, size) || listen(fd, 1))
			return errno;
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		return status(connect(fd, (void *)&address, size));
	}
	if (!strcmp(what, "visit"))
		return visit(argv[2], argv[3]);
	size = internet(argv[2], argv[3]);
	fd = socket(address.ss_family, strncmp(what, "tcp", 3) ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (!strcmp(what, "tcp-listen"))
		return bind(fd, (void *)&address, size) ? errno : status(listen(fd, 5));
	if (!strcmp(what, "tcp-connect") || !strcmp(what, "udp-connect"))
		return status(connect(fd, (void *)&address, size));
	if (!strcmp(what, "udp-bind"))
		return status(bind(fd, (void *)&address, size));
	if (!strcmp(what, "udp-send"))
		return status(sendto(fd, "x", 1, 0, (void *)&address, size));
	if (!strcmp(what, "ask"))
		return ask(fd, size, atoi(argv[4]));
	return EINVAL;
}
