// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A tenant's clients:  client PORT TENANT CONNECTIONS RATE SEED LOG [DYNAMIC PATH PATH]
 *
 * They ask RATE times a second, at instants that are random (Poisson) by SEED and the same in every
 * run, whether they are answered or not. A request that is due goes out by a free one of
 * CONNECTIONS; if none is free it waits, and its latency counts from the instant it was due. One
 * for which none was free for PATIENCE is given up. wrk and h2load begin the next request when the
 * last is answered, or count from the instant it is sent: they would ask less where they are served
 * badly, and hide how long a client waits.
 *
 * Without paths it asks the single-threaded server (server.c), by a new connection for each
 * request. With them it speaks HTTP to 127.0.0.1 by connections that are kept; DYNAMIC of 100
 * requests are for the second path.
 *
 * Once its connections stand it prints "ready" and the instant at which the first request is due,
 * in microseconds since the epoch. At SIGALRM it writes LOG and ends: a line for each
 * request that was due, `DUE_US END_US OUTCOME`, in microseconds since the epoch, where OUTCOME is
 * done, refused (the connection, or a status other than 200), late (given up) or open (at the end).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "work.h"

#define PATIENCE     2000000000L
#define CONNECTIONS  1024
#define REQUESTS     200000
#define ROOM	     65536
#define SIGNAL_EVENT CONNECTIONS

static struct {
	int64_t due, end;
	enum { OPEN, DONE, REFUSED, LATE } outcome;
} requests[REQUESTS];
static const char *const outcomes[] = { "open", "done", "refused", "late" };
static long due, sent; /* requests that have been due, and that have been begun or given up */

static struct {
	int fd;	      /* -1: none */
	long request; /* -1: free */
	size_t have;
	char buffer[ROOM]; /* what has come of the reply */
} connections[CONNECTIONS];
static int connection_count, epoll;

static struct sockaddr_in server = { .sin_family = AF_INET };
static char tenant;
static uint64_t seed;
static const char *paths[2]; /* none: the single-threaded server */
static int dynamic;

static void open_connection(int n)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = n };
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)), on = 1;

	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	/* over loopback it stands when the call returns, although that says otherwise */
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) && errno != EINPROGRESS)
		err(1, "connect");
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	connections[n].fd = fd;
	connections[n].request = -1;
	connections[n].have = 0;
}

static void close_connection(int n)
{
	must(close(connections[n].fd));
	connections[n].fd = -1;
	connections[n].request = -1;
	if (paths[0])
		open_connection(n);
}

static void finish(int n, int outcome)
{
	long request = connections[n].request;

	requests[request].outcome = outcome;
	requests[request].end = now(CLOCK_REALTIME);
	connections[n].request = -1;
	if (!paths[0] || outcome != DONE)
		close_connection(n);
}

