// SPDX-License-Identifier: MIT OR Apache-2.0
/* Makes one call, possibly spoilt, and checks its answer. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "corpus.h"
#include "fuzz.h"

void fail(struct fuzz *f, const char *format, ...)
{
	va_list list;

	printf("# call %lu, %s: ", f->calls, f->name);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	if (f->input) {
		printf("\n# the input, as far as it goes:\n");
		f->input->length = f->input->at;
		input_write(stdout, f->input);
	}
	printf("\nnot ok 1 - the module does what the header says\n1..1\n");
	fflush(stdout);
	_exit(1);
}

int call(struct fuzz *f, unsigned long request, const void *argument)
{
	return ioctl(f->fd, request, argument) ? errno : 0;
}

/*
 * Issues a call; if it is spoilt, checks that it fails for that reason. Returns whether an
 * unspoilt call was made, with its errno in *error.
 */
bool issue(struct fuzz *f, unsigned long request, void *argument, int *error)
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
	} else if (damage < 8) {
		/*
		 * a longer structure whose unknown part is zero counts as one of the right length
		 */
		*error = call(f, _IOC(3, VS_IOC_MAGIC, _IOC_NR(request), size + more), f->argument);
		memcpy(argument, f->argument, size);
		return true;
	} else if (damage < 12) {
		f->argument[size + below(&f->random, more)] = 1 + below(&f->random, 255);
		request = _IOC(3, VS_IOC_MAGIC, _IOC_NR(request), size + more);
		wanted = E2BIG;
	} else if (damage < 16) {
		static const unsigned long addresses[] = {
			0, 1, 0xfff, 0xffff888000000000, -4096ul, -8ul, 0x800000000000 - 4
		};
		unsigned long address =
			addresses[below(&f->random, sizeof(addresses) / sizeof(*addresses))];
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

/*
 * Compares an answer with the model's reasons for a refusal; `may`: further reasons that the
 * model cannot know. Returns whether the command was accepted.
 */
bool judge(struct fuzz *f, unsigned int command, int error, unsigned int reason, reasons must,
	   reasons may)
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
		fail(f, "errno %d, reason %u; to expect: %#llx", error, reason,
		     (unsigned long long)must);
	if (error != model_errno(reason))
		fail(f, "errno %d does not go with reason %u", error, reason);
	return false;
}

/*
 * Checks the counters: the generation must have grown if something was changed, and only then.
 */
void check_info(struct fuzz *f, const struct vs_info *info)
{
	if (!f->m)
		return;
	if (info->abi != VS_ABI_VERSION || info->ids_max != IDS ||
	    info->services != f->m->nr_services || info->rules != f->m->nr_rules)
		fail(f, "%u services, %u rules; wanted %u, %u", info->services, info->rules,
		     f->m->nr_services, f->m->nr_rules);
	if (f->changed ? info->generation <= f->generation : info->generation != f->generation)
		fail(f, "generation %llu after %llu, with%s a change between",
		     (unsigned long long)info->generation, (unsigned long long)f->generation,
		     f->changed ? "" : "out");
	f->generation = info->generation;
	f->changed = false;
}

void free_id(struct fuzz *f, uint32_t id)
{
	f->nr_freed += !f->freed[id];
	f->freed[id] = 1;
}
