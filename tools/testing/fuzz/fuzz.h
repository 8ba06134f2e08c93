/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The fuzzer: commands drawn at random, whose answers are compared with the model
 * (model.h). Most are plausible; one in five is spoilt on its way in (size,
 * address, command, reserved field), and must fail for that reason and change
 * nothing.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include "generate.h"

#define COMMANDS      18
#define SERVICES_MANY 300 /* with that many services, more are destroyed than created */
#define RULES_MANY    100

struct fuzz {
	struct random random;
	struct model *m; /* NULL: several threads */
	struct model next;
	int fd, socket, pidfd;
	unsigned long calls, wanted;
	uint64_t generation;
	bool changed; /* since the generation was last looked at */
	unsigned long count[COMMANDS], accepted[COMMANDS], spoilt;
	uint64_t nanoseconds[COMMANDS];
	unsigned char freed[IDS]; /* ids that may be resting */
	unsigned int nr_freed;
	const char *name;
	struct tape *input; /* the input that is being replayed, or NULL */
	char argument[16384];
};

/* call.c: one call, and its possible answers. fail() ends the program. */
void fail(struct fuzz *f, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
int call(struct fuzz *f, unsigned long request, const void *argument);
bool issue(struct fuzz *f, unsigned long request, void *argument, int *error);
bool judge(struct fuzz *f, unsigned int command, int error, unsigned int reason, reasons must,
	   reasons may);
void check_info(struct fuzz *f, const struct vs_info *info);
void free_id(struct fuzz *f, uint32_t id);

/* As issue(), with a reserved field that is sometimes not zero. */
#define ISSUE_RESERVED(f, request, argument, field, error)                                         \
	({                                                                                         \
		bool through = true;                                                               \
		if (chance(&(f)->random, 2)) {                                                     \
			(argument)->field = 1u                                                     \
					    << below(&(f)->random, 8 * sizeof((argument)->field)); \
			(f)->calls++;                                                              \
			(f)->spoilt++;                                                             \
			int got = call(f, request, argument);                                      \
			if (got != EINVAL)                                                         \
				fail(f, #field ": errno %d", got);                                 \
			through = false;                                                           \
		} else {                                                                           \
			through = issue(f, request, argument, error);                              \
		}                                                                                  \
		through;                                                                           \
	})

/* commands.c, rules.c, lists.c, config.c: each command, with random arguments. */
void do_info(struct fuzz *f);
void do_create(struct fuzz *f);
void do_destroy(struct fuzz *f);
void do_change(struct fuzz *f);
void do_set_attr(struct fuzz *f);
void do_query(struct fuzz *f);
void do_stat(struct fuzz *f);
void do_rule_add(struct fuzz *f);
void do_rule_del(struct fuzz *f);
void do_rule_test(struct fuzz *f);
void do_place_task(struct fuzz *f);
void do_place_socket(struct fuzz *f);
void do_gate(struct fuzz *f);
void do_tags(struct fuzz *f);
void do_socket(struct fuzz *f);
void do_list(struct fuzz *f);
void do_apply(struct fuzz *f);

/* lists.c: all services and rules. */
unsigned int list_services(struct fuzz *f, struct vs_service *out, unsigned int most,
			   unsigned int room);
void compare(struct fuzz *f);
void well_formed(struct fuzz *f);

/* step.c: one command, drawn at random; and the state to begin with. */
extern const char *const names[COMMANDS];
struct fuzz *begin(unsigned long seed, struct model *m);
void step(struct fuzz *f);
void reset(struct fuzz *f);

#endif
