/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The queues of tasks (sched_ext's DSQs), and the calls into the kernel that
 * concern them.
 *
 * A node's tasks wait in the DSQ with the node's id, by their virtual times. Tasks
 * that may not run on every CPU wait in DSQ_PINNED of a CPU that they may run on.
 * Kernel threads and overdue tasks (those that have waited too long) wait in
 * DSQ_URGENT and DSQ_OVERDUE, which a CPU looks at first, every other time.
 */
#ifndef _VS_SCHED_DSQ_BPF_H
#define _VS_SCHED_DSQ_BPF_H

#include "task.bpf.h"

/* Beside those with nodes' ids, which are below. */
#define DSQ_PINNED  (1ULL << 20) /* | CPU */
#define DSQ_OVERDUE (1ULL << 21) /* | CPU: those of DSQ_PINNED that have waited too long */
#define DSQ_URGENT  (1ULL << 22)

/* Values of the running kernel, not of the one we were built for. */
#define DSQ_LOCAL    bpf_core_enum_value(enum scx_dsq_id_flags, SCX_DSQ_LOCAL)
#define DSQ_LOCAL_ON bpf_core_enum_value(enum scx_dsq_id_flags, SCX_DSQ_LOCAL_ON)
#define ENQ_WAKEUP   bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_WAKEUP)
#define ENQ_SELECTED bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_CPU_SELECTED)
#define ENQ_HEAD     bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_HEAD)
#define ENQ_LAST     bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_LAST)
#define ENQ_PREEMPT  bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_PREEMPT)
#define TASK_QUEUED  bpf_core_enum_value(enum scx_ent_flags, SCX_TASK_QUEUED)
#define PF_KTHREAD   0x00200000

/*
 * In Debian's 7.2 the kernel's own description of this function, as of some others
 * (scx_bpf_kick_cpu among them), came out wrong, and it cannot be called; there the
 * field can still be written. So CPUs are preempted by giving them a task, and idle
 * ones woken by vs_kick_idle().
 */
extern bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice) __ksym __weak;

static __always_inline void set_slice(struct task_struct *p, u64 slice)
{
	if (bpf_ksym_exists(scx_bpf_task_set_slice))
		scx_bpf_task_set_slice(p, slice);
	else
		p->scx.slice = slice;
}

/*
 * The CPUs that a task without affinity may run on at least. Not the possible CPUs:
 * where CPUs can be hotplugged there are more of these, and a task in a cpuset is
 * allowed the CPUs that are present only.
 */
u32 nr_online = 1;

static __always_inline bool is_pinned(struct task_struct *p)
{
	/* For the running task, entering this BPF program has disabled migration once. */
	u32 own = p == bpf_get_current_task_btf();

	return p->nr_cpus_allowed < nr_online || p->migration_disabled > own;
}

/* Takes an urgent task: one that others wait for, or that is overdue itself. */
static __always_inline bool take_urgent(s32 cpu, struct vs_claim *c)
{
	if (scx_bpf_dsq_move_to_local(DSQ_URGENT))
		return true;
	if (!c->overdue)
		return false;
	/* Cleared before the look: the timer sets it after it has moved a task. */
	c->overdue = false;
	if (!scx_bpf_dsq_move_to_local(DSQ_OVERDUE | cpu))
		return false;
	c->overdue = true;
	return true;
}

#endif /* _VS_SCHED_DSQ_BPF_H */
