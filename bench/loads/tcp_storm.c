// SPDX-License-Identifier: Apache-2.0
/* tcp_storm COUNT PAIRS PORT [RATE]: connect, accept, one byte there and back, close, over loopback. Pair n uses
 * port PORT + n.
 */
#include "load.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static int listener(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 256))
		die("listen");
	return fd;
}

static void serve(int fd, long count)
{
	char byte;

	for (long i = 0; i < count; i++) {
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (peer < 0 || read(peer, &byte, 1) != 1 || write(peer, &byte, 1) != 1)
			die("serve");
		close(peer);
	}
	_exit(0);
}

static void ask(int port, long count, uint64_t begun, double rate)
{
	struct sockaddr_in address = loopback(port);
	struct linger reset = {1, 0}; /* no TIME_WAIT: ports would run out */
	char byte = 'x';

	for (long i = 0; i < count; i++) {
		int fd;

		keep_rate(begun, i, rate);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) || write(fd, &byte, 1) != 1 ||
		    read(fd, &byte, 1) != 1)
			die("ask");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	long count = number(argc, argv, 1, 1000), pairs = number(argc, argv, 2, 1), share = count / pairs;
	int port = (int)number(argc, argv, 3, 17001), listeners[64];
	double rate = (double)number(argc, argv, 4, 0) / (double)pairs;
	uint64_t begun;

	if (pairs < 1 || pairs > 64)
		return 2;
	for (int pair = 0; pair < pairs; pair++)
		listeners[pair] = listener(port + pair);
	begun = now_ns();
	for (int pair = 0; pair < pairs; pair++) {
		if (!fork())
			serve(listeners[pair], share);
		if (!fork())
			ask(port + pair, share, begun, rate);
	}
	return finish("tcp", share * pairs, begun);
}
