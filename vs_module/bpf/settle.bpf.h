/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPU time: how much each VS has used, up to this instant.
 *
 * The kernel knows how long a task has run (se.sum_exec_runtime), not for which VS.
 * settle() splits that figure where the task's VS changes: it charges the time that
 * the task has run since it was settled last to its current VS. It has to be called
 * *before* the tag is written.
 *
 * After a reply to the work in hand it is open whether the task still works on it
 * (logic/work.rs). Its time is kept in its tag until the next event tells: then
 * close_reply() charges it to the one VS or the other. The scheduler does not wait
 * for that: it has the time used by the current VS, and is corrected if it was not.
 *
 * The part that has been charged is kept per CPU, not per task, so that tasks
 * without a tag (all of them root's) need no storage:
 *
 *   switch to A      settled = A's runtime             (account.bpf.c)
 *   re-bind A a->b   charge a, settled = runtime now   (the gates)
 *   tick             charge b, settled = runtime now   (account.bpf.c)
 *   switch to B      charge b, settled = B's runtime
 *
 * The runtime "now" is what task_sched_runtime() computes: the kernel's figure
 * plus what the run queue's clock has gone on since the kernel wrote it. So each
 * nanosecond that the kernel counts for a task is charged once, to one VS, by
 * the same figures whichever scheduler runs.
 *
 * No lock, and callers may be preempted: the caller that moves `settled` forward by
 * compare-and-swap charges the step; a caller that fails to was overtaken by another,
 * which has charged it. For the same reason a task that runs on another CPU can be
 * settled, and calling twice charges nothing twice.
 *
 * Where interrupt or stolen time is taken off a task's runtime (not in Debian's
 * kernels), what of it falls between the last update of the run queue's clock
 * and a re-binding is charged to the old VS, and the new one pays so much less.
 *
 * Context: any; does not sleep, allocate or take a lock.
 */
#ifndef _VS_SETTLE_BPF_H
#define _VS_SETTLE_BPF_H

#include "tag.bpf.h"

#ifndef VS_ID_COUNT
#define VS_ID_COUNT (1 << 14) /* VsId::COUNT of vs.ko, vs_info.ids_max */
#endif

extern const struct rq runqueues __ksym;

/* One per CPU: the task that runs there and how much of its runtime is charged. */
struct vs_cpu {
	u64 task;      /* its address, only compared; 0: not known yet */
	u64 settled;   /* its runtime up to which it is charged */
	u64 ahead;     /* of tasks without a tag: see vs_tag.ahead */
	u32 scheduler; /* scx_vs runs: nodes are to be charged too */
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct vs_cpu);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vs_cpus SEC(".maps");

/*
 * One per VS: the part of the tree that the scheduler has to know, copied from vs.ko and
 * copied anew when the generation has changed; and if the VS is a node (one with
 * a CPU weight or cap of its own), what it and those that share its CPU
 * attributes have used. scx_vs makes virtual time of `used`, and nothing else:
 * shares are as exact as the accounting.
 */
struct vs_share {
	u64 used;	/* CPU ns, of the node */
	u64 generation; /* of the rest; 0: not copied yet */
	struct vs_cpu_node node;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VS_ID_COUNT);
	__type(key, u32);
	__type(value, struct vs_share);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vs_shares SEC(".maps");

/* The entry of a VS, up to date but for a change under way. NULL: no such id. */
static __noinline struct vs_share *vs_share_of(u32 vs)
{
	struct vs_share *share = bpf_map_lookup_elem(&vs_shares, &vs);
	u64 generation = vs_generation();

	if (share && share->generation != generation) {
		/* Several CPUs may do so at once: all write the same. */
		vs_cpu_node(vs, &share->node, sizeof(share->node));
		share->generation = generation;
	}
	return share;
}

/* For the scheduler: `vs` has used so much, or less by it if it is negative. */
static __always_inline void use_cpu(struct vs_cpu *cpu, u32 vs, u64 ns)
{
	struct vs_share *share;

	if (!cpu->scheduler)
		return;
	share = vs_share_of(vs);
	if (!share)
		return;
	if (share->node.id != vs) {
		u32 node = share->node.id;

		share = bpf_map_lookup_elem(&vs_shares, &node);
		if (!share)
			return;
	}
	__sync_fetch_and_add(&share->used, ns);
}

/*
 * Whether it is open for which VS the task of this tag works. One that has been placed meanwhile
 * may still say that it has replied.
 */
static __always_inline bool is_open(const struct vs_tag *tag)
{
	return tag->replied && tag->cur != tag->home;
}

