// SPDX-License-Identifier: MIT OR Apache-2.0
/* The model's whole configurations: see model.h. */
#include <string.h>
#include "model.h"

/* Whether a configuration may name `place`: its own places, and root. */
static bool is_place(struct model *next, uint32_t place)
{
	return place <= next->last_rule;
}

static reasons apply_services(struct model *next, const struct vs_config_service *wanted,
			      unsigned int nr, unsigned int *places)
{
	reasons why = 0;

	for (unsigned int n = 0; n < nr; n++) {
		const struct vs_config_service *w = &wanted[n];
		uint32_t id = w->id == VS_ANY ? 0 : w->id;
		struct service *s;

		if (w->detached >> VS_ATTR_COUNT)
			why |= INVALID;
		for (unsigned int attr = VS_ATTR_COUNT; attr < VS_ATTR_MAX; attr++)
			if (w->attr[attr])
				why |= INVALID;
		if (id >= IDS)
			why |= WHY(RANGE);
		if (w->parent > nr)
			why |= WHY(NO_SERVICE);
		else if (w->parent > n)
			why |= WHY(ORDER);
		for (unsigned int attr = 0; attr < VS_ATTR_COUNT; attr++)
			if (w->detached & 1u << attr)
				why |= attr_check(attr, w->attr[attr]);
		if (!name_is_good(w->name)) {
			why |= WHY(NAME_BAD);
			continue;
		}
		for (unsigned int other = 0; other < n; other++)
			if (name_is_good(wanted[other].name) &&
			    !strcmp(wanted[other].name, w->name))
				why |= WHY(DUPLICATE);
		if (!strcmp(w->name, "root"))
			why |= WHY(ROOT);
		s = model_named(next, w->name);
		if (id && s && s->id != id)
			why |= WHY(OTHER_ID);
		if (id && !s && model_find(next, id))
			why |= WHY(ID_TAKEN);
		if (why)
			continue;

		if (!s) {
			s = &next->services[next->nr_services++];
			*s = (struct service){ .id = id ? id : NEW_ID - n };
			memcpy(s->name, w->name, strlen(w->name));
		}
		places[n + 1] = s->id;
		s->parent = places[w->parent];
		s->priority = w->priority;
		s->detached = w->detached;
		memcpy(s->own, w->attr, sizeof(s->own));
	}
	return why;
}

static void prune(struct model *next, const unsigned int *places, unsigned int nr)
{
	for (unsigned int n = next->nr_services; n-- > 1;) {
		unsigned int place = 1;

		while (place <= nr && places[place] != next->services[n].id)
			place++;
		if (place > nr)
			next->services[n] = next->services[--next->nr_services];
	}
}

reasons model_apply(struct model *m, const struct vs_apply *a, struct model *next)
{
	const struct vs_rule *rules = (const struct vs_rule *)(uintptr_t)a->rules;
	unsigned int places[MODEL_SERVICES] = { VS_ROOT };
	reasons why;

	*next = *m;
	why = apply_services(next, (const void *)(uintptr_t)a->services, a->nr_services, places);
	if (a->flags & ~(VS_APPLY_CHECK | VS_APPLY_PRUNE) || a->scope != VS_ROOT)
		why |= INVALID;
	if (!why && a->flags & VS_APPLY_PRUNE)
		prune(next, places, a->nr_services);
	for (unsigned int n = 0; !why && n < next->nr_services; n++)
		if (model_depth(next, next->services[n].id) > VS_DEPTH_MAX)
			why |= WHY(DEPTH);

	next->nr_rules = a->nr_rules;
	next->last_rule = a->nr_services;
	for (unsigned int n = 0; n < a->nr_rules; n++) {
		struct vs_rule *r = &next->rules[n];

		if (rules[n].reserved1)
			why |= INVALID;
		why |= rule_check(next, &rules[n], is_place);
		if (why)
			continue;
		*r = rules[n];
		rule_normalize(r);
		for (unsigned int e = 0; e < VS_ENTITIES; e++) {
			/*
			 * the id of a new service is learnt later: until then its place stands for
			 * it
			 */
			if (r->from[e] < IDS && places[r->from[e]] < IDS)
				r->from[e] = places[r->from[e]];
			else if (r->from[e] < IDS)
				r->from[e] |= IDS;
			if (r->to[e] < IDS && places[r->to[e]] < IDS)
				r->to[e] = places[r->to[e]];
			else if (r->to[e] < IDS)
				r->to[e] |= IDS;
		}
	}
	if (!why && !rules_fit(next->rules, next->nr_rules))
		why |= WHY(FULL);
	next->last_rule = m->last_rule;
	return why;
}

/*
 * Puts the ids that the module chose into the outcome of a configuration: `listed` is the module's
 * present list.
 */
bool model_learn(struct model *next, const struct vs_apply *a, const struct vs_service *listed,
		 unsigned int nr)
{
	const struct vs_config_service *wanted = (const void *)(uintptr_t)a->services;

	for (unsigned int n = 0; n < next->nr_services; n++) {
		struct service *s = &next->services[n];
		uint32_t old = s->id, place = 0;

		if (old < IDS)
			continue;
		for (unsigned int other = 0; other < nr; other++)
			if (!strcmp(listed[other].name, s->name))
				s->id = listed[other].id;
		for (unsigned int other = 0; other < n; other++)
			if (next->services[other].id == s->id)
				return false;
		if (s->id == old)
			return false;
		while (strcmp(wanted[place].name, s->name))
			place++;
		for (unsigned int other = 0; other < next->nr_services; other++)
			if (next->services[other].parent == old)
				next->services[other].parent = s->id;
		for (unsigned int rule = 0; rule < next->nr_rules; rule++)
			for (unsigned int e = 0; e < VS_ENTITIES; e++) {
				if (next->rules[rule].from[e] == ((place + 1) | IDS))
					next->rules[rule].from[e] = s->id;
				if (next->rules[rule].to[e] == ((place + 1) | IDS))
					next->rules[rule].to[e] = s->id;
			}
	}
	return true;
}
