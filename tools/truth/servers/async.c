// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Proxies that do not wait: for each request the loop asks a server behind it by a connection that
 * it keeps, goes on with other events, and finishes the request when the answer has come.
 *
 * The second server answers after a while. Over unix sockets, where the messages can tell it for
 * which tenant it works, it is judged as well; over TCP it does nothing that could be.
 */
#define _GNU_SOURCE
#include "../servers.h"

#define LINES	 16   /* questions at a time: more than the clients have connections */
#define PAUSE_US 2000 /* the longest until an answer */

struct question {
	struct message request;
	unsigned int line;
	enum verdict verdict;
};

static struct {
	int way; /* the connection by which it asks */
	int client;
	bool asked;
	struct turn turn;
	struct message request;
} lines[LINES];

static bool judged;

static void *answers(void *way)
{
	struct question question;
	unsigned int seed = gettid();

	while (must(recv((long)way, &question, sizeof(question), MSG_WAITALL))) {
		struct turn turn;

		if (judged) {
			turn = begin(&question.request);
			burn(burnt[turn.tenant] / 4);
		}
		usleep(rand_r(&seed) % PAUSE_US);
		if (judged) {
			look(&turn, "before the answer");
			question.verdict = turn.verdict;
		}
		must(send((long)way, &question, sizeof(question), MSG_NOSIGNAL));
		if (judged)
			finish_part(&turn);
	}
	return NULL;
}

static bool asks(int fd)
{
	struct message request;
	struct question question = {};
	int line = 0;

	if (!take(fd, &request, 1))
		return false;
	while (lines[line].asked)
		if (++line == LINES)
			abort();
	tell(fd);
	lines[line].turn = begin(&request);
	lines[line].client = fd;
	lines[line].request = request;
	lines[line].asked = true;
	burn(burnt[lines[line].turn.tenant] / 2);
	look(&lines[line].turn, "before the question");
	question.request = request;
	question.line = line;
	must(send(lines[line].way, &question, sizeof(question), MSG_NOSIGNAL));
	leave(&lines[line].turn);
	tell(-1);
	return true;
}

static void hears(int way)
{
	struct question answers[LINES];
	int size = must(recv(way, answers, sizeof(answers), 0));

	if (!size || size % sizeof(*answers)) {
		fprintf(stderr, "an answer in pieces\n");
		_exit(1);
	}
	for (size_t i = 0; i < size / sizeof(*answers); i++) {
		unsigned int line = answers[i].line;
		struct turn *turn = &lines[line].turn;

		tell(lines[line].client);
		again(turn);
		worsen(turn, answers[i].verdict);
		look(turn, "after the answer");
		burn(burnt[turn->tenant] / 2);
		look(turn, "before the reply");
		must(send(lines[line].client, &lines[line].request, sizeof(struct message),
			  MSG_NOSIGNAL));
		finish(turn);
		tell(-1);
		lines[line].asked = false;
	}
}

static bool asks_or_hears(int fd)
{
	for (int i = 0; i < LINES; i++)
		if (lines[i].way == fd) {
			hears(fd);
			return true;
		}
	return asks(fd);
}

/* `count` connections, and a thread that answers for each line. */
static void proxy(int listener, int family, int count)
{
	struct place place;
	int other = listening_behind(family, &place), ways[LINES];

	judged = family == AF_UNIX;
	if (!must(fork())) {
		close(listener);
		for (int i = 0; i < count; i++)
			ways[i] = take_connection(other);
		for (int i = 0; i < LINES; i++)
			start(answers, (void *)(long)ways[i % count]);
		for (;;)
			pause();
	}
	for (int i = 0; i < count; i++) {
		ways[i] = connected_behind(&place);
		watch(ways[i]);
	}
	for (int i = 0; i < LINES; i++)
		lines[i].way = ways[i % count];
	loop(listener, MANY, asks_or_hears, NULL, NULL);
}

void async_tcp(int listener)
{
	proxy(listener, AF_INET, LINES);
}

void async_unix(int listener)
{
	proxy(listener, AF_UNIX, LINES);
}

void multiplexed_tcp(int listener)
{
	proxy(listener, AF_INET, 1);
}

void multiplexed_unix(int listener)
{
	proxy(listener, AF_UNIX, 1);
}
