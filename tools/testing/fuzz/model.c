// SPDX-License-Identifier: MIT OR Apache-2.0
/* The model's services: see model.h. */
#include <errno.h>
#include <string.h>
#include "model.h"

static const uint32_t defaults[VS_ATTR_COUNT] = {
	[VS_ATTR_CPU_WEIGHT] = 100,
	[VS_ATTR_CPU_CAP] = VS_UNLIMITED,
	[VS_ATTR_TASKS_MAX] = VS_UNLIMITED,
	[VS_ATTR_SOCKETS_MAX] = VS_UNLIMITED,
	[VS_ATTR_TASKS_ERRNO] = EAGAIN,
	[VS_ATTR_SOCKETS_ERRNO] = ENOBUFS,
	[VS_ATTR_ACCEPT_ORDER] = VS_ORDER_ARRIVAL,
};

int model_errno(unsigned int reason)
{
	static const int numbers[VS_WHY_COUNT] = {
		[VS_WHY_NONE] = EINVAL,	      [VS_WHY_NAME_BAD] = EINVAL,
		[VS_WHY_NAME_TAKEN] = EEXIST, [VS_WHY_ID_TAKEN] = EEXIST,
		[VS_WHY_NO_SERVICE] = ENOENT, [VS_WHY_ROOT] = EINVAL,
		[VS_WHY_DEPTH] = EMLINK,      [VS_WHY_CYCLE] = ELOOP,
		[VS_WHY_FULL] = ENOSPC,	      [VS_WHY_HAS_CHILDREN] = EBUSY,
		[VS_WHY_HAS_TASKS] = EBUSY,   [VS_WHY_HAS_SOCKETS] = EBUSY,
		[VS_WHY_HAS_RULES] = EBUSY,   [VS_WHY_SHARED] = EPERM,
		[VS_WHY_RANGE] = ERANGE,      [VS_WHY_GATE] = EINVAL,
		[VS_WHY_PROPERTY] = EINVAL,   [VS_WHY_ENTITY] = EINVAL,
		[VS_WHY_VALUE] = EINVAL,      [VS_WHY_NO_RULE] = ENOENT,
		[VS_WHY_NO_TASK] = ESRCH,     [VS_WHY_FD] = EBADF,
		[VS_WHY_NO_GATES] = ENOTCONN, [VS_WHY_DUPLICATE] = EEXIST,
		[VS_WHY_ORDER] = EINVAL,      [VS_WHY_OTHER_ID] = EEXIST,
	};

	return reason < VS_WHY_COUNT ? numbers[reason] : -1;
}

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->nr_services = 1;
	strcpy(m->services[0].name, "root");
	m->services[0].detached = (1 << VS_ATTR_COUNT) - 1;
	memcpy(m->services[0].own, defaults, sizeof(defaults));
}

struct service *model_find(struct model *m, uint32_t id)
{
	for (unsigned int n = 0; n < m->nr_services; n++)
		if (m->services[n].id == id)
			return &m->services[n];
	return NULL;
}

struct service *model_named(struct model *m, const char *name)
{
	for (unsigned int n = 0; n < m->nr_services; n++)
		if (!strcmp(m->services[n].name, name))
			return &m->services[n];
	return NULL;
}

unsigned int model_depth(struct model *m, uint32_t id)
{
	unsigned int depth = 0;

	for (; id != VS_ROOT; id = model_find(m, id)->parent)
		depth++;
	return depth;
}

unsigned int model_children(struct model *m, uint32_t id)
{
	unsigned int children = 0;

	for (unsigned int n = 1; n < m->nr_services; n++)
		children += m->services[n].parent == id;
	return children;
}

static bool is_within(struct model *m, uint32_t id, uint32_t top)
{
	while (id != top && id != VS_ROOT)
		id = model_find(m, id)->parent;
	return id == top;
}

/* The number of levels below a service. */
static unsigned int height(struct model *m, uint32_t id)
{
	unsigned int deepest = 0, own = model_depth(m, id);

	for (unsigned int n = 0; n < m->nr_services; n++) {
		uint32_t other = m->services[n].id;
		unsigned int depth = model_depth(m, other);

		if (depth > deepest && is_within(m, other, id))
			deepest = depth;
	}
	return deepest > own ? deepest - own : 0;
}

