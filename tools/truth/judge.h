/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a server knows: for which tenant each of its threads works. begin() and look() compare that
 * with the thread's tag, own() does so during work that is no request. To read the tag is a call of
 * bpf(2), which makes no socket call and does not sleep. Counts are in memory that all of a
 * server's processes share, without locks: a thread that waited for a lock would end its work.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <stdbool.h>
#include <stdint.h>
#include "message.h"

#define TENANTS 3
#define US	1000

/* The CPU time of a request of each tenant. */
extern const long burnt[TENANTS];

/* From the best to the worst. */
enum verdict { RIGHT, HOME, WRONG };

/* A request in hand. */
struct turn {
	int tenant;
	long begun, used;
	enum verdict verdict;
};

/* Opens the map of tags; `services` are the ids of the server's and the tenants'. */
void judge_opens(char *const services[1 + TENANTS]);

/* Prints all counts as a line of JSON. */
void report(void);

/* Begins to work on a request that the caller has received. */
struct turn begin(const struct message *request);
/* Compares the tag with the tenant of the request; `at` has at most 30 characters. */
void look(struct turn *turn, const char *at);
/* The request had this verdict in another server that worked on it. */
void worsen(struct turn *turn, enum verdict verdict);
/* The caller goes on with another request, and later with this one. */
void leave(struct turn *turn);
void again(struct turn *turn);
/* The caller has replied. */
void finish(struct turn *turn);
/* The caller has done its part of a request that another server finishes. */
void finish_part(struct turn *turn);

/* Works on a request, and compares the tag again. */
struct turn work(const struct message *request);
/* Works on something that is no tenant's request. */
void own(const char *at);
/* Uses so much CPU time. */
void burn(long ns);

/*
 * For a process that serves one tenant from its beginning to its end: all its time is this
 * tenant's.
 */
void all_begins(void);
void all_ends(void);

#endif
