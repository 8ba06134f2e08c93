// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Proxies that do not wait: for each request the loop asks a server behind it by a connection that
 * it keeps, goes on with other events, and finishes the request when the answer has come. With
 * fewer connections than requests, it asks at the end of a round for those that have waited.
 *
 * The second server answers after a while. Over unix sockets, where the messages can tell it for
 * which tenant it works, it is judged as well; over TCP it does nothing that could be.
 */
#define _GNU_SOURCE
#include "../servers.h"

#define LINES	 16   /* requests at a time: more than the clients have connections */
#define FEW	 3    /* connections where requests wait for one */
#define PAUSE_US 2000 /* the longest until an answer */

struct question {
	struct message request;
	unsigned int line;
	enum verdict verdict;
};

static struct {
	int client;
	bool used;
	struct turn turn;
	struct message request;
} lines[LINES];

/* The connections to the second server. */
static struct {
	int fd;
	bool asked;
} ways[LINES];

static int nr_ways;
static bool multiplexed; /* several questions at a time by a connection */
static bool judged;

static int waiting[LINES]; /* lines, the first one first */
static int nr_waiting;

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

/* Returns the number of a connection by which a question can be asked, or -1. */
static int free_way(void)
{
	for (int i = 0; i < nr_ways; i++)
		if (multiplexed || !ways[i].asked)
			return i;
	return -1;
}

static void ask(int line, int way)
{
	struct question question = { .request = lines[line].request, .line = line };

	must(send(ways[way].fd, &question, sizeof(question), MSG_NOSIGNAL));
	ways[way].asked = true;
}

static bool asks(int fd)
{
	struct message request;
	int line = 0, way;

	if (!take(fd, &request, 1))
		return false;
	while (lines[line].used)
		if (++line == LINES)
			abort();
	tell(fd);
	lines[line].turn = begin(&request);
	lines[line].client = fd;
	lines[line].request = request;
	lines[line].used = true;
	burn(burnt[lines[line].turn.tenant] / 2);
	look(&lines[line].turn, "before the question");
	way = nr_waiting ? -1 : free_way();
	if (way < 0)
		waiting[nr_waiting++] = line;
	else
		ask(line, way);
	leave(&lines[line].turn);
	tell(-1);
	return true;
}

static void ask_for_waiting(void)
{
	int asked = 0, way;

	for (; asked < nr_waiting && (way = free_way()) >= 0; asked++) {
		int line = waiting[asked];

		tell(lines[line].client);
		again(&lines[line].turn);
		/* the question will have the tag that the task has now */
		if (judged)
			look(&lines[line].turn, "when its turn to ask comes");
		ask(line, way);
		leave(&lines[line].turn);
		tell(-1);
	}
	nr_waiting -= asked;
	memmove(waiting, waiting + asked, nr_waiting * sizeof(*waiting));
}

static void hears(int number)
{
	struct question answers[LINES];
	int size = must(recv(ways[number].fd, answers, sizeof(answers), 0));

	if (!size || size % sizeof(*answers)) {
		fprintf(stderr, "an answer in pieces\n");
		_exit(1);
	}
	ways[number].asked = false;
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
		lines[line].used = false;
	}
}

static bool asks_or_hears(int fd)
{
	for (int i = 0; i < nr_ways; i++)
		if (ways[i].fd == fd) {
			hears(i);
			return true;
		}
	return asks(fd);
}

/* `count` connections, and a thread that answers for each, or several for one. */
static void proxy(int listener, int family, int count)
{
	struct place place;
	int other = listening_behind(family, &place);

	judged = family == AF_UNIX;
	multiplexed = count == 1;
	if (!must(fork())) {
		close(listener);
		for (int i = 0; i < count; i++)
			ways[i].fd = take_connection(other);
		for (int i = 0; i < (multiplexed ? LINES : count); i++)
			start(answers, (void *)(long)ways[i % count].fd);
		for (;;)
			pause();
	}
	for (; nr_ways < count; nr_ways++) {
		ways[nr_ways].fd = connected_behind(&place);
		watch(ways[nr_ways].fd);
	}
	loop(listener, MANY, asks_or_hears, NULL, ask_for_waiting);
}

void async_tcp(int listener)
{
	proxy(listener, AF_INET, LINES);
}

void async_unix(int listener)
{
	proxy(listener, AF_UNIX, LINES);
}

void few_tcp(int listener)
{
	proxy(listener, AF_INET, FEW);
}

void few_unix(int listener)
{
	proxy(listener, AF_UNIX, FEW);
}

void multiplexed_tcp(int listener)
{
	proxy(listener, AF_INET, 1);
}

void multiplexed_unix(int listener)
{
	proxy(listener, AF_UNIX, 1);
}
