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
