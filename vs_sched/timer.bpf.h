/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The work that no scheduling event does. Timers check
 *
 * - every second, for tasks that have waited too long;
 * - every 10 ms, while nodes are parked, for caps that have filled again;
 * - shortly after a CPU went idle although there were tasks, for what it missed.
 *
 * Each has a timer of its own, because starting a timer that is armed already
 * would postpone it. Their callbacks run in softirq, hold no run queue's lock and
 * may move any task between queues, but not to a CPU (see feed()).
 *
 * Under PREEMPT_RT the kernel does not let BPF programs use timers. There vs.ko has
 * the timers (see vs_fire_after()), and the work runs in a workqueue: its thread is
 * bound to a CPU and so goes past the nodes' queues, but it waits for the end of a
 * slice.
 */
#ifndef _VS_SCHED_TIMER_BPF_H
#define _VS_SCHED_TIMER_BPF_H

#include "dsq.bpf.h"

#define OVERDUE_EVERY 1000000000ULL /* ns, between two looks */
#define OVERDUE_LOOK  8192	    /* tasks that are looked at each time */
#define PARKED_EVERY  10000000ULL   /* ns, between two looks at the parked nodes */
#define MISSED_AFTER  200000ULL	    /* ns, until an idle CPU looks again for missed tasks */

/* TIMER_QUEUES is no timer, but only work: to make queues, which may sleep. */
enum { TIMER_OVERDUE, TIMER_PARKED, TIMER_MISSED, TIMER_QUEUES, TIMERS };

struct vs_timer {
	struct bpf_timer timer; /* not used under PREEMPT_RT */
	struct bpf_wq work;	/* used under PREEMPT_RT, and for TIMER_QUEUES */
	bool making;		/* for TIMER_QUEUES: the work has been started */
};

_Static_assert(TIMERS == VS_TIMERS, "vs.ko has as many");

/* vs.ko exports it only if the kernel was built with PREEMPT_RT. */
extern void vs_fire_after(u32 which, u64 ns) __ksym __weak;
#define PREEMPT_RT bpf_ksym_exists(vs_fire_after)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TIMERS);
	__type(key, u32);
	__type(value, struct vs_timer);
	__uint(pinning, LIBBPF_PIN_BY_NAME); /* timers go with the last user of their map */
} vs_timers SEC(".maps");

u32 missed; /* CPUs that went idle since TIMER_MISSED last fired; atomic */
/* tasks seen in one look for overdue ones; not a local, whose values the verifier would follow */
u32 overdue_looked;

static __always_inline void timer_start(u32 which, u64 ns)
{
	struct vs_timer *t;

	if (PREEMPT_RT) {
		vs_fire_after(which, ns);
		return;
	}
	t = bpf_map_lookup_elem(&vs_timers, &which);
	if (t)
		bpf_timer_start(&t->timer, ns, 0);
}

/*
 * Takes the result of node_park(), after the lock is released. The first parked node starts the
 * timer, which goes on while there are any.
 */
static __always_inline void parked_one(u32 parks)
{
	if (!parks)
		return;
	count(VS_SCHED_PARKED);
	if (parks == 1)
		timer_start(TIMER_PARKED, PARKED_EVERY);
}

/*
 * A CPU goes idle although there are tasks. Further CPUs that go idle do not postpone the
 * timer; for these it may fire before the task that they missed is in its queue, so it
 * fires once more.
 */
static __always_inline void missed_one(void)
{
	if (!__sync_fetch_and_add(&missed, 1))
		timer_start(TIMER_MISSED, MISSED_AFTER);
}

/*
 * Moves the overdue tasks of one queue to the queue `to`, which is served next.
 * Returns the time at which the first of the remaining tasks becomes overdue.
 */
static __noinline u64 overdue_in(u64 dsq, u64 to, u64 at)
{
	u64 next = at + OVERDUE_AFTER;
	struct task_struct *p;
	struct vs_task *t;

	bpf_for_each(scx_dsq, p, dsq, 0) {
		if (++overdue_looked >= OVERDUE_LOOK)
			return at;
		t = task_of(p);
		if (!t)
			continue;
		if (before(at, t->due))
			next = earlier(next, t->due);
		/* It stays counted as waiting until a CPU takes it: vs_dequeue() is called then. */
		else if (scx_bpf_dsq_move(&___it, p, to, 0))
			count(VS_SCHED_OVERDUE);
	}
	return next;
}

/*
 * Moves the overdue tasks of a node's queue, if its time has come: a node's queue is
 * looked at once in the time that a task may wait, not every second. Before the look,
 * `due` is set to the earliest time at which a task that comes meanwhile can be
 * overdue. Only a task in an RCU read section can be overdue earlier (READER_AFTER);
 * it lowers `due` itself.
 */
static __noinline void overdue_of(u32 id, u64 at)
{
	struct vs_node *n = node_at(id);
	u64 next;

	if (!n->homed || before(at, n->due) || overdue_looked >= OVERDUE_LOOK)
		return;
	bpf_spin_lock(&lock);
	n->due = at + OVERDUE_AFTER;
	bpf_spin_unlock(&lock);
	next = overdue_in(id & (VS_ID_COUNT - 1), DSQ_URGENT, at);
	bpf_spin_lock(&lock);
	n->due = earlier(n->due, next);
	bpf_spin_unlock(&lock);
}

