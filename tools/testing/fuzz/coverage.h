/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Which instructions of vs.ko a call has come to, by kcov. In a kernel that has
 * it (make check-debug KERNEL=kasan) nothing but the module is instrumented.
 */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#define COVERAGE_MOST (1 << 16)

/* A set of program counters. */
struct coverage {
	uint64_t pcs[2 * COVERAGE_MOST]; /* hashed; 0: free */
	unsigned int count;
};

/* from here on what this thread does is followed; false: it cannot be */
bool coverage_begin(void);
void coverage_forget(void); /* what has been come to up to now */
/* Adds what has been come to since then; returns how much of it was not in the set. */
unsigned int coverage_add(struct coverage *set);
/* Whether all that is in `part` has been come to since then. */
bool coverage_has(const struct coverage *part);
/* Adds what has been come to since then and is not in `set` to `part`. */
void coverage_new(const struct coverage *set, struct coverage *part);

#endif
