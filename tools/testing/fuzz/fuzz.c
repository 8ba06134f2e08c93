// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer for /dev/vsctl that knows what is right: fuzz [CALLS [SEED [THREADS]]]
 *
 * Commands are drawn at random, most of them plausible. A model of what the
 * header promises runs along (model.h): each answer must be the model's, and
 * from time to time everything that can be listed is compared byte for byte.
 * One call in five is spoilt on its way in (size, address, command, reserved
 * field) and must fail for that and change nothing.
 *
 * With more than one thread there is no order of calls that a model could
 * follow: then the tree must be well formed at the end, and the kernel's log
 * is the judge of the rest.
 *
 * The same seed gives the same calls on the same module. TAP; exit 0 or 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "generate.h"

#define COMMANDS	16
#define COMPARE_EVERY	4096
#define SERVICES_MANY	300	/* from here on services are rather destroyed than created */
#define RULES_MANY	100

struct fuzz {
	struct random random;
	struct model *m;	/* NULL: several threads */
	struct model next;
	int fd, socket, pidfd;
	unsigned long calls, wanted;
	uint64_t generation;
	bool changed;		/* since the generation was last looked at */
	unsigned long count[COMMANDS], accepted[COMMANDS], spoilt;
	uint64_t nanoseconds[COMMANDS];
	unsigned char freed[VS_ID_COUNT];	/* ids that may be resting */
	unsigned int nr_freed;
	const char *name;
	char argument[16384];
};

static const char *const names[COMMANDS] = {
	"info", "create", "destroy", "change", "set_attr", "query", "list", "stat", "rule_add", "rule_del", "rule_list",
	"rule_test", "place_task", "place_socket", "apply", "gate_packet",
};

static void __attribute__((noreturn, format(printf, 2, 3))) fail(struct fuzz *f, const char *format, ...)
{
	va_list list;

	printf("# call %lu, %s: ", f->calls, f->name);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\nnot ok 1 - the module does what the header says\n1..1\n");
	fflush(stdout);
	_exit(1);
}

/* ---- Calls, and how they are spoilt ---------------------------------------------------------- */

static int call(struct fuzz *f, unsigned long request, const void *argument)
{
	return ioctl(f->fd, request, argument) ? errno : 0;
}

/* Issues a call; if it is spoilt, checks that it fails for that. Returns whether it came through, its errno in *error. */
static bool issue(struct fuzz *f, unsigned long request, void *argument, int *error)
{
	size_t size = _IOC_SIZE(request), more = 1 + below(&f->random, 128);
	unsigned int damage = below(&f->random, 100);
	int wanted;

	f->calls++;
	f->count[_IOC_NR(request)]++;
	if (damage >= 20) {
		*error = call(f, request, argument);
		return true;
	}
	f->spoilt++;
	memcpy(f->argument, argument, size);
	memset(f->argument + size, 0, more);
	if (damage < 4) {
		request = _IOC(3, VS_IOC_MAGIC, _IOC_NR(request), below(&f->random, size));
		wanted = EINVAL;
	} else if (damage < 8) {	/* longer, and nothing in it that is not known: as if it were not */
		*error = call(f, _IOC(3, VS_IOC_MAGIC, _IOC_NR(request), size + more), f->argument);
		memcpy(argument, f->argument, size);
		return true;
	} else if (damage < 12) {
		f->argument[size + below(&f->random, more)] = 1 + below(&f->random, 255);
		request = _IOC(3, VS_IOC_MAGIC, _IOC_NR(request), size + more);
		wanted = E2BIG;
	} else if (damage < 16) {
		static const unsigned long addresses[] = { 0, 1, 0xfff, 0xffff888000000000, -4096ul, -8ul, 0x800000000000 - 4 };
		unsigned long address = addresses[below(&f->random, sizeof(addresses) / sizeof(*addresses))];
		int got = call(f, request, (void *)address);

		if (got != EFAULT)
			fail(f, "argument at %#lx: errno %d", address, got);
		return false;
	} else if (damage < 18) {
		request = _IOC(3, VS_IOC_MAGIC, COMMANDS + below(&f->random, 256 - COMMANDS), size);
		wanted = ENOTTY;
	} else {
		request ^= 1ul << (8 + below(&f->random, 8));
		wanted = ENOTTY;
	}
	*error = call(f, request, f->argument);
	if (*error != wanted)
		fail(f, "request %#lx: errno %d, not %d", request, *error, wanted);
	return false;
}

