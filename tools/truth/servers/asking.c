// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A server that asks another server for each request, by a connection of its own. The answer
 * has the verdict of the other server: the request counts as right if both are right.
 */
#include "../servers.h"

static void answer(int listener)
{
	for (;;) {
		int fd = take_connection(listener);
		struct message message;

		while (take(fd, &message, 1)) {
			struct turn turn = work(&message);

			message.text[0] = turn.verdict;
			must(send(fd, &message, sizeof(message), MSG_NOSIGNAL));
			finish_part(&turn);
		}
		close(fd);
	}
}

static struct place behind;

static bool ask_behind(int fd)
{
	struct message request, reply;
	struct turn turn;
	int other;

	if (!take(fd, &request, 1))
		return false;
	turn = work(&request);
	other = connected_behind(&behind);
	must(send(other, &request, sizeof(request), 0));
	must(recv(other, &reply, sizeof(reply), MSG_WAITALL));
	close(other);
	worsen(&turn, reply.text[0]);
	look(&turn, "after the other server's answer");
	must(send(fd, &request, sizeof(request), MSG_NOSIGNAL));
	finish(&turn);
	return true;
}

void asking(int listener)
{
	int other = listening_behind(AF_INET, &behind);

	if (!must(fork()))
		answer(other);
	loop(listener, MANY, ask_behind, NULL, NULL);
}

/*
 * A server that asks two others in the course of each request, both before it waits for the first
 * answer: by new connections, or by connections that it keeps.
 */
static struct place both[2];
static int kept[2];
static bool judged;

static bool ask_two(int fd)
{
	struct message request, reply;
	struct turn turn;
	int ways[2];

	if (!take(fd, &request, 1))
		return false;
	turn = work(&request);
	for (int i = 0; i < 2; i++) {
		ways[i] = kept[i] ? kept[i] : connected_behind(&both[i]);
		must(send(ways[i], &request, sizeof(request), MSG_NOSIGNAL));
	}
	for (int i = 0; i < 2; i++) {
		must(recv(ways[i], &reply, sizeof(reply), MSG_WAITALL));
		if (judged)
			worsen(&turn, reply.text[0]);
		look(&turn, i ? "after the second answer" : "after the first answer");
		burn(burnt[turn.tenant] / 4);
		if (!kept[i])
			close(ways[i]);
	}
	look(&turn, "before the reply");
	must(send(fd, &request, sizeof(request), MSG_NOSIGNAL));
	finish(&turn);
	return true;
}

/* The two are judged where they can know for which tenant they work. */
static void two_behind(int family, bool are_judged)
{
	judged = are_judged;
	for (int i = 0; i < 2; i++) {
		int other = listening_behind(family, &both[i]);

		if (!must(fork())) {
			if (judged)
				answer(other);
			echo((void *)(long)take_connection(other));
			_exit(0);
		}
		close(other);
	}
}

static void keep_both(void)
{
	for (int i = 0; i < 2; i++)
		kept[i] = connected_behind(&both[i]);
}

void asking_two(int listener)
{
	two_behind(AF_INET, true);
	loop(listener, MANY, ask_two, NULL, NULL);
}

void asking_two_kept(int listener)
{
	two_behind(AF_INET, false);
	keep_both();
	loop(listener, MANY, ask_two, NULL, NULL);
}

void asking_two_messages(int listener)
{
	two_behind(AF_UNIX, true);
	keep_both();
	loop(listener, MANY, ask_two, NULL, NULL);
}
