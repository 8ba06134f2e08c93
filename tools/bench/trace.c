// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A plugin of QEMU's emulation: counts the instructions between two marks, by
 * address. `out=FILE` names the file: for each span a line `span TOTAL`, then a
 * line `ADDRESS COUNT` for each block of instructions that ran. A mark is the
 * instruction that calls.c has for it.
 *
 * QEMU's header is not packaged: this declares the part of its interface that is
 * used, as of version 1, which QEMU 7 and 8 have.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
typedef void (*exec_cb)(unsigned int cpu, void *data);
enum { NO_REGISTERS };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags,
					    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t n);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int qemu_plugin_version = 1;

static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 'v', 's', 'v', 's' };

/* A translated block. Blocks are few, and never freed, because QEMU may run one until it ends. */
struct block {
	struct block *next; /* the next block that ran in this span */
	uint64_t address;
	uint64_t instructions;
	uint64_t count; /* how often in this span */
};

static struct block *ran;
static int counting;
static FILE *out;

static void on_block(unsigned int cpu, void *data)
{
	struct block *block = data;

	(void)cpu;
	if (!counting)
		return;
	if (!block->count++) {
		block->next = ran;
		ran = block;
	}
}

static void on_mark(unsigned int cpu, void *data)
{
	uint64_t total = 0;
	struct block *block;

	(void)cpu;
	(void)data;
	counting = !counting;
	if (counting)
		return;
	for (block = ran; block; block = block->next)
		total += block->count * block->instructions;
	fprintf(out, "span %llu\n", (unsigned long long)total);
	for (block = ran; block; block = block->next) {
		fprintf(out, "%llx %llu\n", (unsigned long long)block->address,
			(unsigned long long)(block->count * block->instructions));
		block->count = 0;
	}
	ran = NULL;
	fflush(out);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));
	size_t n;

	(void)id;
	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGISTERS, block);
	for (n = 0; n < block->instructions; n++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, n);

		if (qemu_plugin_insn_size(insn) == sizeof(mark) &&
		    !memcmp(qemu_plugin_insn_data(insn), mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, NO_REGISTERS, NULL);
	}
}

VISIBLE int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
