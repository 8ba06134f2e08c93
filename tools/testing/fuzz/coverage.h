/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The instructions of vs.ko that a call has reached, by kcov. In a kernel that
 * has kcov (make check-debug KERNEL=kasan) only the module is instrumented.
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

/* from here on this thread is traced; false: it cannot be */
bool coverage_begin(void);
void coverage_forget(void); /* forgets what was reached up to now */
/* Adds the instructions reached since then; returns how many of them were not in the set. */
unsigned int coverage_add(struct coverage *set);
/* Whether all instructions in `part` have been reached since then. */
bool coverage_has(const struct coverage *part);
/* Adds the instructions reached since then that are not in `set` to `part`. */
void coverage_new(const struct coverage *set, struct coverage *part);

#endif
