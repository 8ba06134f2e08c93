// SPDX-License-Identifier: MIT OR Apache-2.0
/* Inputs: see corpus.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "corpus.h"
#include "coverage.h"
#include "fuzz.h"

#define INPUTS_MOST 4096
#define LINE	    100 /* characters */

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static struct tape *inputs[INPUTS_MOST];
static unsigned int nr_inputs;
static struct coverage reached;

static void keep(const struct tape *tape)
{
	if (nr_inputs == INPUTS_MOST)
		return;
	inputs[nr_inputs] = malloc(sizeof(*tape));
	*inputs[nr_inputs++] = *tape;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Adds the draws of a line; false: the line is malformed. */
static bool read_line(struct tape *tape, const char *line)
{
	for (; *line && *line != '\n'; line++) {
		const char *digit = strchr(digits, *line);
		char *end;

		if (tape->length == TAPE_DRAWS)
			return false;
		if (digit) {
			tape->draws[tape->length++] = digit - digits;
			continue;
		}
		if (*line != '(')
			return false;
		tape->draws[tape->length++] = strtoul(line + 1, &end, 16);
		if (*end != ')')
			return false;
		line = end;
	}
	return true;
}

static bool read_inputs(const char *path)
{
	struct tape tape = { 0 };
	char line[8192];
	FILE *file = fopen(path, "re");
	bool good = file;

	while (good && fgets(line, sizeof(line), file)) {
		if (line[0] == '#')
			continue;
		good = read_line(&tape, line);
		if (line[0] == '\n' && tape.length) {
			keep(&tape);
			tape.length = 0;
		}
	}
	if (tape.length)
		keep(&tape);
	if (file)
		fclose(file);
	return good;
}

void input_write(FILE *file, const struct tape *tape)
{
	int column = 0;

	for (unsigned int n = 0; n < tape->length; n++) {
		column += tape->draws[n] < 62 ? fprintf(file, "%c", digits[tape->draws[n]]) :
						fprintf(file, "(%x)", tape->draws[n]);
		if (column >= LINE || n == tape->length - 1) {
			fputc('\n', file);
			column = 0;
		}
	}
	fputc('\n', file);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Runs an input, and then `more` commands, which are drawn at random and become part of it. */
static void run(struct fuzz *f, struct tape *tape, unsigned int more)
{
	f->random.tape = NULL;
	reset(f);
	coverage_forget();
	f->random.tape = f->input = tape;
	tape->at = tape->nr_steps = 0;
	while (tape->nr_steps < TAPE_STEPS && (tape->at < tape->length || more)) {
		more -= tape->at >= tape->length;
		tape->steps[tape->nr_steps++] = tape->at;
		step(f);
	}
	tape->steps[tape->nr_steps] = tape->length = tape->at;
	f->random.tape = NULL;
}

/* Removes the draws from `from` up to `to`. */
static void cut(struct tape *tape, unsigned int from, unsigned int to)
{
	memmove(&tape->draws[from], &tape->draws[to], (tape->length - to) * sizeof(tape->draws[0]));
	tape->length -= to - from;
}

/* Makes a new input of one or two present ones; returns how many commands may follow it. */
static unsigned int mutate(struct random *r, struct tape *tape)
{
	const struct tape *other = inputs[below(r, nr_inputs)];
	unsigned int from, length;

	*tape = *inputs[below(r, nr_inputs)];
	for (unsigned int times = 1 + below(r, 4); times; times--) {
		from = below(r, tape->length);
		switch (below(r, 6)) {
		case 0: /* from some command on, the commands of another input */
			from = tape->steps[below(r, tape->nr_steps + 1)];
			length = other->length;
			if (from + length > TAPE_DRAWS)
				break;
			memcpy(&tape->draws[from], other->draws, length * sizeof(other->draws[0]));
			tape->length = from + length;
			tape->nr_steps = 0;
			break;
		case 1: /* one command less */
			if (tape->nr_steps > 1) {
				from = below(r, tape->nr_steps);
				cut(tape, tape->steps[from], tape->steps[from + 1]);
				tape->nr_steps = 0;
			}
			break;
		case 2:
			tape->draws[from] = below(r, ~0u);
			break;
		default:
			tape->draws[from] = below(r, 100);
		}
		if (!tape->length)
			tape->draws[tape->length++] = below(r, 1000);
	}
	return below(r, 3);
}

/*
 * Removes from an input each command that is not needed to reach the instructions which no other
 * input reaches.
 */
static void shorten(struct fuzz *f, struct tape *tape, const struct coverage *own)
{
	for (unsigned int n = tape->nr_steps; n-- && tape->nr_steps > 1;) {
		struct tape shorter = *tape;

		cut(&shorter, shorter.steps[n], shorter.steps[n + 1]);
		run(f, &shorter, 0);
		if (coverage_has(own))
			*tape = shorter;
	}
}

static void search(struct fuzz *f, unsigned int seconds)
{
	static struct coverage own;
	time_t end = time(NULL) + seconds;
	unsigned long runs = 0;

	while (time(NULL) < end) {
		struct tape tape = { 0 };
		unsigned int more = nr_inputs ? mutate(&f->random, &tape) : 8;

		run(f, &tape, more);
		compare(f);
		runs++;
		memset(&own, 0, sizeof(own));
		coverage_new(&reached, &own);
		if (!own.count)
			continue;
		coverage_add(&reached);
		shorten(f, &tape, &own);
		keep(&tape);
		printf("# input %u: %u commands, %u new, %u in all\n", nr_inputs, tape.nr_steps,
		       own.count, reached.count);
		fflush(stdout);
	}
	printf("# %lu inputs tried\n", runs);
}

static int by_length(const void *a, const void *b)
{
	const struct tape *one = *(struct tape *const *)a, *other = *(struct tape *const *)b;

	return (one->length > other->length) - (one->length < other->length);
}

/* Writes the inputs, short ones first, without those that reach nothing more. */
static bool write_inputs(struct fuzz *f, const char *path)
{
	FILE *file = fopen(path, "we");
	unsigned int written = 0;

	if (!file)
		return false;
	memset(&reached, 0, sizeof(reached));
	qsort(inputs, nr_inputs, sizeof(inputs[0]), by_length);
	for (unsigned int n = 0; n < nr_inputs; n++) {
		run(f, inputs[n], 0);
		if (!coverage_add(&reached))
			continue;
		input_write(file, inputs[n]);
		written++;
	}
	printf("# %u inputs written, which come to %u instructions\n", written, reached.count);
	return !fclose(file);
}

int corpus(const char *path, unsigned int seconds, const char *new)
{
	static struct model model;
	struct fuzz *f;

	printf("TAP version 13\n");
	if (seconds && !coverage_begin()) {
		printf("1..0 # SKIP this kernel has no kcov:"
		       " make check-debug KERNEL=kasan has one\n");
		return 4;
	}
	if (!read_inputs(path)) {
		printf("Bail out! %s is no corpus\n", path);
		return 1;
	}
	model_init(&model);
	f = begin(time(NULL), &model);
	for (unsigned int n = 0; n < nr_inputs; n++) {
		run(f, inputs[n], 0);
		compare(f);
		coverage_add(&reached);
	}
	printf("# %u inputs, %lu calls\n", nr_inputs, f->calls);
	if (seconds)
		search(f, seconds);
	if (new && !write_inputs(f, new)) {
		printf("Bail out! cannot write %s\n", new);
		return 1;
	}
	printf("ok 1 - the module does what the header says\n1..1\n");
	return 0;
}
