// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Draws the arguments of commands: see generate.h. Values come from small sets, so that rules and
 * calls meet.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "generate.h"

static uint32_t draw(struct random *r)
{
	/* xorshift64*: short, and the same everywhere */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (r->state * 0x2545f4914f6cdd1dull) >> 32;
}

uint32_t below(struct random *r, uint32_t bound)
{
	struct tape *tape = r->tape;
	uint32_t drawn;

	if (!tape || tape->at == TAPE_DRAWS)
		return draw(r) % bound;
	drawn = (tape->at < tape->length ? tape->draws[tape->at] : draw(r)) % bound;
	tape->draws[tape->at++] = drawn;
	return drawn;
}

bool chance(struct random *r, uint32_t percent)
{
	return below(r, 100) < percent;
}

/* One of a list of numbers. */
#define PICK(r, ...)                                                  \
	({                                                            \
		static const uint32_t values[] = { __VA_ARGS__ };     \
		values[below(r, sizeof(values) / sizeof(values[0]))]; \
	})

uint32_t any_service(struct random *r, struct model *m)
{
	if (chance(r, 3))
		return PICK(r, 0x3fff, 0x4000, VS_REF(0), VS_HOME, VS_ANY, 0x10000, 0xffff);
	if (chance(r, 3))
		return below(r, IDS);
	if (!m)
		return below(r, 64);
	return m->services[below(r, m->nr_services)].id;
}

void generate_name(struct random *r, char name[VS_NAME_LEN])
{
	memset(name, 0, VS_NAME_LEN);
	if (chance(r, 94)) {
		snprintf(name, VS_NAME_LEN, "s%u", below(r, 300));
		if (chance(r, 5)) /* bytes after the NUL do not count */
			name[VS_NAME_LEN - 1] = 'x';
	} else if (chance(r, 50)) {
		memset(name, 'a' + below(r, 26), 1 + below(r, VS_NAME_LEN));
	} else if (chance(r, 50)) {
		for (unsigned int n = 0; n < VS_NAME_LEN; n++)
			name[n] = below(r, 256);
	} else {
		strcpy(name, chance(r, 50) ? "root" : "S1");
	}
}

static void generate_path(struct random *r, char path[VS_PATH_LEN])
{
	static const char *const paths[] = {
		"/usr/bin/x", "/usr/bin/*", "/usr/*", "/*", "/usr/bin/y/z",
		"@x",	      "@x/*",	    "@x/y",   "/",  "/usr/bin/",
		"/usr/b*",    "x",	    "",	      "*",  "/usr//*",
	};

	memset(path, 0, VS_PATH_LEN);
	if (chance(r, 98))
		strcpy(path, paths[chance(r, 90) ? below(r, 8) :
						   below(r, sizeof(paths) / sizeof(paths[0]))]);
	else if (chance(r, 50))
		memset(path, '/', 1 + below(r, VS_PATH_LEN));
	else
		for (unsigned int n = 0; n < VS_PATH_LEN; n++)
			path[n] = below(r, 256);
}

static void generate_address(struct random *r, __u8 address[16])
{
	static const __u8 mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(address, mapped, sizeof(mapped));
	address[12] = 10;
	address[13] = below(r, 2);
	address[14] = below(r, 2) << 7;
	address[15] = below(r, 3);
	if (chance(r, 10))
		address[below(r, 16)] ^= 1 << below(r, 8);
}

/* The properties' values, of a rule or a call. */
static void generate_values(struct random *r, struct vs_rule *rule)
{
	static const char *const ifaces[] = { "eth0", "lo", "eth0.1" };

	rule->uid = below(r, 3);
	rule->gid = below(r, 3);
	rule->proto = chance(r, 98) ? below(r, 3) : below(r, 256);
	rule->local_port = below(r, 3);
	rule->peer_port = below(r, 3);
	rule->local_len = chance(r, 98) ? PICK(r, 128, 96, 104, 112, 0) : below(r, 256);
	rule->peer_len = chance(r, 98) ? PICK(r, 128, 113, 104, 96) : below(r, 256);
	generate_address(r, rule->local);
	generate_address(r, rule->peer);
	strcpy(rule->iface, ifaces[below(r, 3)]);
	if (chance(r, 2))
		memset(rule->iface, PICK(r, 0, 'x', 0xff), sizeof(rule->iface));
	generate_path(r, rule->path);
	generate_path(r, rule->cgroup);
}

static unsigned int generate_gate(struct random *r)
{
	return chance(r, 97) ?
		       PICK(r, VS_GATE_FORK, VS_GATE_EXEC, VS_GATE_SOCKET, VS_GATE_CONNECT,
			    VS_GATE_ACCEPT, VS_GATE_ACCEPT, VS_GATE_RECV, VS_GATE_RECV,
			    VS_GATE_PACKET, VS_GATE_SOCKETPAIR, VS_GATE_SETUID, VS_GATE_HINT) :
		       below(r, 20);
}

