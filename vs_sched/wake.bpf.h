/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds a CPU on which a task that becomes runnable can run at once: an idle one,
 * or one whose task it should preempt.
 *
 * None of it takes the lock: the values read may be a moment old, and the time
 * used is charged correctly all the same.
 */
#ifndef _VS_SCHED_WAKE_BPF_H
#define _VS_SCHED_WAKE_BPF_H

#include "dsq.bpf.h"

/*
 * Does the node deserve the CPU by more than a slice over the node that has it? A
 * kernel thread was let in out of turn, so time that root has left unused does not
 * speak for it.
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

/* Does no task that waits in the same node come before this task? */
static __always_inline bool leads(struct vs_task *t, u32 id)
{
	struct task_struct *first = node_at(id)->homed ? scx_bpf_dsq_peek(id) : NULL;

	return !first || before(t->vtime, first->scx.dsq_vtime);
}

/*
 * Is the task a server that last worked for the node that has the CPU already? Then
 * it need not hurry: its time would be charged to the same node. A server that
 * preempts for each request, instead of taking all that come in a slice, loses a
 * fifth of its throughput (Redis, see performance.md).
 */
static __always_inline bool served_last(struct task_struct *p, u32 id)
{
	struct vs_tag *tag = tag_of(p);

	return tag && tag->served && tag->served != tag->home && node_of(tag->served) == id;
}

/* An idle CPU for a task that did not go through select_cpu. */
static __always_inline s32 idle_for(struct task_struct *p, s32 cpu, u64 enq_flags)
{
	if (is_pinned(p))
		return scx_bpf_test_and_clear_cpu_idle(cpu) ? cpu : -1;
	return enq_flags & ENQ_SELECTED ? -1 : scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
}

#endif /* _VS_SCHED_WAKE_BPF_H */
