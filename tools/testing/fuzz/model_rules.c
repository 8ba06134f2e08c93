// SPDX-License-Identifier: MIT OR Apache-2.0
/* The model's rules: see model.h. The winner is found by comparing all rules that match. */
#include <string.h>
#include "model.h"

#define TASK (VS_P_UID | VS_P_GID | VS_P_CGROUP)
#define ENDS (VS_P_PROTO | VS_P_LOCAL | VS_P_LPORT | VS_P_PEER | VS_P_PPORT)

static const struct {
	unsigned int entities, tasks, props;
} gates[VS_GATE_COUNT] = {
	[VS_GATE_FORK] = { 3, 3, TASK },
	[VS_GATE_EXEC] = { 1, 1, TASK | VS_P_PATH },
	[VS_GATE_SETUID] = { 1, 1, TASK },
	[VS_GATE_SETGID] = { 1, 1, TASK },
	[VS_GATE_SOCKET] = { 2, 1, TASK | VS_P_PROTO },
	[VS_GATE_SOCKETPAIR] = { 3, 1, TASK | VS_P_PROTO },
	[VS_GATE_CONNECT] = { 2, 1, TASK | ENDS | VS_P_UNIX },
	[VS_GATE_ACCEPT] = { 2, 1, TASK | ENDS | VS_P_UNIX },
	[VS_GATE_SEND] = { 3, 1, TASK | ENDS | VS_P_UNIX },
	[VS_GATE_RECV] = { 3, 1, TASK | ENDS | VS_P_UNIX },
	[VS_GATE_PACKET] = { 1, 0, ENDS | VS_P_IFACE },
	[VS_GATE_HINT] = { 2, 1, TASK | ENDS | VS_P_UNIX },
};

unsigned int gate_entities(unsigned int gate)
{
	return gate < VS_GATE_COUNT ? gates[gate].entities : 0;
}

unsigned int model_rules_naming(struct model *m, uint32_t id)
{
	unsigned int count = 0;

	for (unsigned int n = 0; n < m->nr_rules; n++) {
		const struct vs_rule *r = &m->rules[n];
		bool names = false;

		for (unsigned int e = 0; e < VS_ENTITIES; e++)
			names |= r->from[e] == id || r->to[e] == id;
		count += names;
	}
	return count;
}

static bool ends(const char *text, size_t room)
{
	return memchr(text, 0, room);
}

/* Checks the form of a path, without the call: a malformed path is a malformed value. */
static bool path_is_good(const char path[VS_PATH_LEN], bool is_unix)
{
	return ends(path, VS_PATH_LEN) && (path[0] == '/' || (is_unix && path[0] == '@'));
}

static unsigned int slashes(const char *path)
{
	unsigned int count = 0;

	for (; *path; path++)
		count += *path == '/';
	return count;
}

/* The number of slashes of the directory if the path ends in slash and star, else 0. */
static unsigned int directory(const char *path)
{
	size_t length = strlen(path);

	return length >= 2 && !strcmp(path + length - 2, "/*") ? slashes(path) : 0;
}

static void cut(char *text, size_t room)
{
	size_t length = strnlen(text, room);

	memset(text + length, 0, room - length);
}

static void mask(__u8 address[16], unsigned int length)
{
	for (unsigned int bit = length; bit < 128; bit++)
		address[bit / 8] &= ~(0x80 >> bit % 8);
}

/* Clears the fields of a checked rule that do not count. */
void rule_normalize(struct vs_rule *r)
{
	if (!(r->props & VS_P_UID))
		r->uid = 0;
	if (!(r->props & VS_P_GID))
		r->gid = 0;
	if (!(r->props & VS_P_PROTO))
		r->proto = 0;
	if (!(r->props & VS_P_LOCAL))
		r->local_len = 0;
	if (!(r->props & VS_P_PEER))
		r->peer_len = 0;
	if (!(r->props & VS_P_LPORT))
		r->local_port = 0;
	if (!(r->props & VS_P_PPORT))
		r->peer_port = 0;
	if (!(r->props & VS_P_IFACE))
		r->iface[0] = 0;
	if (!(r->props & (VS_P_PATH | VS_P_UNIX)))
		r->path[0] = 0;
	if (!(r->props & VS_P_CGROUP))
		r->cgroup[0] = 0;
	mask(r->local, r->local_len);
	mask(r->peer, r->peer_len);
	cut(r->iface, sizeof(r->iface));
	cut(r->path, sizeof(r->path));
	cut(r->cgroup, sizeof(r->cgroup));
	r->reason = 0;
	r->hits = 0;
}

