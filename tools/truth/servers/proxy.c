// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A proxy: it reads the head of a request, splices the rest on to a server behind it, and the
 * answer back to the client.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include "../servers.h"

#define HEAD 4

static int behind, spliced[2];

static void splice_all(int from, int to, size_t size)
{
	while (size)
		size -= must(splice(from, NULL, to, NULL, size, 0));
}

static bool proxy(int fd)
{
	struct message message;
	struct turn turn;

	if (!must(recv(fd, &message, HEAD, MSG_WAITALL)))
		return false;
	turn = begin(&message);
	burn(burnt[turn.tenant] / 2);
	splice_all(fd, spliced[1], sizeof(message) - HEAD);
	look(&turn, "after the splice");
	burn(burnt[turn.tenant] / 2);
	must(send(behind, &message, HEAD, MSG_MORE));
	splice_all(spliced[0], behind, sizeof(message) - HEAD);
	splice_all(behind, spliced[1], sizeof(message));
	look(&turn, "before the reply");
	splice_all(spliced[0], fd, sizeof(message));
	finish(&turn);
	return true;
}

void splice_proxy(int listener)
{
	struct place place;
	int other = listening_behind(AF_INET, &place);

	behind = connected_behind(&place);
	start(echo, (void *)(long)take_connection(other));
	must(pipe(spliced));
	loop(listener, MANY, proxy, NULL, NULL);
}