/* As issue(), with a reserved field that now and then is not zero. */
#define ISSUE_RESERVED(f, request, argument, field, error) ({ \
	bool through = true; \
	if (chance(&(f)->random, 2)) { \
		(argument)->field = 1u << below(&(f)->random, 8 * sizeof((argument)->field)); \
		(f)->calls++; \
		(f)->spoilt++; \
		int got = call(f, request, argument); \
		if (got != EINVAL) \
			fail(f, #field ": errno %d", got); \
		through = false; \
	} else { \
		through = issue(f, request, argument, error); \
	} \
	through; })

/* Holds an answer against the reasons that the model has; `may`: others that it cannot know. Returns whether it is yes. */
static bool judge(struct fuzz *f, unsigned int command, int error, unsigned int reason, reasons must, reasons may)
{
	if (!error) {
		if (f->m && must)
			fail(f, "accepted, reasons against it %#llx", (unsigned long long)must);
		if (reason != VS_WHY_NONE)
			fail(f, "accepted, with reason %u", reason);
		f->accepted[command]++;
		return true;
	}
	if (f->m && !((must | may) >> reason & 1))
		fail(f, "errno %d, reason %u; to expect: %#llx", error, reason, (unsigned long long)must);
	if (error != model_errno(reason))
		fail(f, "errno %d does not go with reason %u", error, reason);
	return false;
}

