// SPDX-License-Identifier: MIT OR Apache-2.0
/* A connection at a time, in one process or in several. */
#include "../servers.h"

#define RESTART 20 /* requests that a worker serves before it starts another in its place */

void one(int listener)
{
	for (;;)
		serve_connection(take_connection(listener));
}

void fork_each(int listener)
{
	for (;;) {
		int fd = take_connection(listener);

		if (!must(fork())) {
			close(listener);
			all_begins();
			serve_connection(fd);
			all_ends();
			_exit(0);
		}
		close(fd);
		own("the parent, after the fork");
	}
}

/*
 * A worker that has served enough starts another one during a request, and ends after that request.
 */
static void prefork_worker(int listener)
{
	int served = 0;

	for (;;) {
		int fd = take_connection(listener);
		struct message request;

		while (take(fd, &request, 1)) {
			struct turn turn = begin(&request);

			burn(burnt[turn.tenant] / 2);
			if (++served == RESTART && !must(fork())) {
				close(fd);
				own("a worker that was made at work");
				served = 0;
				goto next;
			}
			burn(burnt[turn.tenant] / 2);
			look(&turn, "before the reply");
			must(send(fd, &request, sizeof(request), MSG_NOSIGNAL));
			finish(&turn);
		}
		close(fd);
		if (served >= RESTART)
			_exit(0);
next:;
	}
}

void prefork(int listener)
{
	for (int i = 1; i < THREADS; i++)
		if (!must(fork()))
			prefork_worker(listener);
	prefork_worker(listener);
}
