// SPDX-License-Identifier: MIT OR Apache-2.0
/* Checks lists of services and rules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

static int by_id(const void *a, const void *b)
{
	uint32_t one = ((const struct vs_service *)a)->id,
		 other = ((const struct vs_service *)b)->id;

	return (one > other) - (one < other);
}

/* Lists all services in pages of `room`; returns their number. */
unsigned int list_services(struct fuzz *f, struct vs_service *out, unsigned int most,
			   unsigned int room)
{
	struct vs_list list = { .after = VS_LIST_START, .room = room, .item_size = sizeof(*out) };
	unsigned int total = 0;

	do {
		if (total + room > most)
			fail(f, "there are more than %u services", most);
		list.items = (uintptr_t)(out + total);
		if (call(f, VS_IOC_LIST, &list))
			fail(f, "errno %d", errno);
		total += list.count;
	} while (list.count == room);
	return total;
}

void compare(struct fuzz *f)
{
	static struct vs_service services[2 * MODEL_SERVICES], wanted[MODEL_SERVICES];
	static struct vs_rule rules[2 * MODEL_RULES];
	struct vs_list list = { .items = (uintptr_t)rules,
				.after = VS_LIST_START,
				.room = 2 * MODEL_RULES,
				.item_size = sizeof(*rules) };
	unsigned int nr =
		list_services(f, services, 2 * MODEL_SERVICES, 64 + below(&f->random, 64));
	struct vs_info info = { 0 };

	f->name = "comparison";
	if (nr != f->m->nr_services)
		fail(f, "%u services are listed, not %u", nr, f->m->nr_services);
	for (unsigned int n = 0; n < nr; n++)
		model_show(f->m, &f->m->services[n], &wanted[n]);
	qsort(wanted, nr, sizeof(*wanted), by_id);
	for (unsigned int n = 0; n < nr; n++)
		if (memcmp(&services[n], &wanted[n], sizeof(*wanted)))
			fail(f, "service %u (%u) is listed as it is not", services[n].id,
			     wanted[n].id);

	if (call(f, VS_IOC_RULE_LIST, &list))
		fail(f, "rules: errno %d", errno);
	if (list.count != f->m->nr_rules)
		fail(f, "%u rules are listed, not %u", list.count, f->m->nr_rules);
	for (unsigned int n = 0; n < list.count; n++)
		if (memcmp(&rules[n], &f->m->rules[n], sizeof(*rules)))
			fail(f, "rule %u (%u) is listed as it is not", rules[n].id,
			     f->m->rules[n].id);
	if (call(f, VS_IOC_INFO, &info))
		fail(f, "info: errno %d", errno);
	check_info(f, &info);
}

/* Asks for a list with a mistake, or for a short list, which must equal the beginning. */
void do_list(struct fuzz *f)
{
	static __thread char items[32 * sizeof(struct vs_rule)];
	bool rules = chance(&f->random, 50);
	unsigned long request = rules ? VS_IOC_RULE_LIST : VS_IOC_LIST;
	uint32_t size = rules ? sizeof(struct vs_rule) : sizeof(struct vs_service);
	struct vs_list list = { .items = (uintptr_t)items,
				.room = below(&f->random, 30),
				.item_size = size };
	int error;

	list.after = chance(&f->random, 30) ? VS_LIST_START : below(&f->random, 20000);
	if (chance(&f->random, 5))
		list.item_size = below(&f->random, size + 32);
	if (!issue(f, request, &list, &error))
		return;
	if (list.item_size < size ? error != EINVAL : error)
		fail(f, "items of %u bytes: errno %d", list.item_size, error);
	if (!error && list.count > list.room)
		fail(f, "%u items in a room of %u", list.count, list.room);
	f->accepted[_IOC_NR(request)] += !error;
}

/*
 * Checks the invariants after any commands in any order: every parent exists, depth and number
 * of children are right.
 */
void well_formed(struct fuzz *f)
{
	static struct vs_service all[IDS + 256];
	unsigned int nr = list_services(f, all, IDS + 256, 256);

	for (unsigned int n = 0; n < nr; n++) {
		unsigned int children = 0, parent = 0;

		for (unsigned int other = 0; other < nr; other++) {
			children += other && all[other].parent == all[n].id;
			if (all[other].id == all[n].parent)
				parent = other;
			if (other != n && !strcmp(all[other].name, all[n].name))
				fail(f, "%s is there twice", all[n].name);
		}
		if (all[n].children != children || all[parent].id != all[n].parent ||
		    (n && all[n].depth != all[parent].depth + 1))
			fail(f, "service %u: %u children, not %u; parent %u; depth %u", all[n].id,
			     all[n].children, children, all[n].parent, all[n].depth);
	}
	printf("# %u services at the end\n", nr);
}