/* Returns the reasons against a rule by itself; `exists` knows the ids that it may name. */
reasons rule_check(struct model *m, const struct vs_rule *r,
		   bool (*exists)(struct model *, uint32_t))
{
	unsigned int entities = gate_entities(r->gate);
	reasons why = 0;

	if (!entities)
		return WHY(GATE) | WHY(VALUE);
	for (unsigned int e = 0; e < VS_ENTITIES; e++) {
		if (e >= entities && (r->from[e] != VS_ANY || r->to[e] != VS_ANY))
			why |= WHY(ENTITY);
		/* a received message keeps its sender's VS, a socket in a hint its owner */
		if (((r->gate == VS_GATE_RECV && e == 2) || (r->gate == VS_GATE_HINT && e == 1)) &&
		    r->to[e] != VS_ANY)
			why |= WHY(ENTITY);
		/* and a message that is sent by these keeps its socket's VS */
		if (r->gate == VS_GATE_SEND && e == 2 && r->to[e] != VS_ANY &&
		    r->props & VS_P_PROTO &&
		    (r->proto == VS_PROTO_OTHER || r->proto == VS_PROTO_UNIX_SEQPACKET))
			why |= WHY(ENTITY);
		if (r->from[e] != VS_ANY && !exists(m, r->from[e]))
			why |= WHY(NO_SERVICE);
		if (r->to[e] == VS_ANY || r->to[e] == VS_HOME)
			continue;
		if (r->to[e] >= VS_REF(0) && r->to[e] < VS_HOME) {
			if (r->to[e] - VS_REF(0) >= entities)
				why |= WHY(ENTITY);
		} else if (!exists(m, r->to[e])) {
			why |= WHY(NO_SERVICE);
		}
	}
	if (r->props & ~gates[r->gate].props)
		why |= WHY(PROPERTY);
	if ((r->props & VS_P_PROTO && r->proto >= VS_PROTO_COUNT) ||
	    (r->props & VS_P_LOCAL && r->local_len > 128) ||
	    (r->props & VS_P_PEER && r->peer_len > 128) ||
	    (r->props & VS_P_IFACE && (!r->iface[0] || !ends(r->iface, sizeof(r->iface)))) ||
	    (r->props & (VS_P_PATH | VS_P_UNIX) && !path_is_good(r->path, r->props & VS_P_UNIX)) ||
	    (r->props & VS_P_CGROUP && !path_is_good(r->cgroup, false)))
		why |= WHY(VALUE);
	return why;
}

/*
 * The length of the prefix of that address which a look-up finds the prefixes of: see classify.rs.
 */
static unsigned int open_len(const struct vs_rule *r)
{
	return r->props & VS_P_PEER ? r->peer_len : r->local_len;
}

static const __u8 *open_address(const struct vs_rule *r)
{
	return r->props & VS_P_PEER ? r->peer : r->local;
}

/* Whether rules differ in values only, and in the prefixes of that address. */
static bool same_group(const struct vs_rule *a, const struct vs_rule *b)
{
	for (unsigned int e = 0; e < VS_ENTITIES; e++)
		if ((a->from[e] == VS_ANY) != (b->from[e] == VS_ANY))
			return false;
	return a->gate == b->gate && a->props == b->props &&
	       (!(a->props & VS_P_PEER) || a->local_len == b->local_len) &&
	       directory(a->path) == directory(b->path) &&
	       directory(a->cgroup) == directory(b->cgroup);
}

static bool prefix_matches(const __u8 pattern[16], const __u8 address[16], unsigned int length);

