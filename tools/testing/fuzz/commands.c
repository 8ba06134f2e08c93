// SPDX-License-Identifier: MIT OR Apache-2.0
/* Commands on services, and commands that need gates, which are not attached here. */
#include <string.h>
#include "fuzz.h"

void do_info(struct fuzz *f)
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

void do_create(struct fuzz *f)
{
	struct vs_create c = { .priority = (int)below(&f->random, 7) - 3 };
	reasons must, may = 0;
	int error;

	generate_name(&f->random, c.name);
	c.id = chance(&f->random, 90) ? VS_ANY : below(&f->random, 20000);
	c.parent = any_service(&f->random, f->m);
	must = f->m ? model_create(f->m, &c) : 0;
	if (c.id < IDS && f->freed[c.id])
		may |= WHY(ID_TAKEN);
	if (c.id == VS_ANY && f->nr_freed + 2 * SERVICES_MANY > IDS)
		may |= WHY(FULL);

	struct vs_create given = c;

	if (!issue(f, VS_IOC_CREATE, &c, &error) || !judge(f, 1, error, c.reason, must, may) ||
	    !f->m)
		return;
	if (c.id == VS_ROOT || c.id >= IDS || model_find(f->m, c.id) ||
	    (given.id != VS_ANY && c.id != given.id))
		fail(f, "was given id %u", c.id);
	model_created(f->m, &given, c.id);
	f->changed = true;
}

void do_destroy(struct fuzz *f)
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

void do_change(struct fuzz *f)
{
	struct vs_change c = { .priority = (int)below(&f->random, 7) - 3 };
	int error;

	c.id = any_service(&f->random, f->m);
	/* another parent costs a grace period, too */
	c.what = chance(&f->random, 99) ? below(&f->random, 8) & ~VS_CHANGE_PARENT :
					  below(&f->random, 16);
	if (chance(&f->random, 1))
		c.what |= VS_CHANGE_PARENT;
	generate_name(&f->random, c.name);
	c.parent = any_service(&f->random, f->m);
	if (!ISSUE_RESERVED(f, VS_IOC_CHANGE, &c, reserved, &error))
		return;
	if (judge(f, 3, error, c.reason, f->m ? model_change(f->m, &c) : 0, 0))
		f->changed = true;
}

void do_set_attr(struct fuzz *f)
{
	struct vs_set_attr a = {
		.id = any_service(&f->random, f->m),
		.op = chance(&f->random, 98) ? below(&f->random, VS_ATTR_OP_COUNT) :
					       below(&f->random, 65536),
		.attr = chance(&f->random, 98) ? below(&f->random, VS_ATTR_COUNT) :
						 below(&f->random, 65536),
	};
	int error;

	if (a.op == VS_ATTR_SET || chance(&f->random, 3))
		a.value = chance(&f->random, 90) ? below(&f->random, 200) : below(&f->random, ~0u);
	if (issue(f, VS_IOC_SET_ATTR, &a, &error) &&
	    judge(f, 4, error, a.reason, f->m ? model_set_attr(f->m, &a) : 0, 0))
		f->changed = true;
}

void do_query(struct fuzz *f)
{
	struct vs_query q = { .id = chance(&f->random, 50) ? VS_ANY :
							     any_service(&f->random, f->m) };
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

void do_stat(struct fuzz *f)
{
	struct vs_stat s = { .id = any_service(&f->random, f->m) };
	int error;

	if (issue(f, VS_IOC_STAT, &s, &error) &&
	    judge(f, 7, error, s.reason, !f->m || model_find(f->m, s.id) ? 0 : WHY(NO_SERVICE),
		  0) &&
	    f->m && s.id != VS_ROOT &&
	    s.tasks + s.sockets + s.rebinds + s.refused[VS_RESOURCE_TASKS] +
		    s.refused[VS_RESOURCE_SOCKETS] + s.cpu_ns)
		fail(f, "service %u has done something", s.id);
}

/* Without gates no task can be placed, whatever other mistakes there are. */
void do_place_task(struct fuzz *f)
{
	const int fds[] = { -1, f->fd, f->socket, f->pidfd, 1000 };
	struct vs_place_task p = { .pidfd = fds[below(&f->random, 5)],
				   .id = any_service(&f->random, f->m) };
	int error;

	p.flags = chance(&f->random, 95) ? below(&f->random, 2) : below(&f->random, ~0u);
	if (issue(f, VS_IOC_PLACE_TASK, &p, &error))
		judge(f, 12, error, p.reason,
		      WHY(NO_GATES) | WHY(FD) | WHY(NO_SERVICE) | (p.flags > 1 ? INVALID : 0), 0);
}

void do_place_socket(struct fuzz *f)
{
	const int fds[] = { -1, f->fd, f->pidfd, 1000 };
	struct vs_place_socket p = { .fd = fds[below(&f->random, 4)],
				     .id = any_service(&f->random, f->m) };
	int error;

	p.flags = chance(&f->random, 95) ? 0 : below(&f->random, ~0u);
	if (issue(f, VS_IOC_PLACE_SOCKET, &p, &error))
		judge(f, 13, error, p.reason,
		      WHY(NO_GATES) | WHY(FD) | WHY(NO_SERVICE) | (p.flags ? INVALID : 0), 0);
}

void do_gate(struct fuzz *f)
{
	struct vs_gate_switch g = { .gate = below(&f->random, VS_GATE_COUNT + 2),
				    .on = chance(&f->random, 95) ? below(&f->random, 2) :
								   below(&f->random, 100) };
	bool probed = g.gate == VS_GATE_SEND || g.gate == VS_GATE_RECV ||
		      g.gate == VS_GATE_PACKET || g.gate == VS_GATE_HINT || g.gate == VS_GATE_READ;
	int error;

	if (!issue(f, VS_IOC_GATE, &g, &error))
		return;
	if (error != (g.on > 1 || !probed ? EINVAL : 0))
		fail(f, "gate=%u on=%u: errno %d", g.gate, g.on, error);
	f->accepted[15] += !error;
}

void do_tags(struct fuzz *f)
{
	struct vs_tags t = { .on = below(&f->random, 100) };
	int error;

	if (!ISSUE_RESERVED(f, VS_IOC_TAGS, &t, reserved, &error))
		return;
	if (error != (t.on > 1 ? EINVAL : 0))
		fail(f, "on=%u: errno %d", t.on, error);
	f->accepted[17] += !error;
}

/* The fuzzer's own socket is root's. */
void do_socket(struct fuzz *f)
{
	const int fds[] = { f->socket, -1, f->fd, f->pidfd, 1000 };
	struct vs_socket s = { .fd = fds[below(&f->random, 5)], .id = below(&f->random, ~0u) };
	int error;

	s.flags = chance(&f->random, 95) ? 0 : below(&f->random, ~0u);
	if (issue(f, VS_IOC_SOCKET, &s, &error) &&
	    judge(f, 16, error, s.reason,
		  (s.fd != f->socket ? WHY(FD) : 0) | (s.flags ? INVALID : 0), 0) &&
	    s.id != VS_ROOT)
		fail(f, "the socket is that of %u", s.id);
}
