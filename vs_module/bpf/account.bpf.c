// SPDX-License-Identifier: GPL-2.0
/*
 * CPU accounting: every task's CPU time goes to a VS, whichever scheduler runs.
 *
 * A task without a tag is root's, so that the sums over all services are what the
 * kernel itself has counted. The time of interrupts is that of the task they
 * interrupt, as the kernel has it; idle time is not charged.
 *
 * Both programs run on the CPU concerned, under its run queue's lock or with
 * interrupts off. See settle.bpf.h for what they share with the gates.
 */
#include "work.bpf.h"

char _license[] SEC("license") = "GPL";

#define TASK_INTERRUPTIBLE 1
#define TASK_DEAD	   0x80

/*
 * The kernel has brought prev's runtime up to date. Time beyond that on the
 * clock is spent in the switch, which the kernel counts for next.
 *
 * A task can be settled beyond its runtime: by a clock that the kernel has not read
 * for this switch, or from another CPU in the midst of it. The kernel counts that time
 * for the next task, which is charged for it, too. So the task is charged for as much less when
 * it runs again: no nanosecond is charged twice.
 *
 * Work that has been replied to ends when its task sleeps of its own accord, in
 * whatever call. A sleep that signals do not interrupt belongs to a call: it
 * waits for the disk, or for a lock of the kernel. A task that has ended, and may not be
 * waited for in long, has nothing more to send: its open time is its home's.
 */
SEC("tp_btf/sched_switch")
int BPF_PROG(core__sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	u32 zero = 0;
	struct vs_cpu *cpu = bpf_map_lookup_elem(&vs_cpus, &zero);
	u64 runtime = prev->se.sum_exec_runtime, settled, task;
	struct vs_tag *tag;

	if (!cpu)
		return 0;
	tag = tag_of(prev);
	task = cpu->task;
	*(volatile u64 *)&cpu->task = 0; /* so that no task is settled by the other one's figure */
	/* no runtime: a settle() that is under way on another CPU fails */
	settled = __sync_lock_test_and_set(&cpu->settled, ~0ULL);
	if (task == (u64)prev && prev->pid) {
		if (runtime > settled)
			charge(cpu, tag, runtime - settled);
		else if (tag)
			__sync_fetch_and_add(&tag->ahead, settled - runtime);
		else
			cpu->ahead += settled - runtime;
	}
	*(volatile u64 *)&cpu->settled = next->se.sum_exec_runtime;
	*(volatile u64 *)&cpu->task = (u64)next;
	/* settle() has nothing left to charge: prev does not run any more */
	if (!tag || !is_open(tag) || preempt)
		return 0;
	if (prev_state & TASK_INTERRUPTIBLE) {
		bind(tag, vs_work_sleeps(who(tag)), 0);
	} else if (prev_state & TASK_DEAD) {
		tag->replied = 0;
		close_reply(tag, tag->cur, tag->home);
	}
	return 0;
}

/*
 * At each tick a task that runs for long is charged, so that virtual times show it,
 * and statistics unless its time is open. The first tick after these programs were
 * attached only notes the task that runs: the account of its earlier time is not known.
 */
SEC("fentry/sched_tick")
int BPF_PROG(core__sched_tick)
{
	struct task_struct *p = bpf_get_current_task_btf();
	u32 zero = 0;
	struct vs_cpu *cpu = bpf_map_lookup_elem(&vs_cpus, &zero);
	struct vs_tag *tag;

	if (!cpu || !p->pid)
		return 0;
	if (cpu->task != (u64)p) {
		cpu->settled = vs_runtime(p, bpf_get_smp_processor_id());
		cpu->task = (u64)p;
		return 0;
	}
	tag = tag_of(p);
	settle(p, tag);
	if (has_work(tag))
		bind(tag, vs_work_ages(who(tag), (__u32)bpf_jiffies64() - tag->since), 0);
	return 0;
}
