// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Measures the time of system calls: calls KIND ROUNDS REPEATS
 *
 * Prints a line for each repeat and each figure of the kind: `NAME NANOSECONDS`,
 * the mean of a round. In virtual time these are instructions. With REPEATS 0 it
 * makes ROUNDS rounds to warm up, then SPANS more, each between two marks for
 * trace.c.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPANS 5

static const char *self;
/* the parts of a connection */
static struct {
	const char *name;
	long spent;
} parts[] = {
	{ "connect", 0 }, { "accept", 0 }, { "send", 0 }, { "recv", 0 }, { "close", 0 },
};
enum { CONNECT, ACCEPT, SEND, RECV, CLOSE, PARTS };
static int server, one, other; /* a listener; the ends of a connection */
static union {
	struct sockaddr any;
	struct sockaddr_in tcp;
	struct sockaddr_un local;
} address;
static socklen_t address_len;

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* Ends the program if a call has failed. */
static int must(int result)
{
	if (result < 0)
		err(1, "a system call");
	return result;
}

static void do_getppid(void)
{
	syscall(SYS_getppid);
}

static void do_open(void)
{
	must(close(must(open("/", O_RDONLY))));
}

static void do_stat(void)
{
	struct stat found;

	must(stat("/", &found));
}

static void do_pipe(void)
{
	int ends[2];

	must(pipe(ends));
	must(close(ends[0]));
	must(close(ends[1]));
}

static void do_socket(void)
{
	must(close(must(socket(AF_INET, SOCK_STREAM, 0))));
}

static void do_socketpair(void)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	must(close(ends[0]));
	must(close(ends[1]));
}

static void do_fork(void)
{
	pid_t child = must(fork());

	if (!child)
		_exit(0);
	must(waitpid(child, NULL, 0));
}

static void do_exec(void)
{
	pid_t child = must(fork());

	if (!child) {
		execl(self, self, (char *)NULL);
		_exit(1);
	}
	must(waitpid(child, NULL, 0));
}

static void listen_tcp(void)
{
	address.tcp = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	address_len = sizeof(address.tcp);
	server = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(server, &address.any, address_len));
	must(getsockname(server, &address.any, &address_len));
	must(listen(server, 8));
}

static void listen_unix(void)
{
	address.local = (struct sockaddr_un){ .sun_family = AF_UNIX };
	address_len = sizeof(sa_family_t);
	server = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(bind(server, &address.any, address_len)); /* the kernel chooses a free abstract name */
	address_len = sizeof(address);
	must(getsockname(server, &address.any, &address_len));
	must(listen(server, 8));
}

static void byte(int from, int to)
{
	char c = 0;

	must(send(from, &c, 1, 0));
	must(recv(to, &c, 1, 0));
}

/* A client connects and sends a byte, the server takes both; one process is both. */
static void do_connection(void)
{
	struct linger reset = { .l_onoff = 1 }; /* nothing is left in TIME_WAIT */
	int client = must(socket(address.any.sa_family, SOCK_STREAM, 0)), conn;
	long start;
	char c = 0;

	must(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	start = now();
	must(connect(client, &address.any, address_len));
	parts[CONNECT].spent += now() - start;
	start = now();
	conn = must(accept(server, NULL, NULL));
	parts[ACCEPT].spent += now() - start;
	start = now();
	must(send(client, &c, 1, 0));
	parts[SEND].spent += now() - start;
	start = now();
	must(recv(conn, &c, 1, 0));
	parts[RECV].spent += now() - start;
	must(close(client));
	start = now();
	must(close(conn));
	parts[CLOSE].spent += now() - start;
}

static void connected_tcp(void)
{
	int on = 1;

	listen_tcp();
	one = must(socket(AF_INET, SOCK_STREAM, 0));
	must(connect(one, &address.any, address_len));
	other = must(accept(server, NULL, NULL));
	must(setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	must(setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

static void connected_unix(void)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	one = ends[0];
	other = ends[1];
}

static void connected_udp(void)
{
	listen_tcp(); /* for the address: its port is as free for UDP */
	other = must(socket(AF_INET, SOCK_DGRAM, 0));
	must(bind(other, &address.any, address_len));
	one = must(socket(AF_INET, SOCK_DGRAM, 0));
	must(connect(one, &address.any, address_len));
}

static void connected_pipe(void)
{
	int ends[2];

	must(pipe(ends));
	one = ends[1];
	other = ends[0];
}

static void do_byte(void)
{
	byte(one, other);
}

static void do_pipe_byte(void)
{
	char c = 0;

	must(write(one, &c, 1));
	must(read(other, &c, 1));
}

/* There and back, so that acknowledgements travel with data. */
static void do_bytes(void)
{
	byte(one, other);
	byte(other, one);
}

static const struct {
	const char *name;
	void (*prepare)(void);
	void (*once)(void);
} kinds[] = {
	{ "getppid", NULL, do_getppid },
	{ "stat", NULL, do_stat },
	{ "open", NULL, do_open },
	{ "pipe", NULL, do_pipe },
	{ "socket", NULL, do_socket },
	{ "socketpair", NULL, do_socketpair },
	{ "fork", NULL, do_fork },
	{ "exec", NULL, do_exec },
	{ "tcp", listen_tcp, do_connection },
	{ "unix", listen_unix, do_connection },
	{ "tcp-bytes", connected_tcp, do_bytes },
	{ "unix-byte", connected_unix, do_byte },
	{ "udp-byte", connected_udp, do_byte },
	{ "pipe-byte", connected_pipe, do_pipe_byte },
};

/* An instruction that does nothing and is found nowhere else. */
static void mark(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 'v', 's', 'v', 's'" ::: "memory");
}

int main(int count, char **words)
{
	int rounds, repeats, n;
	size_t k;

	if (count == 1)
		return 0; /* do_exec() executes this program */
	if (count != 4)
		errx(2, "calls KIND ROUNDS REPEATS");
	self = words[0];
	rounds = atoi(words[2]);
	repeats = atoi(words[3]);
	for (k = 0; k < sizeof(kinds) / sizeof(*kinds) && strcmp(kinds[k].name, words[1]); k++)
		;
	if (k == sizeof(kinds) / sizeof(*kinds) || rounds < 1)
		errx(2, "there is no kind %s", words[1]);
	if (kinds[k].prepare)
		kinds[k].prepare();
	for (n = 0; n < rounds; n++)
		kinds[k].once();
	for (n = 0; !repeats && n < SPANS; n++) {
		mark();
		kinds[k].once();
		mark();
	}
	while (repeats-- > 0) {
		long start;
		int part;

		for (part = 0; part < PARTS; part++)
			parts[part].spent = 0;
		start = now();
		for (n = 0; n < rounds; n++)
			kinds[k].once();
		printf("%s %.1f\n", words[1], (double)(now() - start) / rounds);
		for (part = 0; part < PARTS; part++)
			if (parts[part].spent)
				printf("%s-%s %.1f\n", words[1], parts[part].name,
				       (double)parts[part].spent / rounds);
	}
	return 0;
}
