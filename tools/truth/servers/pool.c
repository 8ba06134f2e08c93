// SPDX-License-Identifier: MIT OR Apache-2.0
/* Pools: a loop reads requests and hands them to threads, which reply. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
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

/* Messages of System V and of POSIX. */
struct letter {
	long type;
	struct item item;
};

static int letters;
static mqd_t mail;

static void *letter_worker(void *unused)
{
	struct letter letter;

	for (;;) {
		must(msgrcv(letters, &letter, sizeof(letter.item), 0, 0));
		serve(letter.item.fd, &letter.item.request);
	}
	return unused;
}

static void *mail_worker(void *unused)
{
	struct item item;

	for (;;) {
		must(mq_receive(mail, (char *)&item, sizeof(item), NULL));
		serve(item.fd, &item.request);
	}
	return unused;
}

static bool hand_over(int fd, void (*give)(struct item))
{
	struct item item = { .fd = fd };
	int count = take(fd, &item.request, 1);

	if (count) {
		struct turn part = { .tenant = item.request.tenant - 'a' };

		again(&part);
		give(item);
		/* a thread that gives hints says nothing here, and works for the server */
		if (hint < 0)
			finish_part(&part);
	}
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

static void give_letter(struct item item)
{
	struct letter letter = { .type = 1, .item = item };

	must(msgsnd(letters, &letter, sizeof(letter.item), 0));
}

static void give_mail(struct item item)
{
	must(mq_send(mail, (char *)&item, sizeof(item), 0));
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

static bool to_letter(int fd)
{
	return hand_over(fd, give_letter);
}

static bool to_mail(int fd)
{
	return hand_over(fd, give_mail);
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

void pool_sysv(int listener)
{
	/* the queue ends with the namespace, and that with the server */
	must(unshare(CLONE_NEWIPC));
	letters = must(msgget(IPC_PRIVATE, 0600));
	pool(listener, letter_worker, to_letter);
}

void pool_mq(int listener)
{
	struct mq_attr size = { .mq_maxmsg = 10, .mq_msgsize = sizeof(struct item) };

	must(unshare(CLONE_NEWIPC));
	mail = must(mq_open("/truth", O_RDWR | O_CREAT, 0600, &size));
	pool(listener, mail_worker, to_mail);
}