/* How many look-ups a call to an address in the prefix of rule `n` takes in the rule's group. */
static unsigned int lookups(const struct vs_rule *rules, unsigned int nr, unsigned int n)
{
	bool lengths[129] = { false };
	unsigned int count = 0;

	if (!(rules[n].props & (VS_P_LOCAL | VS_P_PEER)))
		return 1;
	for (unsigned int other = 0; other < nr; other++) {
		unsigned int len = open_len(&rules[other]);

		/* a whole address is looked up, whichever it is */
		if (same_group(&rules[n], &rules[other]) &&
		    (len == 128 ||
		     (len <= open_len(&rules[n]) &&
		      prefix_matches(open_address(&rules[other]), open_address(&rules[n]), len))))
			lengths[len] = true;
	}
	for (unsigned int len = 0; len <= 128; len++)
		count += lengths[len];
	return count;
}

/* Whether a call to each gate takes few enough look-ups. */
bool rules_fit(const struct vs_rule *rules, unsigned int nr)
{
	unsigned int sum[VS_GATE_COUNT] = { 0 };

	for (unsigned int n = 0; n < nr; n++) {
		unsigned int most = 0;

		for (unsigned int other = 0; other < nr; other++) {
			unsigned int count;

			if (!same_group(&rules[n], &rules[other]))
				continue;
			if (other < n) {
				most = 0; /* its group has been counted */
				break;
			}
			count = lookups(rules, nr, other);
			if (count > most)
				most = count;
		}
		sum[rules[n].gate] += most;
		if (sum[rules[n].gate] > VS_SHAPES_MAX)
			return false;
	}
	return true;
}

static bool exists(struct model *m, uint32_t id)
{
	return model_find(m, id);
}

reasons model_rule_add(struct model *m, const struct vs_rule *rule)
{
	reasons why = rule_check(m, rule, exists);

	if (!why) {
		m->rules[m->nr_rules] = *rule;
		rule_normalize(&m->rules[m->nr_rules]);
		if (!rules_fit(m->rules, m->nr_rules + 1))
			why = WHY(FULL);
	}
	return why;
}

void model_rule_added(struct model *m, const struct vs_rule *rule, uint32_t id)
{
	struct vs_rule *r = &m->rules[m->nr_rules++];

	*r = *rule;
	rule_normalize(r);
	r->id = m->last_rule = id;
}

reasons model_rule_del(struct model *m, uint32_t id)
{
	for (unsigned int n = 0; n < m->nr_rules; n++)
		if (m->rules[n].id == id) {
			memmove(&m->rules[n], &m->rules[n + 1],
				(--m->nr_rules - n) * sizeof(m->rules[0]));
			return 0;
		}
	return WHY(NO_RULE);
}

static bool prefix_matches(const __u8 pattern[16], const __u8 address[16], unsigned int length)
{
	__u8 masked[16];

	memcpy(masked, address, sizeof(masked));
	mask(masked, length);
	return !memcmp(pattern, masked, sizeof(masked));
}

static bool path_matches(const char *pattern, const char *path)
{
	size_t length = strlen(pattern) - 1;

	if (!directory(pattern))
		return !strcmp(pattern, path);
	return !strncmp(pattern, path, length) && path[length];
}

static bool matches(const struct vs_rule *r, const struct vs_rule *call)
{
	unsigned int want = r->props;

	if (r->gate != call->gate || want & ~call->props)
		return false;
	for (unsigned int e = 0; e < VS_ENTITIES; e++)
		if (r->from[e] != VS_ANY && r->from[e] != call->from[e])
			return false;
	return (!(want & VS_P_UID) || r->uid == call->uid) &&
	       (!(want & VS_P_GID) || r->gid == call->gid) &&
	       (!(want & VS_P_PROTO) || r->proto == call->proto) &&
	       (!(want & VS_P_LPORT) || r->local_port == call->local_port) &&
	       (!(want & VS_P_PPORT) || r->peer_port == call->peer_port) &&
	       (!(want & VS_P_LOCAL) || prefix_matches(r->local, call->local, r->local_len)) &&
	       (!(want & VS_P_PEER) || prefix_matches(r->peer, call->peer, r->peer_len)) &&
	       (!(want & VS_P_IFACE) || !strcmp(r->iface, call->iface)) &&
	       (!(want & (VS_P_PATH | VS_P_UNIX)) || path_matches(r->path, call->path)) &&
	       (!(want & VS_P_CGROUP) || path_matches(r->cgroup, call->cgroup));
}