/* Properties that the gate mostly has: `count` draws. */
static unsigned int generate_props(struct random *r, unsigned int gate, unsigned int count)
{
	unsigned int props = 0;

	while (count--)
		switch (gate) {
		case VS_GATE_PACKET:
			props |= PICK(r, VS_P_PROTO, VS_P_LOCAL, VS_P_LPORT, VS_P_PEER, VS_P_PPORT,
				      VS_P_IFACE);
			break;
		case VS_GATE_EXEC:
			props |= PICK(r, VS_P_PATH, VS_P_CGROUP, VS_P_UID, VS_P_GID);
			break;
		case VS_GATE_CONNECT:
		case VS_GATE_ACCEPT:
		case VS_GATE_SEND:
		case VS_GATE_RECV:
		case VS_GATE_HINT:
			props |= PICK(r, VS_P_UNIX, VS_P_CGROUP, VS_P_UID, VS_P_PROTO, VS_P_LOCAL,
				      VS_P_LPORT, VS_P_PEER, VS_P_PPORT);
			break;
		default:
			props |= PICK(r, VS_P_CGROUP, VS_P_UID, VS_P_GID);
		}
	return chance(r, 98) ? props : props ^ 1u << below(r, 32);
}

/* A rule that names services, or (places != 0) places of a configuration. */
void generate_rule(struct random *r, struct model *m, struct vs_rule *rule, unsigned int places)
{
	unsigned int entities;

	memset(rule, 0, sizeof(*rule));
	rule->gate = generate_gate(r);
	entities = gate_entities(rule->gate);
	for (unsigned int e = 0; e < VS_ENTITIES; e++) {
		bool has = e < entities || chance(r, 1);

		rule->from[e] = rule->to[e] = VS_ANY;
		if (has && chance(r, 40))
			rule->from[e] = places ? below(r, places + 1) : any_service(r, m);
		if (has && chance(r, 30))
			rule->to[e] = places ? below(r, places + 1) : any_service(r, m);
		else if (has && chance(r, 50))
			rule->to[e] = chance(r, 30) ? VS_HOME :
				      chance(r, 95) ? VS_REF(below(r, entities + !entities)) :
						      VS_REF(below(r, 16));
	}
	rule->props = generate_props(r, rule->gate, below(r, 3));
	generate_values(r, rule);
}

/* A call with many known properties, so that many rules match. */
void generate_call(struct random *r, struct model *m, struct vs_rule *call,
		   struct vs_rule_test *test)
{
	unsigned int entities;

	memset(call, 0, sizeof(*call));
	*test = (struct vs_rule_test){ .call = (uintptr_t)call, .call_size = sizeof(*call) };
	call->gate = generate_gate(r);
	entities = gate_entities(call->gate);
	for (unsigned int e = 0; e < VS_ENTITIES; e++)
		call->from[e] = e < entities || chance(r, 1) ? any_service(r, m) : VS_ANY;
	test->work = any_service(r, m);
	call->props = generate_props(r, call->gate, 12);
	generate_values(r, call);
}

void generate_config(struct random *r, struct vs_config_service *services, unsigned int nr)
{
	memset(services, 0, nr * sizeof(*services));
	for (unsigned int n = 0; n < nr; n++) {
		struct vs_config_service *s = &services[n];

		generate_name(r, s->name);
		s->parent = chance(r, 98) ? below(r, n + 1) : below(r, nr + 3);
		s->priority = (int)below(r, 7) - 3;
		if (chance(r, 50))
			s->detached |= 1u << below(r, VS_ATTR_COUNT);
		if (chance(r, 1))
			s->detached |= 1u << below(r, 32);
		s->attr[VS_ATTR_CPU_WEIGHT] = chance(r, 98) ? 1 + below(r, 10000) : 0;
		s->attr[VS_ATTR_CPU_CAP] = chance(r, 98) ? 10 + below(r, 4000) : 9;
		s->attr[VS_ATTR_TASKS_MAX] = below(r, 1000);
		s->attr[VS_ATTR_SOCKETS_MAX] = VS_UNLIMITED;
		s->attr[VS_ATTR_TASKS_ERRNO] = EPERM;
		s->attr[VS_ATTR_SOCKETS_ERRNO] = chance(r, 98) ? ENOMEM : 0;
		s->attr[VS_ATTR_ACCEPT_ORDER] = chance(r, 98) ? below(r, VS_ORDER_COUNT) :
								VS_ORDER_COUNT;
		if (chance(r, 1))
			s->attr[VS_ATTR_COUNT + below(r, VS_ATTR_MAX - VS_ATTR_COUNT)] = 1;
		if (chance(r, 5))
			s->id = chance(r, 50) ? VS_ANY : below(r, 20000);
	}
}
