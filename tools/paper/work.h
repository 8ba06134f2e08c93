/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the client and the server of the paper's experiments agree on.
 */
#ifndef PAPER_WORK_H
#define PAPER_WORK_H

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A request of the single-threaded server; its reply is the same bytes. */
struct request {
	char tenant; /* 'a' or 'b' */
	char pad[3];
	uint32_t number; /* of this tenant's requests, from 0 */
};

/*
 * A number that looks random, and is the same for the same seed, tenant and request in every run
 * (splitmix64): so all set-ups are asked for the same work at the same instants.
 */
static inline uint64_t drawn(uint64_t seed, char tenant, uint64_t number)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15 + ((uint64_t)tenant << 40) + number;

	for (int i = 0; i < 2; i++) {
		z += 0x9e3779b97f4a7c15;
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		z ^= z >> 31;
	}
	return z;
}

/* Nanoseconds on a clock. */
static inline int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* Ends the program if a call has failed. */
static inline long must(long result)
{
	if (result < 0)
		err(1, "a system call");
	return result;
}

#endif
