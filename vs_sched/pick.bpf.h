/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Chooses the task that a CPU runs next: one of the first node, one of the CPU's
 * own queue, or the task that has run until now.
 */
#ifndef _VS_SCHED_PICK_BPF_H
#define _VS_SCHED_PICK_BPF_H

#include "dsq.bpf.h"

/* tasks of a CPU's queue that are looked at, past those of parked nodes or bound to other CPUs */
#define PINNED_LOOK 1024

static __noinline void pinned_first(s32 cpu, struct vs_due *due)
{
	struct task_struct *p;
	struct vs_task *t;

	due->looked = 0;
	due->task = 0;
	due->first = true;
	if (!scx_bpf_dsq_nr_queued(DSQ_PINNED | cpu))
		return;
	bpf_for_each(scx_dsq, p, DSQ_PINNED | cpu, 0) {
		t = task_of(p);
		if (t && !node_at(t->node)->parked) {
			due->vtime = p->scx.dsq_vtime;
			due->node = t->node;
			due->task = (u64)p;
			return;
		}
		due->first = false;
		if (++due->looked >= PINNED_LOOK)
			return;
	}
}

static __noinline bool pinned_take(s32 cpu, struct vs_due *due)
{
	struct task_struct *p;

	if (due->first)
		return scx_bpf_dsq_move_to_local(DSQ_PINNED | cpu);
	bpf_for_each(scx_dsq, p, DSQ_PINNED | cpu, 0) {
		if ((u64)p == due->task)
			return scx_bpf_dsq_move(&___it, p, DSQ_LOCAL, 0);
	}
	return false;
}

enum choice { IDLE, NODE, PINNED, KEEP, PARKED };

/*
 * Chooses the node that runs next on this CPU, and says so in c->next. Called with the lock held.
 */
static __always_inline enum choice choose(struct vs_claim *c, u64 at)
{
	u32 id = queue_first(&queue);
	enum choice choice = IDLE;
	u64 best = 0;

	if (id != VS_NOBODY) {
		c->parks = node_park(id, at);
		if (c->parks)
			return PARKED;
	}
	if (c->due.task) {
		choice = PINNED;
		best = c->due.vtime;
		c->next = c->due.node;
	}
	if (c->keeps) {
		u64 key;

		/*
		 * If a node has not had to wait, the time that it did not use would count for ever.
		 */
		if (queue_key(&queue, c->keep) == VS_NEVER)
			node_resume(c->keep);
		key = node_key(c->keep);
		if (choice == IDLE || before(key, best)) {
			choice = KEEP;
			best = key;
			c->next = c->keep;
		}
	}
	if (id != VS_NOBODY) {
		struct vs_node *n = node_at(id);

		/* The system's virtual time follows the nodes that wait. */
		now = earlier(later(now, n->vtime),
			      n->vtime + lag_max(VS_SLICE, share_now(id), competitors, nr_cpus));
		if (choice == IDLE || !before(best, queue_key(&queue, id))) {
			choice = NODE;
			c->next = id;
		}
	}
	if (choice != IDLE)
		cpu_claim(c, c->next);
	return choice;
}

/*
 * May a task that waits run on this CPU? The answer does not change until the task is
 * taken out of its queue: the kernel queues a task anew when it changes its CPU mask.
 */
static __always_inline bool may_run(struct task_struct *p, u32 cpu)
{
	u64 allowed = 0;

	if (p->nr_cpus_allowed < 2 || p->migration_disabled)
		return false;
	bpf_probe_read_kernel(&allowed, sizeof(allowed), (void *)((u64)p->cpus_ptr + cpu / 64 * 8));
	return allowed >> (cpu % 64) & 1;
}

/* The first task of the queue that may run here and whose node is not parked. */
static __noinline bool steal_from(s32 other, s32 cpu, struct vs_due *due)
{
	struct task_struct *p;
	struct vs_task *t;

	bpf_for_each(scx_dsq, p, DSQ_PINNED | other, 0) {
		if (++due->looked > PINNED_LOOK)
			break;
		if (!may_run(p, cpu))
			continue;
		t = task_of(p);
		if (t && !node_at(t->node)->parked && scx_bpf_dsq_move(&___it, p, DSQ_LOCAL, 0))
			return true;
	}
	return false;
}

/* Takes a task that another CPU has no time for; only if there is nothing else to run. */
static __noinline bool steal(s32 cpu, struct vs_due *due)
{
	s32 other;

	due->looked = 0; /* counted over all queues together */
	bpf_for(other, 0, nr_cpus) {
		if (other != cpu && scx_bpf_dsq_nr_queued(DSQ_PINNED | other) &&
		    steal_from(other, cpu, due))
			return true;
	}
	return false;
}

#endif /* _VS_SCHED_PICK_BPF_H */
