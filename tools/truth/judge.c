// SPDX-License-Identifier: MIT OR Apache-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "judge.h"

/* the names of types that the kernel's side of the header uses */
typedef __u32 u32;
typedef __u64 u64;
#include "../../vs_module/kfuncs.h"

#define EXAMPLES 8

const long burnt[TENANTS] = { 200 * US, 500 * US, 300 * US };
static const long burnt_own = 100 * US;

static struct {
	struct {
		unsigned long served, verdict[3];
		long cpu;
	} of[TENANTS];
	struct {
		unsigned long done, wrong;
		long cpu;
	} own;
	unsigned long examples;
	struct {
		char knew; /* the tenant, or '-': none */
		char at[31];
		uint16_t home, current;
		bool replied; /* it was open for which of the two the task worked */
	} example[EXAMPLES];
} *all;

static uint16_t server_id, ids[TENANTS];
static int tags; /* the map */

#define add(counter, amount) __atomic_add_fetch(&(counter), amount, __ATOMIC_RELAXED)

void judge_opens(char *const services[1 + TENANTS])
{
	static const char path[] = "/sys/fs/bpf/vs/vs_tags";
	union bpf_attr pinned = { .pathname = (uintptr_t)path, .file_flags = BPF_F_RDONLY };
	struct bpf_map_info info = {};
	union bpf_attr ask = {};

	server_id = atoi(services[0]);
	for (int i = 0; i < TENANTS; i++)
		ids[i] = atoi(services[1 + i]);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		exit(1);
	tags = must(syscall(SYS_bpf, BPF_OBJ_GET, &pinned, sizeof(pinned)));
	ask.info.bpf_fd = tags;
	ask.info.info_len = sizeof(info);
	ask.info.info = (uintptr_t)&info;
	must(syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &ask, sizeof(ask)));
	if (info.value_size != sizeof(struct vs_tag)) {
		fprintf(stderr, "a tag has %u bytes, here %zu: run make tools\n", info.value_size,
			sizeof(struct vs_tag));
		exit(1);
	}
}

/* Reads the calling thread's tag. */
static struct vs_tag tag(void)
{
	static __thread pid_t known;
	static __thread int self;
	struct vs_tag value = {};
	union bpf_attr lookup = {
		.map_fd = tags,
		.key = (uintptr_t)&self,
		.value = (uintptr_t)&value,
	};

	if (known != gettid()) {
		/* PIDFD_THREAD: of the thread, not its process */
		self = must(syscall(SYS_pidfd_open, gettid(), O_EXCL));
		known = gettid();
	}
	must(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &lookup, sizeof(lookup)));
	return value;
}

/*
 * Compares the tag with the caller's knowledge: it works for `tenant`, or (-1) for no tenant.
 * After a reply the kernel leaves the question open until it knows more; its answer shows in the
 * CPU time.
 */
static enum verdict judge(int tenant, const char *at)
{
	struct vs_tag has = tag();
	unsigned long number;

	if (tenant >= 0 && has.cur == ids[tenant])
		return RIGHT;
	/* open: the home's, unless more of the reply follows, which the charges would show */
	if (has.cur == server_id || has.replied)
		return HOME;
	number = add(all->examples, 1) - 1;
	if (number < EXAMPLES) {
		all->example[number].knew = tenant < 0 ? '-' : 'a' + tenant;
		strncpy(all->example[number].at, at, sizeof(all->example[number].at) - 1);
		all->example[number].home = has.home;
		all->example[number].current = has.cur;
		all->example[number].replied = has.replied;
	}
	return WRONG;
}

void burn(long ns)
{
	long end = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

struct turn begin(const struct message *request)
{
	struct turn turn = {
		.tenant = request->tenant - 'a',
		.begun = now(CLOCK_THREAD_CPUTIME_ID),
	};

	turn.verdict = judge(turn.tenant, "after the receipt");
	return turn;
}

void worsen(struct turn *turn, enum verdict verdict)
{
	if (verdict > turn->verdict)
		turn->verdict = verdict;
}

void look(struct turn *turn, const char *at)
{
	worsen(turn, judge(turn->tenant, at));
}

void leave(struct turn *turn)
{
	turn->used += now(CLOCK_THREAD_CPUTIME_ID) - turn->begun;
}

void again(struct turn *turn)
{
	turn->begun = now(CLOCK_THREAD_CPUTIME_ID);
}

/* The CPU time that the calling thread has counted for requests, and the tenant of the last one. */
static __thread long counted;
static __thread int last_tenant;

void finish_part(struct turn *turn)
{
	leave(turn);
	add(all->of[turn->tenant].cpu, turn->used);
	counted += turn->used;
	last_tenant = turn->tenant;
}

void finish(struct turn *turn)
{
	finish_part(turn);
	add(all->of[turn->tenant].verdict[turn->verdict], 1);
	add(all->of[turn->tenant].served, 1);
}

void all_begins(void)
{
	counted = 0;
}

void all_ends(void)
{
	add(all->of[last_tenant].cpu, now(CLOCK_THREAD_CPUTIME_ID) - counted);
}

struct turn work(const struct message *request)
{
	struct turn turn = begin(request);

	burn(burnt[turn.tenant]);
	look(&turn, "before the reply");
	return turn;
}

void own(const char *at)
{
	long begun = now(CLOCK_THREAD_CPUTIME_ID);
	enum verdict first = judge(-1, at), second;

	burn(burnt_own);
	second = judge(-1, at);
	add(all->own.done, 1);
	add(all->own.cpu, now(CLOCK_THREAD_CPUTIME_ID) - begun);
	if (first == WRONG || second == WRONG)
		add(all->own.wrong, 1);
}

void report(void)
{
	unsigned long served = 0, verdict[3] = {}, count = all->examples;

	printf("{\"cpu\": [%ld, %ld, %ld], ", all->of[0].cpu, all->of[1].cpu, all->of[2].cpu);
	for (int i = 0; i < TENANTS; i++) {
		served += all->of[i].served;
		for (int j = 0; j < 3; j++)
			verdict[j] += all->of[i].verdict[j];
	}
	printf("\"served\": %lu, \"right\": %lu, \"home\": %lu, \"wrong\": %lu, ", served,
	       verdict[RIGHT], verdict[HOME], verdict[WRONG]);
	printf("\"own\": %lu, \"own_cpu\": %ld, \"own_wrong\": %lu, \"examples\": [", all->own.done,
	       all->own.cpu, all->own.wrong);
	for (unsigned long i = 0; i < count && i < EXAMPLES; i++)
		printf("%s{\"knew\": \"%c\", \"at\": \"%s\", \"home\": %u, \"current\": %u, "
		       "\"replied\": %s}",
		       i ? ", " : "", all->example[i].knew, all->example[i].at,
		       all->example[i].home, all->example[i].current,
		       all->example[i].replied ? "true" : "false");
	puts("]}");
	fflush(stdout);
}
