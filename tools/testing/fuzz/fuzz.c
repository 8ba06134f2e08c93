// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A fuzzer for /dev/vsctl that knows the right answers:
 *
 *	fuzz [CALLS [SEED [THREADS]]]		calls drawn at random (fuzz.h)
 *	fuzz --corpus FILE [SECONDS [NEW]]	inputs kept for what they reach (corpus.h)
 *
 * With more than one thread there is no order of calls that a model could
 * follow. Then the tree must be well formed at the end, and the kernel's log
 * must be clean.
 *
 * The same seed gives the same calls on the same module. TAP; exit 0 or 1.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "corpus.h"
#include "fuzz.h"

#define COMPARE_EVERY 4096

static void *run(void *argument)
{
	struct fuzz *f = argument;

	while (f->calls < f->wanted)
		step(f);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	unsigned long threads = argc > 3 ? strtoul(argv[3], NULL, 0) : 1;
	static struct model model;
	struct timespec from, to;
	struct fuzz *f;

	if (argc > 2 && !strcmp(argv[1], "--corpus"))
		return corpus(argv[2], argc > 3 ? atoi(argv[3]) : 0, argc > 4 ? argv[4] : NULL);
	clock_gettime(CLOCK_MONOTONIC, &from);
	printf("TAP version 13\n# %lu calls, seed %lu, %lu threads\n", calls, seed, threads);
	model_init(&model);
	f = begin(seed, threads > 1 ? NULL : &model);
	if (threads > 1) {
		pthread_t thread[threads];

		for (unsigned long n = 0; n < threads; n++) {
			struct fuzz *one = begin(seed + n, NULL);

			one->wanted = calls / threads;
			pthread_create(&thread[n], NULL, run, one);
		}
		for (unsigned long n = 0; n < threads; n++)
			pthread_join(thread[n], NULL);
		well_formed(f);
	} else {
		f->changed = true; /* by loading the module */
		for (unsigned long n = 1; f->calls < calls; n++) {
			step(f);
			if (n % COMPARE_EVERY == 0)
				compare(f);
		}
		compare(f);
		for (int n = 0; n < COMMANDS; n++)
			printf("# %-12s %7lu calls, %7lu accepted, %6.1f s\n", names[n],
			       f->count[n], f->accepted[n], f->nanoseconds[n] / 1e9);
		printf("# %lu spoilt, %u services and %u rules at the end\n", f->spoilt,
		       model.nr_services, model.nr_rules);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("# %ld s\nok 1 - the module does what the header says\n1..1\n",
	       to.tv_sec - from.tv_sec);
	return 0;
}
