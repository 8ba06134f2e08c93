// SPDX-License-Identifier: MIT OR Apache-2.0
/* Pools: a loop reads requests and hands them to threads, which reply. */
#include <sys/eventfd.h>
#include "../servers.h"

static int hand[2], event;

static void *futex_worker(void *unused)
{
	for (;;) {
		struct item item = pop();

		serve(item.fd, &item.request);
	}
	return unused;
}

static void *hand_worker(void *unused)
{
	struct item item;

	for (;;) {
		must(read(hand[0], &item, sizeof(item)));
		serve(item.fd, &item.request);
	}
	return unused;
}

/* The eventfd counts the items of the queue, so no thread waits for the futex. */
static void *event_worker(void *unused)
{
	uint64_t number;

	for (;;) {
		must(read(event, &number, sizeof(number)));
		struct item item = pop();

		serve(item.fd, &item.request);
	}
	return unused;
}

static bool hand_over(int fd, void (*give)(struct item))
{
	struct item item = { .fd = fd };
	int count = take(fd, &item.request, 1);

	if (count)
		give(item);
	return count;
}

static void give_hand(struct item item)
{
	must(write(hand[1], &item, sizeof(item)));
}

static void give_event(struct item item)
{
	uint64_t number = 1;

	push(item);
	must(write(event, &number, sizeof(number)));
}

static bool to_futex(int fd)
{
	return hand_over(fd, push);
}

static bool to_hand(int fd)
{
	return hand_over(fd, give_hand);
}

static bool to_event(int fd)
{
	return hand_over(fd, give_event);
}

static void pool(int listener, void *(*worker)(void *), bool (*serves)(int))
{
	for (int i = 0; i < THREADS; i++)
		start(worker, NULL);
	loop(listener, MANY, serves, NULL, NULL);
}

void pool_futex(int listener)
{
	pool(listener, futex_worker, to_futex);
}

void pool_pipe(int listener)
{
	must(pipe(hand));
	pool(listener, hand_worker, to_hand);
}

void pool_unix(int listener)
{
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, hand));
	pool(listener, hand_worker, to_hand);
}

void pool_stream(int listener)
{
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, hand));
	pool(listener, hand_worker, to_hand);
}

void pool_eventfd(int listener)
{
	event = must(eventfd(0, EFD_SEMAPHORE));
	pool(listener, event_worker, to_event);
}