/*
 * The time that a task of this tag has used since its reply is `vs`'s, which is known now; the
 * scheduler was told that it was `cur`'s. After the tag has ceased to be open, so that nothing is
 * added to the time that is closed here: a charge that comes meanwhile closes it, see charge().
 */
static __always_inline void close_reply(struct vs_tag *tag, u32 cur, u32 vs)
{
	u64 ns = __sync_lock_test_and_set(&tag->open, 0);
	struct vs_cpu *cpu;
	u32 zero = 0;

	if (!ns)
		return;
	vs_charge_cpu(vs, ns);
	cpu = bpf_map_lookup_elem(&vs_cpus, &zero);
	if (!cpu || vs == cur)
		return;
	use_cpu(cpu, cur, -ns);
	use_cpu(cpu, vs, ns);
}

/*
 * Takes the time off `ns` that the task was charged for beyond its runtime, at an earlier switch:
 * see core__sched_switch.
 */
static __always_inline u64 not_ahead(struct vs_cpu *cpu, struct vs_tag *tag, u64 ns)
{
	u64 ahead = tag ? __sync_lock_test_and_set(&tag->ahead, 0) : cpu->ahead, left = 0;

	if (ahead > ns) {
		left = ahead - ns;
		ahead = ns;
	}
	if (!tag)
		cpu->ahead = left;
	else if (left)
		__sync_fetch_and_add(&tag->ahead, left);
	return ns - ahead;
}

/* A task of this tag (NULL: root's) has used so much. */
static __always_inline void charge(struct vs_cpu *cpu, struct vs_tag *tag, u64 ns)
{
	u32 vs = tag ? tag->cur : VS_ROOT;

	if (tag ? tag->ahead : cpu->ahead)
		ns = not_ahead(cpu, tag, ns);
	use_cpu(cpu, vs, ns);
	if (!tag || !is_open(tag)) {
		vs_charge_cpu(vs, ns);
		return;
	}
	__sync_fetch_and_add(&tag->open, ns);
	/* Another CPU, or a task that this has interrupted, may just have closed it. */
	if (!is_open(tag))
		close_reply(tag, vs, tag->home);
}

/* The runtime of a task that runs on `cpu`, as of now. */
static __always_inline u64 vs_runtime(struct task_struct *p, u32 cpu)
{
	const struct rq *rq = bpf_per_cpu_ptr(&runqueues, cpu);
	u64 start, sum, task, taken, now;
	int again;

	if (!rq)
		return 0;
	/* Once more if the kernel has just brought one of them forward. */
	for (again = 0; again < 2; again++) {
		start = *(volatile u64 *)&p->se.exec_start;
		sum = *(volatile u64 *)&p->se.sum_exec_runtime;
		task = *(volatile u64 *)&rq->clock_task;
		taken = *(volatile u64 *)&rq->clock - task;
		if (start == *(volatile u64 *)&p->se.exec_start &&
		    task == *(volatile u64 *)&rq->clock_task)
			break;
	}
	now = vs_rq_clock(cpu) - taken;
	return now > start ? sum + (now - start) : sum;
}

/*
 * Charges the time that `p`, whose tag is given, has run since it was last settled; none if it
 * does not run: it was settled when it stopped.
 */
static __always_inline void settle_by(struct task_struct *p, struct vs_tag *tag, bool counted)
{
	u32 zero = 0, nr = p->thread_info.cpu;
	struct vs_cpu *cpu = bpf_map_lookup_percpu_elem(&vs_cpus, &zero, nr);
	u64 settled, runtime;

	if (!cpu || cpu->task != (u64)p)
		return;
	settled = *(volatile u64 *)&cpu->settled;
	runtime = counted ? p->se.sum_exec_runtime : vs_runtime(p, nr);
	if (*(volatile u64 *)&cpu->task != (u64)p)
		return; /* it has stopped meanwhile, and `settled` may be another's */
	if (runtime > settled &&
	    __sync_val_compare_and_swap(&cpu->settled, settled, runtime) == settled)
		charge(cpu, tag, runtime - settled);
}

/* Up to this instant, wherever the task is. */
static __always_inline void settle(struct task_struct *p, struct vs_tag *tag)
{
	settle_by(p, tag, false);
}

/*
 * Up to where the kernel has counted, which it has just done: under the lock of
 * the run queue, in the course of a switch or a tick. By the clock it would be too
 * much: the kernel counts the time beyond its own figure for the next task.
 */
static __always_inline void settle_counted(struct task_struct *p, struct vs_tag *tag)
{
	settle_by(p, tag, true);
}

#endif /* _VS_SETTLE_BPF_H */