static void begin(int n)
{
	char text[256];
	struct request request = { .tenant = tenant, .number = sent };
	const void *bytes = &request;
	size_t size = sizeof(request);

	if (paths[0]) {
		bool other = drawn(seed, tenant, sent) % 100 < (unsigned int)dynamic;

		size = snprintf(text, sizeof(text),
				"GET %s HTTP/1.1\r\nHost: %c\r\nAccept-Encoding: gzip\r\n\r\n",
				paths[other], tenant);
		bytes = text;
	} else {
		open_connection(n);
	}
	connections[n].request = sent++;
	connections[n].have = 0;
	if (send(connections[n].fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		finish(n, REFUSED);
}

/* Whether a whole reply is there; an outcome once it is. */
static int reply(int n)
{
	char *text = connections[n].buffer, *body, *length;
	size_t have = connections[n].have;

	if (!paths[0])
		return have < sizeof(struct request) ? OPEN : DONE;
	text[have] = 0;
	body = strstr(text, "\r\n\r\n");
	if (!body)
		return OPEN;
	length = strcasestr(text, "\r\nContent-Length: ");
	if (length && length < body) {
		if (have < body + 4 - text + strtoul(length + 18, NULL, 10))
			return OPEN;
	} else if (memcmp(text + have - 5, "0\r\n\r\n", 5)) { /* in chunks, the last is empty */
		return OPEN;
	}
	return strncmp(text, "HTTP/1.1 200 ", 13) ? REFUSED : DONE;
}

static void readable(int n)
{
	size_t have = connections[n].have;
	ssize_t more = recv(connections[n].fd, connections[n].buffer + have, ROOM - 1 - have, 0);
	int outcome;

	if (more < 0 && errno == EAGAIN)
		return;
	if (more <= 0) {
		if (connections[n].request >= 0)
			finish(n, REFUSED);
		else
			close_connection(n);
		return;
	}
	connections[n].have += more;
	if (connections[n].request < 0)
		errx(1, "a reply to no request");
	outcome = reply(n);
	if (outcome != OPEN)
		finish(n, outcome);
}

static void write_log(const char *path)
{
	FILE *log = fopen(path, "w");

	if (!log)
		err(1, "%s", path);
	for (long i = 0; i < due; i++)
		fprintf(log, "%ld %ld %s\n", requests[i].due / 1000, requests[i].end / 1000,
			outcomes[requests[i].outcome]);
	if (fclose(log))
		err(1, "%s", path);
}

/* Gives up what waits for too long, and begins what can be begun. */
static void move_on(int64_t at)
{
	for (; sent < due && at - requests[sent].due > PATIENCE; sent++) {
		requests[sent].outcome = LATE;
		requests[sent].end = at;
	}
	for (int n = 0; n < connection_count && sent < due; n++)
		if (connections[n].request < 0)
			begin(n);
}

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = SIGNAL_EVENT };
	int64_t next;
	double mean;
	sigset_t set;

	if (argc != 7 && argc != 10)
		errx(2, "client PORT TENANT CONNECTIONS RATE SEED LOG [DYNAMIC PATH PATH]");
	server.sin_port = htons(atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tenant = *argv[2];
	connection_count = atoi(argv[3]);
	mean = 1e9 / atof(argv[4]);
	seed = strtoull(argv[5], NULL, 10);
	if (connection_count < 1 || connection_count > CONNECTIONS || !(mean > 0))
		errx(2, "no such number of connections, or no such rate");
	if (argc == 10) {
		dynamic = atoi(argv[7]);
		paths[0] = argv[8];
		paths[1] = argv[9];
	}
	must(sigemptyset(&set));
	must(sigaddset(&set, SIGALRM));
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	epoll = must(epoll_create1(0));
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, must(signalfd(-1, &set, 0)), &event));
	for (int n = 0; n < connection_count; n++) {
		connections[n].fd = connections[n].request = -1;
		if (paths[0])
			open_connection(n);
	}
	next = now(CLOCK_REALTIME);
	printf("ready %ld\n", next / 1000);
	fflush(stdout);
	for (;;) {
		struct epoll_event events[64];
		int64_t at = now(CLOCK_REALTIME);
		struct timespec wait = {};
		int count;

		for (; next <= at; due++) {
			double uniform;

			if (due == REQUESTS)
				errx(1, "more than %d requests", REQUESTS);
			requests[due].due = next;
			/* in (0, 1], of other draws than those that choose the work */
			uniform = ((drawn(~seed, tenant, due) >> 11) + 1) * 0x1p-53;
			next += (int64_t)(-log(uniform) * mean);
		}
		move_on(at);
		at = next - now(CLOCK_REALTIME);
		if (at > 0) {
			wait.tv_sec = at / 1000000000;
			wait.tv_nsec = at % 1000000000;
		}
		count = must(epoll_pwait2(epoll, events, 64, &wait, NULL));
		for (int i = 0; i < count; i++) {
			if (events[i].data.u32 == SIGNAL_EVENT) {
				write_log(argv[6]);
				return 0;
			}
			if (connections[events[i].data.u32].fd >= 0)
				readable(events[i].data.u32);
		}
	}
}