/* Looks at the counters: the generation must have grown if something was changed since, and only then. */
static void check_info(struct fuzz *f, const struct vs_info *info)
{
	if (!f->m)
		return;
	if (info->abi != VS_ABI_VERSION || info->services != f->m->nr_services || info->rules != f->m->nr_rules)
		fail(f, "%u services, %u rules; wanted %u, %u", info->services, info->rules, f->m->nr_services, f->m->nr_rules);
	if (f->changed ? info->generation <= f->generation : info->generation != f->generation)
		fail(f, "generation %llu after %llu, with%s a change between", (unsigned long long)info->generation,
		     (unsigned long long)f->generation, f->changed ? "" : "out");
	f->generation = info->generation;
	f->changed = false;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void do_info(struct fuzz *f)
{
	struct vs_info info = { 0 };
	int error;

	if (!issue(f, VS_IOC_INFO, &info, &error))
		return;
	if (error)
		fail(f, "errno %d", error);
	f->accepted[0]++;
	check_info(f, &info);
}

static void do_create(struct fuzz *f)
{
	struct vs_create c = { .priority = (int)below(&f->random, 7) - 3 };
	reasons must, may = 0;
	int error;

	generate_name(&f->random, c.name);
	c.id = chance(&f->random, 90) ? VS_ANY : below(&f->random, 20000);
	c.parent = any_service(&f->random, f->m);
	must = f->m ? model_create(f->m, &c) : 0;
	if (c.id < VS_ID_COUNT && f->freed[c.id])
		may |= WHY(ID_TAKEN);
	if (c.id == VS_ANY && f->nr_freed + 2 * SERVICES_MANY > VS_ID_COUNT)
		may |= WHY(FULL);

	struct vs_create given = c;

	if (!issue(f, VS_IOC_CREATE, &c, &error) || !judge(f, 1, error, c.reason, must, may) || !f->m)
		return;
	if (c.id == VS_ROOT || c.id >= VS_ID_COUNT || model_find(f->m, c.id) || (given.id != VS_ANY && c.id != given.id))
		fail(f, "was given id %u", c.id);
	model_created(f->m, &given, c.id);
	f->changed = true;
}

static void free_id(struct fuzz *f, uint32_t id)
{
	f->nr_freed += !f->freed[id];
	f->freed[id] = 1;
}

static void do_destroy(struct fuzz *f)
{
	struct vs_destroy d = { .move_to = VS_ANY };
	unsigned int children = 0, rules = 0;
	reasons must;
	int error;

	d.id = any_service(&f->random, f->m);
	if (f->m && model_find(f->m, d.id)) {
		children = model_children(f->m, d.id);
		rules = model_rules_naming(f->m, d.id);
	}
	/* an heir costs a grace period */
	if (chance(&f->random, 1))
		d.move_to = any_service(&f->random, f->m);

	struct vs_destroy given = d;

	if (!ISSUE_RESERVED(f, VS_IOC_DESTROY, &d, reserved, &error))
		return;
	must = f->m ? model_destroy(f->m, &given) : 0;
	if (error && d.reason == VS_WHY_HAS_CHILDREN && f->m && d.children != children)
		fail(f, "%u children, not %u", d.children, children);
	if (error && d.reason == VS_WHY_HAS_RULES && f->m && d.rules != rules)
		fail(f, "%u rules, not %u", d.rules, rules);
	if (judge(f, 2, error, d.reason, must, 0) && f->m) {
		free_id(f, given.id);
		f->changed = true;
	}
}

static void do_change(struct fuzz *f)
{
	struct vs_change c = { .priority = (int)below(&f->random, 7) - 3 };
	int error;

	c.id = any_service(&f->random, f->m);
	/* another parent costs a grace period, too */
	c.what = chance(&f->random, 99) ? below(&f->random, 8) & ~VS_CHANGE_PARENT : below(&f->random, 16);
	if (chance(&f->random, 1))
		c.what |= VS_CHANGE_PARENT;
	generate_name(&f->random, c.name);
	c.parent = any_service(&f->random, f->m);
	if (!ISSUE_RESERVED(f, VS_IOC_CHANGE, &c, reserved, &error))
		return;
	if (judge(f, 3, error, c.reason, f->m ? model_change(f->m, &c) : 0, 0))
		f->changed = true;
}

static void do_set_attr(struct fuzz *f)
{
	struct vs_set_attr a = {
		.id = any_service(&f->random, f->m),
		.op = chance(&f->random, 98) ? below(&f->random, VS_ATTR_OP_COUNT) : below(&f->random, 65536),
		.attr = chance(&f->random, 98) ? below(&f->random, VS_ATTR_COUNT) : below(&f->random, 65536),
	};
	int error;

	if (a.op == VS_ATTR_SET || chance(&f->random, 3))
		a.value = chance(&f->random, 90) ? below(&f->random, 200) : below(&f->random, ~0u);
	if (issue(f, VS_IOC_SET_ATTR, &a, &error) &&
	    judge(f, 4, error, a.reason, f->m ? model_set_attr(f->m, &a) : 0, 0))
		f->changed = true;
}

static void do_query(struct fuzz *f)
{
	struct vs_query q = { .id = chance(&f->random, 50) ? VS_ANY : any_service(&f->random, f->m) };
	struct vs_service wanted;
	reasons must = 0;
	int error;

	generate_name(&f->random, q.service.name);
	if (f->m)
		must = model_query(f->m, &q, &wanted);
	if (issue(f, VS_IOC_QUERY, &q, &error) && judge(f, 5, error, q.reason, must, 0) && f->m &&
	    (q.id != wanted.id || memcmp(&q.service, &wanted, sizeof(wanted))))
		fail(f, "service %u is not as it was made", wanted.id);
}

static void do_stat(struct fuzz *f)
{
	struct vs_stat s = { .id = any_service(&f->random, f->m) };
	int error;

	if (issue(f, VS_IOC_STAT, &s, &error) &&
	    judge(f, 7, error, s.reason, !f->m || model_find(f->m, s.id) ? 0 : WHY(NO_SERVICE), 0) && f->m &&
	    s.id != VS_ROOT && s.tasks + s.sockets + s.rebinds + s.refused + s.cpu_ns)
		fail(f, "service %u has done something", s.id);
}

static void do_rule_add(struct fuzz *f)
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

static void do_rule_del(struct fuzz *f)
{
	struct vs_rule rule = { 0 };
	int error;

	rule.id = f->m && f->m->nr_rules && chance(&f->random, 90) ?
		f->m->rules[below(&f->random, f->m->nr_rules)].id : below(&f->random, 1000);
	if (!ISSUE_RESERVED(f, VS_IOC_RULE_DEL, &rule, reserved1, &error))
		return;
	if (judge(f, 9, error, rule.reason, f->m ? model_rule_del(f->m, rule.id) : 0, 0))
		f->changed = true;
}

static void do_rule_test(struct fuzz *f)
{
	struct vs_rule_test test, wanted;
	reasons must = 0;
	int error;

	generate_call(&f->random, f->m, &test);
	wanted = test;
	if (f->m)
		must = model_rule_test(f->m, &test, &wanted);
	if (!ISSUE_RESERVED(f, VS_IOC_RULE_TEST, &test, reserved2, &error) ||
	    !judge(f, 11, error, test.reason, must, 0) || !f->m)
		return;
	if (test.rule != wanted.rule || test.matching != wanted.matching || memcmp(test.to, wanted.to, sizeof(test.to)))
		fail(f, "gate %u: rule %u of %u, to %x %x %x; wanted rule %u of %u, to %x %x %x", test.call.gate, test.rule,
		     test.matching, test.to[0], test.to[1], test.to[2], wanted.rule, wanted.matching, wanted.to[0],
		     wanted.to[1], wanted.to[2]);
	if (test.shapes > VS_SHAPES_MAX)
		fail(f, "%u look-ups", test.shapes);
}

/* Without gates no task can be placed, whatever else is wrong. */
static void do_place_task(struct fuzz *f)
{
	const int fds[] = { -1, f->fd, f->socket, f->pidfd, 1000 };
	struct vs_place_task p = { .pidfd = fds[below(&f->random, 5)], .id = any_service(&f->random, f->m) };
	int error;

	p.flags = chance(&f->random, 95) ? below(&f->random, 2) : below(&f->random, ~0u);
	if (issue(f, VS_IOC_PLACE_TASK, &p, &error))
		judge(f, 12, error, p.reason, WHY(NO_GATES) | WHY(FD) | WHY(NO_SERVICE) | (p.flags > 1 ? INVALID : 0), 0);
}

static void do_place_socket(struct fuzz *f)
{
	const int fds[] = { -1, f->fd, f->pidfd, 1000 };
	struct vs_place_socket p = { .fd = fds[below(&f->random, 4)], .id = any_service(&f->random, f->m) };
	int error;

	p.flags = chance(&f->random, 95) ? 0 : below(&f->random, ~0u);
	if (issue(f, VS_IOC_PLACE_SOCKET, &p, &error))
		judge(f, 13, error, p.reason, WHY(NO_GATES) | WHY(FD) | WHY(NO_SERVICE) | (p.flags ? INVALID : 0), 0);
}

static void do_gate_packet(struct fuzz *f)
{
	struct vs_gate_packet g = { .on = below(&f->random, 100) };
	int error;

	if (!ISSUE_RESERVED(f, VS_IOC_GATE_PACKET, &g, reserved, &error))
		return;
	if (error != (g.on > 1 ? EINVAL : 0))
		fail(f, "on=%u: errno %d", g.on, error);
	f->accepted[15] += !error;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	uint32_t one = ((const struct vs_service *)a)->id, other = ((const struct vs_service *)b)->id;

	return (one > other) - (one < other);
}

/* All services, in pages of `room`; returns how many there are. */
static unsigned int list_services(struct fuzz *f, struct vs_service *out, unsigned int most, unsigned int room)
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

static void compare(struct fuzz *f)
{
	static struct vs_service services[2 * MODEL_SERVICES], wanted[MODEL_SERVICES];
	static struct vs_rule rules[2 * MODEL_RULES];
	struct vs_list list = { .items = (uintptr_t)rules, .after = VS_LIST_START, .room = 2 * MODEL_RULES,
				.item_size = sizeof(*rules) };
	unsigned int nr = list_services(f, services, 2 * MODEL_SERVICES, 64 + below(&f->random, 64));
	struct vs_info info = { 0 };

	f->name = "comparison";
	if (nr != f->m->nr_services)
		fail(f, "%u services are listed, not %u", nr, f->m->nr_services);
	for (unsigned int n = 0; n < nr; n++)
		model_show(f->m, &f->m->services[n], &wanted[n]);
	qsort(wanted, nr, sizeof(*wanted), by_id);
	for (unsigned int n = 0; n < nr; n++)
		if (memcmp(&services[n], &wanted[n], sizeof(*wanted)))
			fail(f, "service %u (%u) is listed as it is not", services[n].id, wanted[n].id);

	if (call(f, VS_IOC_RULE_LIST, &list))
		fail(f, "rules: errno %d", errno);
	if (list.count != f->m->nr_rules)
		fail(f, "%u rules are listed, not %u", list.count, f->m->nr_rules);
	for (unsigned int n = 0; n < list.count; n++)
		if (memcmp(&rules[n], &f->m->rules[n], sizeof(*rules)))
			fail(f, "rule %u (%u) is listed as it is not", rules[n].id, f->m->rules[n].id);
	if (call(f, VS_IOC_INFO, &info))
		fail(f, "info: errno %d", errno);
	check_info(f, &info);
}

/* A list with something wrong, or a short one that must be the beginning. */
static void do_list(struct fuzz *f)
{
	static __thread char items[32 * sizeof(struct vs_rule)];
	bool rules = chance(&f->random, 50);
	unsigned long request = rules ? VS_IOC_RULE_LIST : VS_IOC_LIST;
	uint32_t size = rules ? sizeof(struct vs_rule) : sizeof(struct vs_service);
	struct vs_list list = { .items = (uintptr_t)items, .room = below(&f->random, 30), .item_size = size };
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

/* ---- Configurations -------------------------------------------------------------------------- */

static void do_apply(struct fuzz *f)
{
	struct vs_config_service services[8];
	struct vs_rule rules[8];
	struct vs_apply a = {
		.services = (uintptr_t)services, .nr_services = below(&f->random, 8),
		.rules = (uintptr_t)rules, .nr_rules = below(&f->random, 8),
		.service_size = sizeof(services[0]), .rule_size = sizeof(rules[0]),
		.flags = chance(&f->random, 20) ? VS_APPLY_CHECK : 0,
	};
	reasons must = 0, may = f->nr_freed + 2 * SERVICES_MANY > VS_ID_COUNT ? WHY(FULL) : 0;
	int error;

	if (chance(&f->random, 2))
		a.flags |= 1u << below(&f->random, 32);
	if (chance(&f->random, 10) || (f->m && f->m->nr_services > MODEL_SERVICES - 64))
		a.flags |= VS_APPLY_PRUNE;
	generate_config(&f->random, services, a.nr_services);
	for (unsigned int n = 0; n < a.nr_rules; n++)
		generate_rule(&f->random, f->m, &rules[n], a.nr_services + chance(&f->random, 2));
	if (f->m)
		must = model_apply(f->m, &a, &f->next);

	struct vs_apply given = a;

	if (!issue(f, VS_IOC_APPLY, &a, &error) || !judge(f, 14, error, a.reason, must, may) ||
	    given.flags & VS_APPLY_CHECK || !f->m)
		return;

	static struct vs_service listed[2 * MODEL_SERVICES];
	static struct vs_rule listed_rules[MODEL_RULES];
	unsigned int nr = list_services(f, listed, 2 * MODEL_SERVICES, 256);
	struct vs_list list = { .items = (uintptr_t)listed_rules, .after = VS_LIST_START, .room = MODEL_RULES,
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

/* ---- All together ---------------------------------------------------------------------------- */

static void step(struct fuzz *f)
{
	static void (*const does[COMMANDS])(struct fuzz *) = {
		do_info, do_create, do_destroy, do_change, do_set_attr, do_query, do_list, do_stat, do_rule_add, do_rule_del,
		do_list, do_rule_test, do_place_task, do_place_socket, do_apply, do_gate_packet,
	};
	/* in thousandths; what takes long comes seldom */
	static const unsigned short weights[COMMANDS] = { 50, 60, 60, 60, 120, 160, 10, 120, 57, 40, 10, 190, 30, 30, 2, 1 };
	int draw = below(&f->random, 1000);
	unsigned int command = 0;
	struct timespec from, to;

	while (draw >= weights[command])
		draw -= weights[command++];
	if (f->m && command == 1 && f->m->nr_services > SERVICES_MANY)
		command = 2;
	if (f->m && command == 8 && f->m->nr_rules > RULES_MANY)
		command = 9;
	f->name = names[command];
	clock_gettime(CLOCK_MONOTONIC, &from);
	does[command](f);
	clock_gettime(CLOCK_MONOTONIC, &to);
	f->nanoseconds[command] += (to.tv_sec - from.tv_sec) * 1000000000l + to.tv_nsec - from.tv_nsec;
}

static void *run(void *argument)
{
	struct fuzz *f = argument;

	while (f->calls < f->wanted)
		step(f);
	return NULL;
}

static struct fuzz *begin(unsigned long seed, struct model *m)
{
	struct fuzz *f = calloc(1, sizeof(*f));

	f->random.state = seed * 0x9e3779b97f4a7c15ull + 1;
	f->m = m;
	f->fd = open("/dev/vsctl", O_RDWR | O_CLOEXEC);
	f->socket = socket(AF_INET, SOCK_STREAM, 0);
	f->pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	if (f->fd < 0 || f->socket < 0 || f->pidfd < 0) {
		printf("Bail out! cannot open what is needed: %m\n");
		exit(1);
	}
	f->name = "begin";
	return f;
}

/* What holds whatever was done in whatever order: every parent is there, depth and number of children are right. */
static void well_formed(struct fuzz *f)
{
	static struct vs_service all[VS_ID_COUNT + 256];
	unsigned int nr = list_services(f, all, VS_ID_COUNT + 256, 256);

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
			fail(f, "service %u: %u children, not %u; parent %u; depth %u", all[n].id, all[n].children, children,
			     all[n].parent, all[n].depth);
	}
	printf("# %u services at the end\n", nr);
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	unsigned long threads = argc > 3 ? strtoul(argv[3], NULL, 0) : 1;
	static struct model model;
	struct timespec from, to;
	struct fuzz *f;

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
		f->changed = true;	/* by being loaded */
		for (unsigned long n = 1; f->calls < calls; n++) {
			step(f);
			if (n % COMPARE_EVERY == 0)
				compare(f);
		}
		compare(f);
		for (int n = 0; n < COMMANDS; n++)
			printf("# %-12s %7lu calls, %7lu accepted, %6.1f s\n", names[n], f->count[n], f->accepted[n],
			       f->nanoseconds[n] / 1e9);
		printf("# %lu spoilt, %u services and %u rules at the end\n", f->spoilt, model.nr_services, model.nr_rules);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("# %ld s\nok 1 - the module does what the header says\n1..1\n", to.tv_sec - from.tv_sec);
	return 0;
}
