/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What several servers have in common.
 */
#ifndef SERVE_H
#define SERVE_H

#include "judge.h"

#define THREADS 4
#define MANY	64

/* For hints: the open device, or -1 if the server gives none. */
extern int hint;

/* Says for which connection the thread works, or (-1) that it is done, if it is to give hints. */
void tell(int fd);

/* A connection, and a request that has been read from it. */
struct item {
	int fd;
	struct message request;
};

int take_connection(int listener);
/* Reads the whole requests that a connection has; 0: its client has closed it. */
int take(int fd, struct message *requests, int room);
/* Serves a request that came by a connection. */
void serve(int fd, const struct message *request);
/* Reads and serves the requests that a connection has; false: its client has closed it. */
bool serve_some(int fd);
void serve_connection(int fd);

/* A thread. */
void start(void *(*body)(void *), void *argument);

/*
 * A queue behind a futex, of connections or of requests that have been read from them. any_idle():
 * whether a thread waits in pop().
 */
void push(struct item item);
struct item pop(void);
bool any_idle(void);

/*
 * The loop of an event-driven server: `at_once` events a round at most. It calls `serves`
 * for each connection with an event (which returns false if it is closed), and `before` and
 * `after` around a round. watch(), before the loop begins, adds a descriptor to it.
 */
void watch(int fd);
void loop(int listener, int at_once, bool (*serves)(int fd), void (*before)(void),
	  void (*after)(void));

/* A server behind another server: where it listens, and a connection to it. */
int listening_behind(int family, struct place *place);
int connected_behind(const struct place *place);
/* Sends back all messages that come by a connection; a body of a thread. */
void *echo(void *fd);

#endif
