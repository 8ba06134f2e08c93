// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Servers that know for which tenant they work:  server IDIOM ADDRESS S A B C
 *
 * S, A, B and C are the ids of the server's and the tenants' services. The idioms are functions in
 * servers/. Each calls begin() when it has a request in hand, which checks whether the thread's tag
 * agrees; the tag is checked again before the reply, and own() checks it during work that is no
 * request (judge.h).
 *
 * The server waits for a line on its standard input: until then it can be placed. Then it prints
 * "ready". For each further line it prints its counts as a line of JSON. At the end of its input it
 * ends with all its processes. With HINTS in its environment it tells /dev/vshint for which
 * connection it works.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include "servers.h"

static const struct {
	const char *name;
	void (*body)(int fd);
} idioms[] = {
	{ "one", one },
	{ "fork", fork_each },
	{ "prefork", prefork },
	{ "threads-read", threads_read },
	{ "pool-futex", pool_futex },
	{ "pool-pipe", pool_pipe },
	{ "pool-eventfd", pool_eventfd },
	{ "pool-unix", pool_unix },
	{ "pool-stream", pool_stream },
	{ "pool-sysv", pool_sysv },
	{ "pool-mq", pool_mq },
	{ "back-pipe", back_pipe },
	{ "back-event", back_event },
	{ "back-timer", back_timer },
	{ "back-processes", back_processes },
	{ "thread-cache", thread_cache },
	{ "epoll-1", epoll_1 },
	{ "epoll-2", epoll_2 },
	{ "epoll-64", epoll_64 },
	{ "epoll-before", epoll_before },
	{ "epoll-after", epoll_after },
	{ "epoll-timer", epoll_timer },
	{ "epoll-empty", epoll_empty },
	{ "sleep-after", sleep_after },
	{ "parts", parts },
	{ "late", late },
	{ "in-turns", in_turns },
	{ "datagrams", datagrams },
	{ "datagrams-3", datagrams_3 },
	{ "recvmmsg", datagrams_many },
	{ "passing", passing },
	{ "splice", splice_proxy },
	{ "asking", asking },
	{ "asking-two", asking_two },
	{ "asking-two-kept", asking_two_kept },
	{ "asking-two-messages", asking_two_messages },
	{ "async-tcp", async_tcp },
	{ "async-unix", async_unix },
	{ "few-tcp", few_tcp },
	{ "few-unix", few_unix },
	{ "multiplexed-tcp", multiplexed_tcp },
	{ "multiplexed-unix", multiplexed_unix },
	{ "io-uring", io_uring },
	{ "io-uring-deferred", io_uring_deferred },
};

static struct place place;

static int listening(void)
{
	int fd = must(socket(place.any.sa_family, place.type | SOCK_CLOEXEC, 0)), on = 1;

	if (place.any.sa_family == AF_UNIX)
		unlink(place.local.sun_path);
	else
		must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	must(bind(fd, &place.any, place.size));
	if (place.type == SOCK_STREAM)
		must(listen(fd, 128));
	return fd;
}

int main(int argc, char **argv)
{
	void (*body)(int fd) = NULL;
	char line[8];
	int fd;

	for (size_t i = 0; argc == 3 + 1 + TENANTS && i < sizeof(idioms) / sizeof(idioms[0]); i++)
		if (!strcmp(idioms[i].name, argv[1]))
			body = idioms[i].body;
	if (!body)
		return 2;
	if (getenv("HINTS"))
		hint = must(open("/dev/vshint", O_RDONLY | O_CLOEXEC));
	place = place_of(argv[2]);
	judge_opens(argv + 3);
	/* the server's processes end with it and leave no zombies, which would count as tasks */
	must(setpgid(0, 0));
	must(prctl(PR_SET_CHILD_SUBREAPER, 1));
	signal(SIGCHLD, SIG_IGN);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	fd = listening();
	if (!must(fork()))
		body(fd);
	close(fd);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		report();
	kill(0, SIGKILL);
	return 0;
}
