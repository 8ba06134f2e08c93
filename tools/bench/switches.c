// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Measures a wake-up and a switch: switches KIND ROUNDS REPEATS
 *
 * It starts two processes, prints their ids, and waits for a line on the standard
 * input, so that the caller can place them. Then it prints a line for each repeat,
 * `KIND NANOSECONDS SWITCHES`: the time of a round, and how often the two were
 * switched to in it. In virtual time nanoseconds are instructions.
 *
 *   alone	a byte through a pipe, there and back, by one process: no switch
 *   pipe	the same by two: each waits for the other
 *   socket	the same over a unix connection
 *   yield	both yield the CPU
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int there[2], back[2]; /* each: to read from, to write to */

static int must(int result)
{
	if (result < 0)
		err(1, "a system call");
	return result;
}

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* Returns how often a process was switched to. */
static long slices(pid_t pid)
{
	char path[64];
	long count;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*u %*u %ld", &count) != 1)
		err(1, "%s", path);
	fclose(file);
	return count;
}

static void put(int fd)
{
	must(write(fd, "x", 1));
}

static void take(int fd)
{
	char c;

	if (must(read(fd, &c, 1)) != 1)
		exit(0);
}

static void alone(void)
{
	put(there[1]);
	take(there[0]);
	put(back[1]);
	take(back[0]);
}

static void ask(void)
{
	put(there[1]);
	take(back[0]);
}

static void answer(void)
{
	take(there[0]);
	put(back[1]);
}

static void yield(void)
{
	sched_yield();
}

static void nothing(void)
{
	pause();
}

static const struct {
	const char *name;
	void (*first)(void);
	void (*second)(void);
} kinds[] = {
	{ "alone", alone, nothing },
	{ "pipe", ask, answer },
	{ "socket", ask, answer },
	{ "yield", yield, yield },
};

int main(int count, char **words)
{
	int rounds, repeats, n, ends[2];
	char line[8];
	pid_t child;
	size_t k;

	if (count != 4)
		errx(2, "switches KIND ROUNDS REPEATS");
	for (k = 0; k < sizeof(kinds) / sizeof(*kinds) && strcmp(kinds[k].name, words[1]); k++)
		;
	rounds = atoi(words[2]);
	repeats = atoi(words[3]);
	if (k == sizeof(kinds) / sizeof(*kinds) || rounds < 1)
		errx(2, "there is no kind %s", words[1]);

	if (!strcmp(words[1], "socket")) {
		must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
		there[1] = back[0] = ends[0];
		there[0] = back[1] = ends[1];
	} else {
		must(pipe(there));
		must(pipe(back));
	}
	printf("%d\n", getpid());
	fflush(stdout);
	child = must(fork());
	while (!child)
		kinds[k].second();
	printf("%d\n", child);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		errx(1, "nobody said that it should begin");
	for (n = 0; n < rounds; n++)
		kinds[k].first();
	while (repeats-- > 0) {
		long before = slices(getpid()) + slices(child), start = now(), took;

		for (n = 0; n < rounds; n++)
			kinds[k].first();
		took = now() - start;
		printf("%s %.1f %.2f\n", words[1], (double)took / rounds,
		       (double)(slices(getpid()) + slices(child) - before) / rounds);
	}
	must(kill(child, SIGKILL));
	must(waitpid(child, NULL, 0));
	return 0;
}