static unsigned int path_depth(const char *path)
{
	return directory(path) ? directory(path) : path[0] ? 1 + slashes(path) : 0;
}

/*
 * Whether rule a, the younger one, wins over b: by priority, conditions, prefix bits, depth of
 * paths.
 */
static bool wins(struct model *m, const struct vs_rule *a, const struct vs_rule *b)
{
	const struct vs_rule *both[2] = { a, b };
	int64_t rank[2][4];

	for (int n = 0; n < 2; n++) {
		const struct vs_rule *r = both[n];
		int64_t priority = INT64_MIN;
		int conditions = __builtin_popcount(r->props);

		for (unsigned int e = 0; e < VS_ENTITIES; e++)
			if (r->from[e] != VS_ANY) {
				int64_t its = model_find(m, r->from[e])->priority;

				priority = its > priority ? its : priority;
				conditions++;
			}
		rank[n][0] = priority;
		rank[n][1] = conditions;
		rank[n][2] = r->local_len + r->peer_len;
		rank[n][3] = path_depth(r->path) + path_depth(r->cgroup);
	}
	for (int n = 0; n < 4; n++)
		if (rank[0][n] != rank[1][n])
			return rank[0][n] > rank[1][n];
	return false;
}

reasons model_rule_test(struct model *m, const struct vs_rule_test *t, struct vs_rule_test *out)
{
	const struct vs_rule *call = (const void *)(uintptr_t)t->call, *best = NULL;
	unsigned int entities = gate_entities(call->gate);
	reasons why = 0;
	/* a task stands for its home on the left, and for the VS that it works for on the right */
	bool task = entities && gates[call->gate].tasks;
	uint32_t home = task ? call->from[0] : VS_ROOT;

	if (!entities)
		return WHY(GATE);
	if (call->props & ~gates[call->gate].props)
		why |= WHY(PROPERTY);
	for (unsigned int e = 0; e < VS_ENTITIES; e++)
		if (e < entities && !model_find(m, call->from[e]))
			why |= WHY(NO_SERVICE);
		else if (e >= entities && call->from[e] != VS_ANY && call->from[e] != VS_ROOT)
			why |= WHY(ENTITY);
	if (!model_find(m, t->work))
		why |= WHY(NO_SERVICE);
	if ((call->props & VS_P_IFACE && !ends(call->iface, sizeof(call->iface))) ||
	    (call->props & (VS_P_PATH | VS_P_UNIX) && !ends(call->path, sizeof(call->path))) ||
	    (call->props & VS_P_CGROUP && !ends(call->cgroup, sizeof(call->cgroup))))
		why |= WHY(VALUE);
	if (why)
		return why;

	out->matching = 0;
	for (unsigned int n = 0; n < m->nr_rules; n++)
		if (matches(&m->rules[n], call)) {
			out->matching++;
			if (!best || wins(m, &m->rules[n], best))
				best = &m->rules[n];
		}
	out->rule = best ? best->id : VS_LIST_START;
	for (unsigned int e = 0; e < VS_ENTITIES; e++) {
		unsigned int to = best ? best->to[e] : VS_ANY;

		if (e >= entities || to == VS_ANY) {
			out->to[e] = e < entities ? call->from[e] : VS_ANY;
		} else if (to == VS_HOME) {
			out->to[e] = home;
		} else if (to >= VS_REF(0)) {
			out->to[e] = to == VS_REF(0) && task ? t->work : call->from[to - VS_REF(0)];
			if (out->to[e] == VS_ROOT && e < gates[call->gate].tasks)
				out->to[e] = home;
		} else {
			out->to[e] = to;
		}
	}
	return 0;
}
