// SPDX-License-Identifier: MIT OR Apache-2.0
/* kcov: see coverage.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "coverage.h"

#define KCOV_INIT_TRACE _IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_TRACE_PC	0
#define ENTRIES		(1ul << 20)

static uint64_t *trace; /* the first entry is the number of entries that follow */

bool coverage_begin(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	void *area;

	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, ENTRIES))
		return false;
	area = mmap(NULL, ENTRIES * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		return false;
	trace = area;
	return true;
}

void coverage_forget(void)
{
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

/* The place of a program counter in a set, or the free place where it would be. */
static unsigned int place(const struct coverage *set, uint64_t pc)
{
	unsigned int n = pc * 0x9e3779b97f4a7c15ull >> 47;

	while (set->pcs[n] && set->pcs[n] != pc)
		n = (n + 1) % (2 * COVERAGE_MOST);
	return n;
}

static bool has(const struct coverage *set, uint64_t pc)
{
	return set->pcs[place(set, pc)];
}

static bool add(struct coverage *set, uint64_t pc)
{
	unsigned int n = place(set, pc);

	if (set->pcs[n] || set->count == COVERAGE_MOST)
		return false;
	set->pcs[n] = pc;
	set->count++;
	return true;
}

unsigned int coverage_add(struct coverage *set)
{
	unsigned int new = 0;

	for (uint64_t n = 1; trace && n <= trace[0]; n++)
		new += add(set, trace[n]);
	return new;
}

void coverage_new(const struct coverage *set, struct coverage *part)
{
	for (uint64_t n = 1; trace && n <= trace[0]; n++)
		if (!has(set, trace[n]))
			add(part, trace[n]);
}

bool coverage_has(const struct coverage *part)
{
	static struct coverage now;

	memset(&now, 0, sizeof(now));
	coverage_add(&now);
	for (unsigned int n = 0; n < 2 * COVERAGE_MOST; n++)
		if (part->pcs[n] && !has(&now, part->pcs[n]))
			return false;
	return true;
}