/*
 * Unparks the nodes that may run again. It goes from the last one down, because
 * the last takes the place of a node that is removed. Nothing else unparks nodes.
 */
static __noinline void look_at_parked(u64 at)
{
	u32 i, number = parked;

	bpf_for(i, 0, VS_ID_COUNT) {
		bool done = false;
		u32 id;

		if (i >= number)
			break;
		id = parked_ids[(number - 1 - i) & (VS_ID_COUNT - 1)];
		bpf_spin_lock(&lock);
		if (!node_exhausted(id, at)) {
			node_unpark(id);
			done = true;
		}
		bpf_spin_unlock(&lock);
		if (done)
			count(VS_SCHED_UNPARKED);
	}
}

/*
 * Kicks idle CPUs so that they look at the queues; a task waits there only if a CPU
 * has missed it. The CPUs are not given the task itself: a task that is moved to an
 * idle CPU is accounted as if it had run since the CPU's clock was last updated (7.2:
 * scx_bpf_dsq_move() does not update the clock, and wakeup_preempt() makes
 * __schedule() skip that).
 */
static __noinline void feed(void)
{
	u32 id = queue_first(&queue), wanted = scx_bpf_dsq_nr_queued(DSQ_URGENT);
	s32 cpu;

	if (id != VS_NOBODY)
		wanted += node_at(id)->waiting;
	bpf_for(cpu, 0, nr_cpus) {
		if ((wanted || scx_bpf_dsq_nr_queued(DSQ_PINNED | cpu)) &&
		    scx_bpf_test_and_clear_cpu_idle(cpu)) {
			vs_kick_idle(cpu);
			wanted -= !!wanted;
		}
	}
}

/* Looks for overdue tasks wherever tasks wait. */
static __noinline void look_for_overdue(u64 at)
{
	u32 place;
	s32 cpu;

	overdue_looked = 0;
	/* A node that changes its place meanwhile may be missed until the next look. */
	bpf_for(place, 0, VS_ID_COUNT) {
		if (place >= parked)
			break;
		overdue_of(parked_ids[place & (VS_ID_COUNT - 1)], at);
	}
	bpf_for(place, 0, VS_QUEUE) {
		if (place >= queue.waiting)
			break;
		overdue_of(queue.heap[place & (VS_QUEUE - 1)], at);
	}
	bpf_for(cpu, 0, nr_cpus) {
		if (!scx_bpf_dsq_nr_queued(DSQ_PINNED | cpu))
			continue;
		overdue_in(DSQ_PINNED | cpu, DSQ_OVERDUE | cpu, at);
		cpu_at(cpu)->overdue = true;
		vs_kick_idle(cpu);
	}
}

/* Under RCU. */
static __noinline void timer_look(u32 which)
{
	/* Not scx_bpf_now(), which may be as old as this CPU's last scheduling event. */
	u64 at = vs_rq_clock(bpf_get_smp_processor_id());

	switch (which) {
	case TIMER_OVERDUE:
		timer_start(which, OVERDUE_EVERY);
		/*
		 * Starts the other timers, too, should one not have started: with interrupts off,
		 * starting one takes memory.
		 */
		missed = 0;
		if (parked)
			timer_start(TIMER_PARKED, PARKED_EVERY);
		look_for_overdue(at);
		feed();
		break;
	case TIMER_PARKED:
		look_at_parked(at);
		feed();
		/* The first node that is parked after this look starts the timer again. */
		if (parked)
			timer_start(which, PARKED_EVERY);
		break;
	case TIMER_MISSED:
		if (__sync_lock_test_and_set(&missed, 0) > 1)
			missed_one();
		feed();
		break;
	}
}

static int timer_fires(void *map, u32 *key, struct vs_timer *t)
{
	timer_look(*key);
	return 0;
}

/* Makes the queues that are missing. May sleep. Returns 0 or a negative errno. */
static __noinline int make_queues(void)
{
	u32 id;
	int error;

	bpf_for(id, 0, VS_ID_COUNT) {
		struct vs_node *n = node_at(id);

		if (n->homed || (id && node_of(id) != id))
			continue;
		error = scx_bpf_create_dsq(id, -1);
		if (error && error != -17) /* EEXIST: another caller made the queue first */
			return error;
		n->homed = true;
	}
	return 0;
}

/* Runs in a work queue, so it may sleep. */
static int work_runs(void *map, int *key, void *value)
{
	struct vs_timer *t = value;

	if (*key == TIMER_QUEUES) {
		make_queues();
		t->making = false;
	} else if (PREEMPT_RT) {
		bpf_rcu_read_lock();
		timer_look(*key);
		bpf_rcu_read_unlock();
	}
	return 0;
}

/* A node without a queue was met: it has just become a node. */
static __always_inline void queues_wanted(void)
{
	u32 which = TIMER_QUEUES;
	struct vs_timer *t = bpf_map_lookup_elem(&vs_timers, &which);

	if (!t || t->making)
		return;
	t->making = true;
	if (PREEMPT_RT)
		/* bpf_wq_start() takes memory, which it is refused with interrupts off. */
		vs_fire_after(which, 0);
	else if (bpf_wq_start(&t->work, 0))
		t->making = false;
}

#endif /* _VS_SCHED_TIMER_BPF_H */
