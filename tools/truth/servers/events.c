// SPDX-License-Identifier: MIT OR Apache-2.0
/* Event loops. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include "../servers.h"

void epoll_1(int listener)
{
	loop(listener, 1, serve_some, NULL, NULL);
}

void epoll_2(int listener)
{
	loop(listener, 2, serve_some, NULL, NULL);
}

void epoll_64(int listener)
{
	loop(listener, MANY, serve_some, NULL, NULL);
}

static void after_wait(void)
{
	own("own work after the wait");
}

void epoll_before(int listener)
{
	loop(listener, MANY, serve_some, after_wait, NULL);
}

static void after_round(void)
{
	own("own work before the wait");
}

void epoll_after(int listener)
{
	loop(listener, MANY, serve_some, NULL, after_round);
}

/* A timer goes off between requests. */
static int timer;

static bool serve_or_time(int fd)
{
	uint64_t count;

	if (fd != timer)
		return serve_some(fd);
	must(read(timer, &count, sizeof(count)));
	own("own work at a timer");
	return true;
}

void epoll_timer(int listener)
{
	const struct timespec often = { .tv_nsec = 2000 * US };
	struct itimerspec when = { .it_interval = often, .it_value = often };

	timer = must(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	must(timerfd_settime(timer, 0, &when, NULL));
	watch(timer);
	loop(listener, MANY, serve_or_time, NULL, NULL);
}

/* Reads all that a connection has, until it finds nothing more, and works then. */
static bool empty_and_serve(int fd)
{
	struct message requests[MANY];
	size_t have = 0;
	ssize_t size;

	while ((size = recv(fd, (char *)requests + have, sizeof(requests) - have, MSG_DONTWAIT)) >
	       0)
		have += size;
	if (size && errno != EAGAIN)
		must(size);
	for (size_t i = 0; i < have / sizeof(*requests); i++)
		serve(fd, &requests[i]);
	return size;
}

void epoll_empty(int listener)
{
	loop(listener, MANY, empty_and_serve, NULL, NULL);
}

/* Returns how often the calling thread has slept. */
static long sleeps(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw;
}

static bool serve_and_sleep(int fd)
{
	struct timespec pause = { .tv_nsec = 200 * US };
	bool served = serve_some(fd);
	long slept = sleeps();

	if (served) {
		nanosleep(&pause, NULL);
		/* the timer can go off before the thread is off the CPU: then it has not slept */
		if (sleeps() > slept)
			own("after the reply and a sleep");
	}
	return served;
}

void sleep_after(int listener)
{
	loop(listener, MANY, serve_and_sleep, NULL, NULL);
}

/* Replies in parts, and works on each part after the one before it was sent. */
static bool serve_in_parts(int fd)
{
	const int parts = 4;
	struct message request;
	struct turn turn;

	if (!take(fd, &request, 1))
		return false;
	turn = begin(&request);
	for (int i = 0; i < parts; i++) {
		burn(burnt[turn.tenant] / parts);
		look(&turn, i ? "between the parts" : "before the reply");
		must(send(fd, (char *)&request + i * sizeof(request) / parts,
			  sizeof(request) / parts, MSG_NOSIGNAL));
	}
	finish(&turn);
	return true;
}

void parts(int listener)
{
	loop(listener, MANY, serve_in_parts, NULL, after_round);
}

/* The requests of a round are all read first, then worked on in turns, then answered. */
static struct item slices[MANY];
static int nr_slices;

static bool keep(int fd)
{
	struct item item = { .fd = fd };
	int count = take(fd, &item.request, 1);

	if (count)
		slices[nr_slices++] = item;
	return count;
}

static void work_in_turns(void)
{
	struct turn turns[MANY];

	for (int half = 0; half < 2; half++)
		for (int i = 0; i < nr_slices; i++) {
			tell(slices[i].fd);
			if (half) {
				again(&turns[i]);
				look(&turns[i], "in turns");
			} else {
				turns[i] = begin(&slices[i].request);
			}
			burn(burnt[turns[i].tenant] / 2);
			leave(&turns[i]);
		}
	for (int i = 0; i < nr_slices; i++) {
		tell(slices[i].fd);
		again(&turns[i]);
		must(send(slices[i].fd, &slices[i].request, sizeof(struct message), MSG_NOSIGNAL));
		finish(&turns[i]);
	}
	nr_slices = 0;
	tell(-1);
}

void in_turns(int listener)
{
	loop(listener, MANY, keep, NULL, work_in_turns);
}

/* The requests of a round are worked on as they are read, and answered at its end. */
static struct turn worked_on[MANY];

static bool work_now(int fd)
{
	struct item item = { .fd = fd };
	int count = take(fd, &item.request, 1);

	if (count) {
		worked_on[nr_slices] = work(&item.request);
		leave(&worked_on[nr_slices]);
		slices[nr_slices++] = item;
	}
	return count;
}

static void answer_late(void)
{
	for (int i = 0; i < nr_slices; i++) {
		again(&worked_on[i]);
		must(send(slices[i].fd, &slices[i].request, sizeof(struct message), MSG_NOSIGNAL));
		finish(&worked_on[i]);
	}
	nr_slices = 0;
	own("own work after the late replies");
}

void late(int listener)
{
	loop(listener, MANY, work_now, NULL, answer_late);
}
