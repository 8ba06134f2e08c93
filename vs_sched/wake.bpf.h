/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a task that becomes runnable could run at once: an idle CPU, or one that is
 * better taken from who has it.
 *
 * None of it takes the lock: what is read may be a moment old, and what a CPU was
 * taken for is charged all the same.
 */
#ifndef _VS_SCHED_WAKE_BPF_H
#define _VS_SCHED_WAKE_BPF_H

#include "dsq.bpf.h"

/*
 * Does the node deserve the CPU by more than a slice over the one that has it? A kernel
 * thread has been let in out of turn, so what root has not used is not on its side.
 */
static __always_inline bool deserves_more(u32 id, struct vs_claim *c)
{
	struct vs_node *n = node_at(id);
	u64 has = node_at(c->node)->vtime;

	if (c->kthread)
		has = later(has, now);
	return c->claimed && c->node != id && !n->parked &&
	       before(n->vtime + virtual_time(VS_SLICE, n->share), has);
}

/* Does none of those that wait in the task's node come before it? */
static __always_inline bool leads(struct vs_task *t, u32 id)
{
	struct task_struct *first = node_at(id)->homed ? scx_bpf_dsq_peek(id) : NULL;

	return !first || before(t->vtime, first->scx.dsq_vtime);
}

/*
 * Is the task a server that has last worked for whom the CPU works already? Then it
 * need not hurry: its time would be charged to the same node, and a server that is
 * let in for each request, not for as many as come in a slice, loses a fifth of its
 * throughput (Redis, see performance.md).
 */
static __always_inline bool served_last(struct task_struct *p, u32 id)
{
	struct vs_tag *tag = tag_of(p);

	return tag && tag->served && tag->served != tag->home && node_of(tag->served) == id;
}

/* A CPU that has nothing to do, for a task that select_cpu has not been asked about. */
static __always_inline s32 idle_for(struct task_struct *p, s32 cpu, u64 enq_flags)
{
	if (is_pinned(p))
		return scx_bpf_test_and_clear_cpu_idle(cpu) ? cpu : -1;
	return enq_flags & ENQ_SELECTED ? -1 : scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
}

#endif /* _VS_SCHED_WAKE_BPF_H */
