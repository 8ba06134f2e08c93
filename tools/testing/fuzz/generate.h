/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Arguments for the fuzzer: mostly plausible, each with a chance to be wrong in every field. */
#ifndef GENERATE_H
#define GENERATE_H

#include "model.h"

/*
 * The random draws, in order. As long as the tape has entries, draws are taken
 * from it, whatever they are for; after that they are random, and written to it.
 * So all that the fuzzer has done can be repeated, shortened or changed.
 */
#define TAPE_DRAWS 4096
#define TAPE_STEPS 16
struct tape {
	uint32_t draws[TAPE_DRAWS];
	unsigned int length, at;
	unsigned int steps[TAPE_STEPS + 1], nr_steps; /* where each command begins */
};

struct random {
	uint64_t state;
	struct tape *tape; /* or NULL */
};

uint32_t below(struct random *r, uint32_t bound); /* 0 .. bound - 1 */
bool chance(struct random *r, uint32_t percent);

/* Names of things that exist. Without a model (threads) names and ids are guessed. */
uint32_t any_service(struct random *r, struct model *m);
void generate_name(struct random *r, char name[VS_NAME_LEN]);
void generate_rule(struct random *r, struct model *m, struct vs_rule *rule, unsigned int places);
void generate_call(struct random *r, struct model *m, struct vs_rule *call,
		   struct vs_rule_test *test);
void generate_config(struct random *r, struct vs_config_service *services, unsigned int nr);

#endif
