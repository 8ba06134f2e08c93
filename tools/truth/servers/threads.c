// SPDX-License-Identifier: MIT OR Apache-2.0
/* Threads that read the requests of a connection themselves. */
#include "../servers.h"

static void *connections_thread(void *unused)
{
	for (;;)
		serve_connection(pop().fd);
	return unused;
}

void threads_read(int listener)
{
	for (int i = 0; i < THREADS; i++)
		start(connections_thread, NULL);
	for (;;)
		push((struct item){ .fd = take_connection(listener) });
}

static void *cached_thread(void *fd)
{
	serve_connection((long)fd);
	return connections_thread(NULL);
}

/*
 * Starts a thread for a connection if none is idle; the thread waits for other connections
 * afterwards.
 */
void thread_cache(int listener)
{
	for (;;) {
		long fd = take_connection(listener);

		if (any_idle())
			push((struct item){ .fd = fd });
		else
			start(cached_thread, (void *)fd);
	}
}