bool name_is_good(const char name[VS_NAME_LEN])
{
	size_t length = strnlen(name, VS_NAME_LEN);

	return length && length < VS_NAME_LEN &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static void set_name(struct service *s, const char *name)
{
	memset(s->name, 0, sizeof(s->name));
	memcpy(s->name, name, strlen(name));
}

void model_show(struct model *m, const struct service *s, struct vs_service *out)
{
	*out = (struct vs_service){
		.id = s->id,
		.parent = s->parent,
		.priority = s->priority,
		.detached = s->detached,
		.depth = model_depth(m, s->id),
		.children = model_children(m, s->id),
	};
	memcpy(out->name, s->name, sizeof(out->name));
	for (unsigned int attr = 0; attr < VS_ATTR_COUNT; attr++) {
		const struct service *owner = s;

		while (!(owner->detached & 1u << attr))
			owner = model_find(m, owner->parent);
		out->attr[attr] = owner->own[attr];
	}
}

reasons model_create(struct model *m, const struct vs_create *c)
{
	reasons why = 0;

	if (!name_is_good(c->name))
		why |= WHY(NAME_BAD);
	else if (model_named(m, c->name))
		why |= WHY(NAME_TAKEN);
	if (c->id != VS_ANY && c->id >= IDS)
		why |= WHY(RANGE);
	else if (c->id != VS_ANY && model_find(m, c->id))
		why |= WHY(ID_TAKEN);
	if (!model_find(m, c->parent))
		why |= WHY(NO_SERVICE);
	else if (model_depth(m, c->parent) == VS_DEPTH_MAX)
		why |= WHY(DEPTH);
	return why;
}

void model_created(struct model *m, const struct vs_create *c, uint32_t id)
{
	struct service *s = &m->services[m->nr_services++];

	*s = (struct service){ .id = id, .parent = c->parent, .priority = c->priority };
	set_name(s, c->name);
}

reasons model_destroy(struct model *m, const struct vs_destroy *d)
{
	struct service *s = model_find(m, d->id);
	bool heir = d->move_to != VS_ANY;
	reasons why = 0;

	if (!s || (heir && !model_find(m, d->move_to)))
		why |= WHY(NO_SERVICE);
	if (d->id == VS_ROOT || (s && d->move_to == d->id))
		why |= WHY(ROOT);
	if (s && model_children(m, d->id))
		why |= WHY(HAS_CHILDREN);
	if (s && !heir && model_rules_naming(m, d->id))
		why |= WHY(HAS_RULES);
	if (why)
		return why;

	for (unsigned int n = 0; n < m->nr_rules; n++)
		for (unsigned int e = 0; e < VS_ENTITIES; e++) {
			if (m->rules[n].from[e] == d->id)
				m->rules[n].from[e] = d->move_to;
			if (m->rules[n].to[e] == d->id)
				m->rules[n].to[e] = d->move_to;
		}
	*s = m->services[--m->nr_services];
	return 0;
}

reasons model_change(struct model *m, const struct vs_change *c)
{
	struct service *s = model_find(m, c->id);
	reasons why = 0;

	if (c->what & ~(VS_CHANGE_NAME | VS_CHANGE_PARENT | VS_CHANGE_PRIORITY))
		why |= INVALID;
	if (!s)
		why |= WHY(NO_SERVICE);
	if (c->id == VS_ROOT && c->what & (VS_CHANGE_NAME | VS_CHANGE_PARENT))
		why |= WHY(ROOT);
	if (c->what & VS_CHANGE_NAME) {
		if (!name_is_good(c->name))
			why |= WHY(NAME_BAD);
		else if (model_named(m, c->name) && model_named(m, c->name) != s)
			why |= WHY(NAME_TAKEN);
	}
	if (c->what & VS_CHANGE_PARENT) {
		if (!model_find(m, c->parent))
			why |= WHY(NO_SERVICE);
		else if (s && is_within(m, c->parent, c->id))
			why |= WHY(CYCLE);
		else if (s && s->parent != c->parent &&
			 model_depth(m, c->parent) + 1 + height(m, c->id) > VS_DEPTH_MAX)
			why |= WHY(DEPTH);
	}
	if (why)
		return why;

	if (c->what & VS_CHANGE_NAME)
		set_name(s, c->name);
	if (c->what & VS_CHANGE_PARENT)
		s->parent = c->parent;
	if (c->what & VS_CHANGE_PRIORITY)
		s->priority = c->priority;
	return 0;
}

reasons attr_check(unsigned int attr, uint32_t value)
{
	bool fits = true;

	if (attr == VS_ATTR_CPU_WEIGHT)
		fits = value >= 1 && value <= 10000;
	else if (attr == VS_ATTR_CPU_CAP)
		fits = value >= 10;
	else if (attr == VS_ATTR_TASKS_ERRNO || attr == VS_ATTR_SOCKETS_ERRNO)
		fits = value >= 1 && value <= EHWPOISON;
	else if (attr == VS_ATTR_ACCEPT_ORDER)
		fits = value < VS_ORDER_COUNT;
	return fits ? 0 : WHY(RANGE);
}

reasons model_set_attr(struct model *m, const struct vs_set_attr *a)
{
	struct service *s = model_find(m, a->id);
	struct vs_service shown;
	reasons why = 0;

	if (a->attr >= VS_ATTR_COUNT || a->op >= VS_ATTR_OP_COUNT ||
	    (a->op != VS_ATTR_SET && a->value))
		return INVALID;
	if (!s)
		why |= WHY(NO_SERVICE);
	if (a->op == VS_ATTR_SET)
		why |= attr_check(a->attr, a->value) |
		       (s && !(s->detached & 1u << a->attr) ? WHY(SHARED) : 0);
	else if (a->id == VS_ROOT)
		why |= WHY(ROOT);
	if (why)
		return why;

	model_show(m, s, &shown);
	if (a->op == VS_ATTR_SHARE)
		s->detached &= ~(1u << a->attr);
	else
		s->detached |= 1u << a->attr;
	s->own[a->attr] = a->op == VS_ATTR_SET ? a->value : shown.attr[a->attr];
	return 0;
}

reasons model_query(struct model *m, const struct vs_query *q, struct vs_service *out)
{
	struct service *s;

	if (q->id != VS_ANY)
		s = model_find(m, q->id);
	else if (!name_is_good(q->service.name))
		return WHY(NAME_BAD);
	else
		s = model_named(m, q->service.name);
	if (!s)
		return WHY(NO_SERVICE);
	model_show(m, s, out);
	return 0;
}
