/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The work that no scheduling event does. Timers look
 *
 * - every second, for tasks that have waited too long;
 * - every 10 ms, while nodes are parked, whether their caps have filled again;
 * - shortly after a CPU went idle although there were tasks, for what it missed.
 *
 * Each is one of its own: who starts a timer that is started already puts it off.
 * Their callbacks run in softirq, hold no run queue's lock and may move any task
 * between queues, but to a CPU (see feed()).
 *
 * Under PREEMPT_RT the kernel refuses BPF its timers. There vs.ko has them (see
 * vs_fire_after()), and what has to happen runs in a work queue: its thread is bound
 * to a CPU and so passes the nodes' queues, but waits for the end of a slice.
 */
#ifndef _VS_SCHED_TIMER_BPF_H
#define _VS_SCHED_TIMER_BPF_H

#include "dsq.bpf.h"

#define OVERDUE_EVERY 1000000000ULL /* ns, between two looks */
#define OVERDUE_LOOK  8192	    /* tasks looked at each time */
#define PARKED_EVERY  10000000ULL   /* ns, between two looks at what is parked */
#define MISSED_AFTER  200000ULL	    /* ns, until an idle CPU is given what it has missed */

/* TIMER_QUEUES is none, but work alone: to make queues, which may sleep. */
enum { TIMER_OVERDUE, TIMER_PARKED, TIMER_MISSED, TIMER_QUEUES, TIMERS };

struct vs_timer {
	struct bpf_timer timer; /* not used under PREEMPT_RT */
	struct bpf_wq work;	/* used under PREEMPT_RT, and by TIMER_QUEUES */
	bool making;		/* of TIMER_QUEUES: it has been started */
};

_Static_assert(TIMERS == VS_TIMERS, "vs.ko has as many");

/* vs.ko has it where the kernel was built with PREEMPT_RT, and only there. */
extern void vs_fire_after(u32 which, u64 ns) __ksym __weak;
#define PREEMPT_RT bpf_ksym_exists(vs_fire_after)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TIMERS);
	__type(key, u32);
	__type(value, struct vs_timer);
	__uint(pinning, LIBBPF_PIN_BY_NAME); /* timers go with the last user of their map */
} vs_timers SEC(".maps");

u32 missed; /* CPUs that went idle since TIMER_MISSED has fired last; atomic */
/* tasks, in one look for overdue ones; not a local, which would be the verifier's to count */
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
 * After the lock: what node_park() has said. With the first one the timer begins; it goes on while
 * there are any.
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
 * A CPU goes idle although there are tasks. The next ones that do so do not put the timer
 * off; for them it may come before what they missed is in its queue, so it fires once more.
 */
static __always_inline void missed_one(void)
{
	if (!__sync_fetch_and_add(&missed, 1))
		timer_start(TIMER_MISSED, MISSED_AFTER);
}

/*
 * Moves the tasks of one queue that are overdue to where they are served next. Returns
 * when the first of the others is.
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
 * The same for a node's queue, if the time has come: a node has a look once in as long
 * as a task may wait, not every second. Before the look `due` is put to where whoever
 * comes meanwhile is no earlier, a reader (READER_AFTER) excepted, who lowers it.
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
 * Looks whether what is parked may run again. From the last one on: who leaves is
 * replaced by it. Nobody else unparks.
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
 * Has idle CPUs look at what waits; there is something only where a CPU has missed it.
 * They are not given a task: one that is moved to an idle CPU is counted as if it had
 * run since the CPU's clock was last looked at (7.2: scx_bpf_dsq_move() does not bring
 * it up to date, and wakeup_preempt() has __schedule() skip that).
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
	/* A node that changes its place meanwhile may be missed, until the next look. */
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
	/* Not scx_bpf_now(), which may be as of this CPU's last scheduling event. */
	u64 at = vs_rq_clock(bpf_get_smp_processor_id());

	switch (which) {
	case TIMER_OVERDUE:
		timer_start(which, OVERDUE_EVERY);
		/*
		 * Should one of the others not have started: with interrupts off that takes memory.
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
		/* The first one after this look starts it again. */
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

/* Makes the queues that are missing. May sleep. 0 or a negative errno. */
static __noinline int make_queues(void)
{
	u32 id;
	int error;

	bpf_for(id, 0, VS_ID_COUNT) {
		struct vs_node *n = node_at(id);

		if (n->homed || (id && node_of(id) != id))
			continue;
		error = scx_bpf_create_dsq(id, -1);
		if (error && error != -17) /* EEXIST: the other one who makes queues was faster */
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

/* A node was met that has no queue: it became one just now. */
static __always_inline void queues_wanted(void)
{
	u32 which = TIMER_QUEUES;
	struct vs_timer *t = bpf_map_lookup_elem(&vs_timers, &which);

	if (!t || t->making)
		return;
	t->making = true;
	if (PREEMPT_RT)
		/* With interrupts off bpf_wq_start() takes memory, which is refused there. */
		vs_fire_after(which, 0);
	else if (bpf_wq_start(&t->work, 0))
		t->making = false;
}

#endif /* _VS_SCHED_TIMER_BPF_H */
