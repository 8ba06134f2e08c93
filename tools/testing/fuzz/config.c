// SPDX-License-Identifier: MIT OR Apache-2.0
/* Whole configurations. */
#include <string.h>
#include "fuzz.h"

void do_apply(struct fuzz *f)
{
	struct vs_config_service services[8];
	struct vs_rule rules[8];
	struct vs_apply a = {
		.services = (uintptr_t)services,
		.nr_services = below(&f->random, 8),
		.rules = (uintptr_t)rules,
		.nr_rules = below(&f->random, 8),
		.service_size = sizeof(services[0]),
		.rule_size = sizeof(rules[0]),
		.flags = chance(&f->random, 20) ? VS_APPLY_CHECK : 0,
	};
	reasons must = 0, may = f->nr_freed + 2 * SERVICES_MANY > IDS ? WHY(FULL) : 0;
	int error;

	if (chance(&f->random, 2))
		a.flags |= 1u << below(&f->random, 32);
	if (chance(&f->random, 10) || (f->m && f->m->nr_services > MODEL_SERVICES - 64))
		a.flags |= VS_APPLY_PRUNE;
	generate_config(&f->random, services, a.nr_services);
	for (unsigned int n = 0; n < a.nr_rules; n++)
		generate_rule(&f->random, f->m, &rules[n], a.nr_services + chance(&f->random, 2));
	for (unsigned int n = 0; n < a.nr_services; n++)
		if (services[n].id < IDS && f->freed[services[n].id])
			may |= WHY(ID_TAKEN);
	if (chance(&f->random, 1))
		a.scope = any_service(&f->random, f->m);
	if (f->m)
		must = model_apply(f->m, &a, &f->next);

	struct vs_apply given = a;

	if (!ISSUE_RESERVED(f, VS_IOC_APPLY, &a, reserved, &error) ||
	    !judge(f, 14, error, a.reason, must, may) || given.flags & VS_APPLY_CHECK || !f->m)
		return;

	static struct vs_service listed[2 * MODEL_SERVICES];
	static struct vs_rule listed_rules[MODEL_RULES];
	unsigned int nr = list_services(f, listed, 2 * MODEL_SERVICES, 256);
	struct vs_list list = { .items = (uintptr_t)listed_rules,
				.after = VS_LIST_START,
				.room = MODEL_RULES,
				.item_size = sizeof(listed_rules[0]) };

	if (!model_learn(&f->next, &given, listed, nr))
		fail(f, "a service of the configuration is not listed");
	for (unsigned int n = 0; n < f->m->nr_services; n++)
		if (!model_find(&f->next, f->m->services[n].id))
			free_id(f, f->m->services[n].id);
	if (call(f, VS_IOC_RULE_LIST, &list) || list.count != f->next.nr_rules)
		fail(f, "%u rules are listed, not %u", list.count, f->next.nr_rules);
	for (unsigned int n = 0; n < list.count; n++) {
		if (listed_rules[n].id <= f->next.last_rule)
			fail(f, "number %u after %u", listed_rules[n].id, f->next.last_rule);
		f->next.rules[n].id = f->next.last_rule = listed_rules[n].id;
	}
	*f->m = f->next;
	f->changed = true;
}
