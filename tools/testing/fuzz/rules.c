// SPDX-License-Identifier: MIT OR Apache-2.0
/* Commands on rules. */
#include <string.h>
#include "fuzz.h"

void do_rule_add(struct fuzz *f)
{
	struct vs_rule rule, given;
	reasons must;
	int error;

	generate_rule(&f->random, f->m, &rule, 0);
	given = rule;
	if (!ISSUE_RESERVED(f, VS_IOC_RULE_ADD, &rule, reserved1, &error))
		return;
	must = f->m ? model_rule_add(f->m, &given) : 0;
	if (!judge(f, 8, error, rule.reason, must, 0) || !f->m)
		return;
	if (rule.id <= f->m->last_rule)
		fail(f, "number %u after %u", rule.id, f->m->last_rule);
	model_rule_added(f->m, &given, rule.id);
	f->changed = true;
}

void do_rule_del(struct fuzz *f)
{
	struct vs_rule rule = { 0 };
	int error;

	rule.id = f->m && f->m->nr_rules && chance(&f->random, 90) ?
			  f->m->rules[below(&f->random, f->m->nr_rules)].id :
			  below(&f->random, 1000);
	if (!ISSUE_RESERVED(f, VS_IOC_RULE_DEL, &rule, reserved1, &error))
		return;
	if (judge(f, 9, error, rule.reason, f->m ? model_rule_del(f->m, rule.id) : 0, 0))
		f->changed = true;
}

void do_rule_test(struct fuzz *f)
{
	struct vs_rule_test test, wanted;
	struct vs_rule tried;
	reasons must = 0;
	int error;

	generate_call(&f->random, f->m, &tried, &test);
	wanted = test;
	if (f->m)
		must = model_rule_test(f->m, &test, &wanted);
	if (!ISSUE_RESERVED(f, VS_IOC_RULE_TEST, &test, reserved, &error) ||
	    !judge(f, 11, error, test.reason, must, 0) || !f->m)
		return;
	if (test.rule != wanted.rule || test.matching != wanted.matching ||
	    memcmp(test.to, wanted.to, sizeof(test.to)))
		fail(f, "gate %u: rule %u of %u, to %x %x %x; wanted rule %u of %u, to %x %x %x",
		     tried.gate, test.rule, test.matching, test.to[0], test.to[1], test.to[2],
		     wanted.rule, wanted.matching, wanted.to[0], wanted.to[1], wanted.to[2]);
	if (test.shapes > VS_SHAPES_MAX)
		fail(f, "%u look-ups", test.shapes);
}
