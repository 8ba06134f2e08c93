// SPDX-License-Identifier: MIT OR Apache-2.0
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include "../../uapi/vs_hint.h"
#include "serve.h"

int hint = -1;

void tell(int fd)
{
	if (hint >= 0)
		must(fd < 0 ? ioctl(hint, VS_HINT_DONE, 0) : ioctl(hint, VS_HINT_SERVES, fd));
}

int take_connection(int listener)
{
	return must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

int take(int fd, struct message *requests, int room)
{
	ssize_t size = must(recv(fd, requests, room * sizeof(*requests), 0));

	if (size % sizeof(*requests)) {
		fprintf(stderr, "a request in pieces\n");
		_exit(1);
	}
	return size / sizeof(*requests);
}

void serve(int fd, const struct message *request)
{
	struct turn turn;

	tell(fd);
	turn = work(request);
	must(send(fd, request, sizeof(*request), MSG_NOSIGNAL));
	finish(&turn);
	tell(-1);
}

bool serve_some(int fd)
{
	struct message requests[MANY];
	int count = take(fd, requests, MANY);

	for (int i = 0; i < count; i++)
		serve(fd, &requests[i]);
	return count;
}

void serve_connection(int fd)
{
	while (serve_some(fd))
		;
	close(fd);
}

void start(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, argument))
		abort();
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct item items[1024];
	unsigned int first, last, waiting;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER };

#define ITEMS (sizeof(queue.items) / sizeof(queue.items[0]))

void push(struct item item)
{
	pthread_mutex_lock(&queue.lock);
	queue.items[queue.last++ % ITEMS] = item;
	pthread_cond_signal(&queue.filled);
	pthread_mutex_unlock(&queue.lock);
}

struct item pop(void)
{
	struct item item;

	pthread_mutex_lock(&queue.lock);
	queue.waiting++;
	while (queue.first == queue.last)
		pthread_cond_wait(&queue.filled, &queue.lock);
	queue.waiting--;
	item = queue.items[queue.first++ % ITEMS];
	pthread_mutex_unlock(&queue.lock);
	return item;
}

bool any_idle(void)
{
	return __atomic_load_n(&queue.waiting, __ATOMIC_RELAXED);
}

static int epoll = -1;

void watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll < 0)
		epoll = must(epoll_create1(EPOLL_CLOEXEC));
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/*
 * A worker can still be in the system call that has sent the last reply. Then the connection lives
 * on after close(), and would have more events.
 */
static void forget(int fd)
{
	must(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	close(fd);
}

void loop(int listener, int at_once, bool (*serves)(int fd), void (*before)(void),
	  void (*after)(void))
{
	struct epoll_event events[MANY];

	watch(listener);
	for (;;) {
		int count = must(epoll_wait(epoll, events, at_once, -1));

		if (before)
			before();
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				watch(take_connection(listener));
			else if (!serves(fd))
				forget(fd);
		}
		if (after)
			after();
	}
}

int listening_behind(int family, struct place *place)
{
	int fd = must(socket(family, SOCK_STREAM, 0));
	socklen_t size = sizeof(sa_family_t); /* the kernel chooses a name */

	*place = (struct place){ .type = SOCK_STREAM, .any.sa_family = family };
	if (family == AF_INET) {
		size = sizeof(place->inet);
		place->inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	must(bind(fd, &place->any, size));
	must(listen(fd, MANY));
	place->size = sizeof(place->local);
	must(getsockname(fd, &place->any, &place->size));
	return fd;
}

int connected_behind(const struct place *place)
{
	int fd = must(socket(place->any.sa_family, SOCK_STREAM, 0));

	must(connect(fd, &place->any, place->size));
	return fd;
}

void *echo(void *fd)
{
	struct message message;

	while (must(recv((long)fd, &message, sizeof(message), MSG_WAITALL)))
		must(send((long)fd, &message, sizeof(message), MSG_NOSIGNAL));
	return NULL;
}
