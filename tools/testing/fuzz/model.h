/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The plainest program that does what uapi/vs.h promises: services and rules
 * are in arrays, and every question is answered by looking at all of them. The
 * fuzzer compares the module with it.
 *
 * A command can be wrong in several ways at once, and the header does not say
 * which reason is reported. So the model answers with the set of all reasons:
 * the module must succeed if the set is empty, and otherwise report a reason in
 * the set.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <vs.h>

#define IDS	       (1 << 14) /* the right value of vs_info.ids_max */
#define MODEL_SERVICES 512
#define MODEL_RULES    256

/* Bit n: enum vs_reason n. Bit VS_WHY_NONE: EINVAL without a reason. */
typedef uint64_t reasons;
#define WHY(name) (1ull << VS_WHY_##name)
#define INVALID	  WHY(NONE)

struct service {
	uint32_t id;
	uint32_t parent;
	char name[VS_NAME_LEN];
	int32_t priority;
	uint32_t detached;
	uint32_t own[VS_ATTR_COUNT];
};

struct model {
	struct service services[MODEL_SERVICES]; /* root first */
	unsigned int nr_services;
	struct vs_rule rules[MODEL_RULES]; /* in the order of the list, oldest first */
	unsigned int nr_rules;
	uint32_t last_rule;
};

void model_init(struct model *m);
struct service *model_find(struct model *m, uint32_t id);
struct service *model_named(struct model *m, const char *name);
unsigned int model_depth(struct model *m, uint32_t id);
unsigned int model_children(struct model *m, uint32_t id);
unsigned int model_rules_naming(struct model *m, uint32_t id);
void model_show(struct model *m, const struct service *s, struct vs_service *out);
int model_errno(unsigned int reason);

/*
 * Each returns the reasons for which the command is refused; 0: none, and the model has carried
 * the command out (create, add: with the id given).
 */
reasons model_create(struct model *m, const struct vs_create *c);
void model_created(struct model *m, const struct vs_create *c, uint32_t id);
reasons model_destroy(struct model *m, const struct vs_destroy *d);
reasons model_change(struct model *m, const struct vs_change *c);
reasons model_set_attr(struct model *m, const struct vs_set_attr *a);
reasons model_query(struct model *m, const struct vs_query *q, struct vs_service *out);
reasons model_rule_add(struct model *m, const struct vs_rule *rule);
void model_rule_added(struct model *m, const struct vs_rule *rule, uint32_t id);
reasons model_rule_del(struct model *m, uint32_t id);
/* of t->call */
reasons model_rule_test(struct model *m, const struct vs_rule_test *t, struct vs_rule_test *out);

/* model_rules.c */
unsigned int gate_entities(unsigned int gate);
reasons rule_check(struct model *m, const struct vs_rule *rule,
		   bool (*exists)(struct model *, uint32_t));
void rule_normalize(struct vs_rule *rule);
bool rules_fit(const struct vs_rule *rules, unsigned int nr);

/*
 * model_apply.c: a configuration; *next is the model after it, with ids yet to be learnt
 * (NEW_ID)
 */
#define NEW_ID 0xffffffffu
reasons model_apply(struct model *m, const struct vs_apply *a, struct model *next);
bool model_learn(struct model *next, const struct vs_apply *a, const struct vs_service *listed,
		 unsigned int nr);

bool name_is_good(const char name[VS_NAME_LEN]);
reasons attr_check(unsigned int attr, uint32_t value);

#endif
