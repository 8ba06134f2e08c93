// SPDX-License-Identifier: MIT OR Apache-2.0
/* Draws one command after the other. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "fuzz.h"

const char *const names[COMMANDS] = {
	"info",	      "create",	      "destroy",  "change",   "set_attr",  "query",
	"list",	      "stat",	      "rule_add", "rule_del", "rule_list", "rule_test",
	"place_task", "place_socket", "apply",	  "gate",     "socket",	   "tags",
};

void step(struct fuzz *f)
{
	static void (*const does[COMMANDS])(struct fuzz *) = {
		do_info,       do_create,	do_destroy,  do_change,	  do_set_attr, do_query,
		do_list,       do_stat,		do_rule_add, do_rule_del, do_list,     do_rule_test,
		do_place_task, do_place_socket, do_apply,    do_gate,	  do_socket,   do_tags,
	};
	/* of 1006; commands that take long are rare */
	static const unsigned short weights[COMMANDS] = { 50, 60, 60,  60, 120, 160, 10, 120, 57,
							  40, 10, 190, 30, 30,	2,   1,	 5,   1 };
	int draw = below(&f->random, 1006);
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
	f->nanoseconds[command] +=
		(to.tv_sec - from.tv_sec) * 1000000000l + to.tv_nsec - from.tv_nsec;
}

struct fuzz *begin(unsigned long seed, struct model *m)
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

/* Begins anew: root alone, as after loading. */
void reset(struct fuzz *f)
{
	struct vs_apply nothing = { .flags = VS_APPLY_PRUNE };
	struct vs_change priority = { .id = VS_ROOT, .what = VS_CHANGE_PRIORITY };
	struct vs_gate_switch packets = { .gate = VS_GATE_PACKET };
	struct vs_tags tags = { .on = 0 };
	uint32_t last_rule = f->m->last_rule;

	f->name = "reset";
	for (unsigned int n = 1; n < f->m->nr_services; n++)
		free_id(f, f->m->services[n].id);
	model_init(f->m);
	f->m->last_rule = last_rule;
	if (call(f, VS_IOC_APPLY, &nothing) || call(f, VS_IOC_CHANGE, &priority) ||
	    call(f, VS_IOC_GATE, &packets) || call(f, VS_IOC_TAGS, &tags))
		fail(f, "errno %d", errno);
	for (unsigned int attr = 0; attr < VS_ATTR_COUNT; attr++) {
		struct vs_set_attr a = { .op = VS_ATTR_SET,
					 .attr = attr,
					 .value = f->m->services[0].own[attr] };

		if (call(f, VS_IOC_SET_ATTR, &a))
			fail(f, "attribute %u: errno %d", attr, errno);
	}
	f->changed = true;
}
