/* SPDX-License-Identifier: GPL-2.0 */
/* Arguments for the fuzzer: mostly plausible, each with a chance to be wrong in every field. */
#ifndef GENERATE_H
#define GENERATE_H

#include "model.h"

struct random {
	uint64_t state;
};

uint32_t below(struct random *r, uint32_t bound);	/* 0 .. bound - 1 */
bool chance(struct random *r, uint32_t percent);

/* What is there to be named. Without a model (threads) names and ids are guessed. */
uint32_t any_service(struct random *r, struct model *m);
void generate_name(struct random *r, char name[VS_NAME_LEN]);
void generate_rule(struct random *r, struct model *m, struct vs_rule *rule, unsigned int places);
void generate_call(struct random *r, struct model *m, struct vs_rule_test *test);
void generate_config(struct random *r, struct vs_config_service *services, unsigned int nr);

#endif
