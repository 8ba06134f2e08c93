/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task, as scx_vs sees it: the node in which it is scheduled, and its place
 * there.
 *
 * The kernel calls these programs for a task under the lock of its run queue,
 * so these fields have one writer at a time. `queued` alone is changed by the
 * timer that looks for overdue tasks, too, and so is exchanged atomically.
 */
#ifndef _VS_SCHED_TASK_BPF_H
#define _VS_SCHED_TASK_BPF_H

#include "node.bpf.h"

#define EXTRA_SLICES  4		     /* each time, for a task in an RCU read section */
#define OVERDUE_AFTER 15000000000ULL /* ns */
#define READER_AFTER  500000000ULL   /* ns, for a task that waits inside an RCU read section */

struct vs_task {
	u64 vtime; /* what it used, by its nice weight, in its node's task_now */
	u64 exec;  /* the runtime that `vtime` includes */
	/* ns: the time by which it must leave its queue, whatever its node deserves */
	u64 due;
	u32 node;   /* the node it is scheduled in and, if `runnable`, counted for */
	u32 queued; /* 1 + the node in whose `waiting` it is counted; 0: none */
	u32 extra;  /* slices it was given beyond its own since it last waited, see goes_on() */
	bool runnable;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct vs_task);
} vs_tasks SEC(".maps");

static __always_inline struct vs_task *task_of(struct task_struct *p)
{
	return bpf_task_storage_get(&vs_tasks, p, NULL, 0);
}

static __always_inline u32 vs_of(struct task_struct *p)
{
	struct vs_tag *tag = tag_of(p);

	return tag ? tag->cur : VS_ROOT;
}

/* A task of the node became runnable. */
static __noinline void runnable_add(u32 id)
{
	u64 used;
	bool cut;

	if (__sync_fetch_and_add(&node_at(id)->runnable, 1))
		return;
	used = node_used(id);
	bpf_spin_lock(&lock);
	node_charge(id, used, 0);
	node_compete(id);
	cut = node_resume(id);
	bpf_spin_unlock(&lock);
	if (cut)
		count(VS_SCHED_CLAMPED);
}

/*
 * A task of the node ceased to be runnable. The time that it used is charged while its node still
 * has its share.
 */
static __noinline void runnable_sub(u32 id)
{
	u64 used;

	if (__sync_fetch_and_sub(&node_at(id)->runnable, 1) != 1)
		return;
	used = node_used(id);
	bpf_spin_lock(&lock);
	node_charge(id, used, 0);
	node_compete(id);
	bpf_spin_unlock(&lock);
}

/* The task is about to wait in the queue of `id`. */
static __noinline void waiting_add(struct vs_task *t, u32 id)
{
	struct vs_node *n = node_at(id);
	bool cut = false;
	u64 used;

	t->queued = id + 1;
	if (before(t->due, n->due)) {
		bpf_spin_lock(&lock);
		n->due = earlier(t->due, n->due);
		bpf_spin_unlock(&lock);
	}
	if (__sync_fetch_and_add(&n->waiting, 1))
		return;
	used = node_used(id);
	bpf_spin_lock(&lock);
	if (queue_key(&queue, id) == VS_NEVER) {
		node_charge(id, used, 0);
		cut = node_resume(id);
		node_place(id);
	}
	bpf_spin_unlock(&lock);
	if (cut)
		count(VS_SCHED_CLAMPED);
}

/* The task has left the queue, by whatever way. Idempotent. */
static __noinline void waiting_sub(struct vs_task *t)
{
	u32 id = __sync_lock_test_and_set(&t->queued, 0);

	if (!id)
		return;
	id--;
	if (__sync_fetch_and_sub(&node_at(id)->waiting, 1) != 1)
		return;
	bpf_spin_lock(&lock);
	node_place(id);
	bpf_spin_unlock(&lock);
}

/*
 * Moves the task to the node of its VS, if a gate has changed that VS or the
 * tree has changed, and returns the node. In its new node the task has the lag
 * it had in the old one, within a few slices.
 */
static __noinline u32 task_node(struct task_struct *p, struct vs_task *t)
{
	u32 id = node_of(vs_of(p)), old = t->node;
	s64 lag;

	if (id == old)
		return id;
	lag = t->vtime - node_at(old)->task_now;
	if (lag < -(s64)VS_SLICE)
		lag = -(s64)VS_SLICE;
	if (lag > 10 * (s64)VS_SLICE)
		lag = 10 * (s64)VS_SLICE;
	t->vtime = node_at(id)->task_now + lag;
	t->node = id;
	if (t->runnable) {
		runnable_add(id);
		runnable_sub(old);
	}
	count(VS_SCHED_REBOUND);
	return id;
}

/*
 * The task has become runnable, or begins to wait: of the time that it did not use
 * until now, asleep or held up on its CPU, it may have one slice.
 */
static __always_inline void task_resume(struct vs_task *t)
{
	t->vtime = later(t->vtime, node_at(t->node)->task_now - VS_SLICE);
}

/*
 * The task was chosen, to run or to run on, so the virtual time of its node's tasks
 * follows it. Not when it is charged: a task of nice 19 may be far ahead of the
 * others of its node by then.
 */
static __always_inline void task_chosen(struct vs_task *t)
{
	struct vs_node *n = node_at(t->node);

	n->task_now = later(n->task_now, t->vtime);
}

/* Adds the time that the task has run to its virtual time. */
static __always_inline void task_charge(struct task_struct *p, struct vs_task *t)
{
	u64 exec = p->se.sum_exec_runtime;

	t->vtime += task_time(exec - t->exec, p->scx.weight);
	t->exec = exec;
}

/*
 * Was the task preempted inside an RCU read section that it has not left yet? The
 * kernel marks it so just before it asks us what runs next.
 */
static __always_inline bool in_read_section(struct task_struct *p)
{
	return p->rcu_read_unlock_special.b.blocked;
}

/*
 * Does the task run on, to leave an RCU read section, although it is not its turn?
 * Until it leaves, nothing that RCU protects is freed anywhere, however little its
 * service deserves. A slice is long compared with a section. But a task whose system
 * calls consist of such sections can be in the next one when the slice ends, so the
 * slices are counted; and they are charged.
 */
static __always_inline bool goes_on(struct task_struct *p, struct vs_task *t)
{
	if (!in_read_section(p) || t->extra >= EXTRA_SLICES)
		return false;
	t->extra++;
	return true;
}

#endif /* _VS_SCHED_TASK_BPF_H */
