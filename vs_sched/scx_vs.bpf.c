// SPDX-License-Identifier: GPL-2.0
/*
 * scx_vs: CPU time by virtual service.
 *
 * Weighted fair shares over the tree of services, then over the tasks of one
 * service by their nice weight. A task is charged to its *current* VS, which
 * changes while it runs: a server's thread takes the next tenant's request
 * without a call to the scheduler. So charges do not follow from what was
 * scheduled, but from what settle() has accounted (settle.bpf.h), and the order
 * of service follows from these charges alone.
 *
 * A node is a service with a CPU weight or cap of its own; a service that shares
 * both with its parent is part of the parent's node. A node's own tasks compete
 * with its child nodes as one more child of weight 100 (root's own: of root's
 * weight). Take
 *
 *   root (100) +-- a (300) --+-- a1 (100)
 *              |             +-- a2 (200)
 *              +-- b (100)
 *
 * and let a1, a2, b and untagged tasks all want to run. b's share is 100 / (300 +
 * 100 + 100) = 1/5, so is that of root's own tasks, and a's is 3/5, of which a1
 * has 1/3 and a2 2/3: 1/5 and 2/5 of all. If a2 goes to sleep, a1 has all of a's
 * 3/5. The tree is flattened to those products (`share`), which are computed anew
 * when the set of nodes that compete has changed.
 *
 * A node's virtual time grows by what it uses divided by its share, so nodes that
 * get their share keep step with the system's virtual time, which is just the CPU
 * time used by all. A CPU takes the first task of the node that is furthest
 * behind, or lets the present one go on if its node is; each tick asks anew. A
 * node that did not wait until now is taken to be no further behind than fair
 * service could leave it, nor further ahead (see resume() in arith.h): CPU time
 * that it did not want cannot be saved up, and time that no other node wanted is
 * free.
 *
 * Tasks that may not run everywhere wait in the queue of a CPU they may run on,
 * by the virtual time that their node had; the CPU weighs the first of those
 * against the first node.
 *
 * Kernel threads do not wait for root's share, because other tasks wait for them: those
 * that may not run everywhere go past all queues, the others are urgent. Of two tasks
 * that a CPU takes, one is urgent, if there are any. The time that kernel threads use is
 * charged to root all the same.
 *
 * A node that has used up its cap, or that of a node above it, is parked: it leaves
 * the order and the sums until the bucket fills again (a timer, 10 ms). The cap is
 * checked at each tick and whenever a CPU chooses anew, so bursts between two ticks
 * count too. Kernel threads go on all the same, as other tasks wait for them.
 *
 * Bound: a task that has waited for OVERDUE_AFTER = 15 s is served within the next
 * second or two, whatever its VS, share, nice level or cap: it is urgent too. This
 * holds up to some 1,500 waiting tasks for each CPU; the kernel's watchdog ejects
 * this scheduler at 30 s. A share or cap is therefore kept as long as a node has not
 * more tasks that always want to run than 15 s of it have ticks: 37 of them at the
 * smallest cap, ten thousandths of a CPU, where HZ is 250.
 *
 * A task that is preempted inside an RCU read section holds up the grace period, and
 * with it all that RCU is to free, for everybody. It is given up to EXTRA_SLICES to
 * leave the section. If it has to wait inside the section after all, it counts as
 * overdue after READER_AFTER = 0.5 s.
 *
 * Its limits:
 * - Flattening (as in scx_flatcg): if many nodes below a node of little weight
 *   wake at once, they can have more than their parent's share for some slices.
 * - A slice ends with a tick, so with N nodes waiting for one CPU the last one waits N
 *   ticks. A woken task preempts only if its node is a slice behind and no task of the
 *   node comes before it. A server does not preempt a task of the node that it worked
 *   for last: if it is woken for another node this time, that node waits for the tick.
 * - One lock for the order of nodes; it is taken a few times for each slice.
 * - The time of a server after a reply counts as the tenant's until the next event tells
 *   (settle.bpf.h): so the tenant's share and cap can hold the server up meanwhile. Then it
 *   is given back; up to a slice, with the tenant's next time.
 * - A task that is given to another VS while it waits is served once as the old VS's.
 * - Virtual time is one for the whole machine. CPU time that is used on other CPUs moves
 *   it on. Services that are bound to one CPU cannot follow, and are cut at the most that
 *   a node may be behind. So they share that CPU evenly, not by weight, if other services
 *   fill the rest of the machine, and some percent off their weights (67 to 78 for 75
 *   were seen) if others use a little of it. No task starves.
 * - No notion of caches but select_cpu's: a node's tasks may run on any CPU.
 */
#include "pick.bpf.h"
#include "timer.bpf.h"
#include "wake.bpf.h"

char _license[] SEC("license") = "GPL";

#define TRIES 8 /* nodes that a CPU tries before it gives up for now */

/* The exit record, in a section, and so in a map, of its own, which outlives the scheduler. */
struct vs_sched_exit uei SEC(".data.uei");

/* --- Waking and queueing ------------------------------------------------------ */

SEC("struct_ops/select_cpu")
s32 BPF_PROG(vs_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct vs_task *t = task_of(p);
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	/* A parked node's task waits in its queue, idle CPU or not. */
	if (idle && t && !node_at(node_of(vs_of(p)))->parked) {
		count(VS_SCHED_DIRECT);
		scx_bpf_dsq_insert(p, DSQ_LOCAL, VS_SLICE, 0);
	}
	return cpu;
}

SEC("struct_ops/enqueue")
void BPF_PROG(vs_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct scx_bpf_dsq_insert_vtime_args args = {
		.slice = VS_SLICE,
		.enq_flags = enq_flags,
	};
	struct vs_task *t = task_of(p);
	s32 cpu = scx_bpf_task_cpu(p);
	struct vs_node *n;
	u32 id;

	/* A task that the kernel itself waits for does not wait for root's share. */
	if (!t || p->flags & PF_KTHREAD) {
		s32 idle = idle_for(p, cpu, enq_flags);
		u64 dsq = idle >= 0	     ? DSQ_LOCAL_ON | idle :
			  !t || is_pinned(p) ? DSQ_LOCAL :
					       DSQ_URGENT;

		count(VS_SCHED_KTHREAD);
		scx_bpf_dsq_insert(p, dsq, VS_SLICE, enq_flags);
		return;
	}
	id = task_node(p, t);
	/*
	 * A task that a woken one has preempted is next. (At ENQ_LAST the CPU is about to go idle,
	 * and would not look.)
	 */
	if (!(enq_flags & ENQ_LAST) && goes_on(p, t)) {
		count(VS_SCHED_READER);
		scx_bpf_dsq_insert(p, DSQ_LOCAL, VS_SLICE, enq_flags | ENQ_HEAD);
		return;
	}
	t->extra = 0;
	n = node_at(id);
	t->due = scx_bpf_now() + (in_read_section(p) ? READER_AFTER : OVERDUE_AFTER);
	task_resume(t);

	if (!n->parked) {
		s32 idle = idle_for(p, cpu, enq_flags);

		if (idle >= 0) {
			count(VS_SCHED_DIRECT);
			scx_bpf_dsq_insert(p, DSQ_LOCAL_ON | idle, VS_SLICE, enq_flags);
			return;
		}
		if (enq_flags & ENQ_WAKEUP && deserves_more(id, cpu_at(cpu)) && leads(t, id) &&
		    !served_last(p, cpu_at(cpu)->node)) {
			count(VS_SCHED_PREEMPT);
			scx_bpf_dsq_insert(p, DSQ_LOCAL_ON | cpu, VS_SLICE,
					   enq_flags | ENQ_PREEMPT);
			return;
		}
	}
	if (is_pinned(p)) {
		s64 lag = t->vtime - n->task_now;

		/* Within its node a task is as far behind or ahead as its nice weight says. */
		args.vtime =
			later(n->vtime, now - lag_max(VS_SLICE, n->share, competitors, nr_cpus)) +
			lag;
		args.dsq_id = DSQ_PINNED | cpu;
		count(VS_SCHED_PINNED);
		__scx_bpf_dsq_insert_vtime(p, &args);
		return;
	}
	/* The first tasks of a new node do not wait until its queue is made. */
	if (!n->homed) {
		count(VS_SCHED_HOMELESS);
		queues_wanted();
		scx_bpf_dsq_insert(p, DSQ_URGENT, VS_SLICE, enq_flags);
		return;
	}
	args.vtime = t->vtime;
	args.dsq_id = id;
	count(VS_SCHED_QUEUED);
	__scx_bpf_dsq_insert_vtime(p, &args);
	waiting_add(t, id);
}

/* The task has left its queue: it runs, sleeps, or is about to be changed. */
SEC("struct_ops/dequeue")
void BPF_PROG(vs_dequeue, struct task_struct *p, u64 deq_flags)
{
	struct vs_task *t = task_of(p);

	if (t)
		waiting_sub(t);
}

/* --- Dispatching -------------------------------------------------------------- */

SEC("struct_ops/dispatch")
void BPF_PROG(vs_dispatch, s32 cpu, struct task_struct *prev)
{
	struct vs_task *t = prev ? task_of(prev) : NULL;
	struct vs_claim *c = cpu_at(cpu);
	u64 at = scx_bpf_now(), used;
	u32 ran, parks = 0, keep_parks = 0;
	enum choice choice;
	bool reads = false;
	int try;

	c->keeps = t && prev->scx.flags & TASK_QUEUED;
	if (t && c->keeps) {
		settle_counted(prev, tag_of(prev));
		task_charge(prev, t);
		c->keep = task_node(prev, t);
		reads = goes_on(prev, t);
	}
	ran = c->node;
	used = node_used(ran);
	bpf_spin_lock(&lock);
	if (c->claimed) {
		node_charge(ran, used, at);
		/* Not at ticks only: a task that never runs during one would have no cap. */
		parks = node_park(ran, at);
	}
	if (reads)
		cpu_claim(c, c->keep);
	else
		cpu_release(c);
	if (c->keeps) {
		keep_parks = node_park(c->keep, at);
		/*
		 * A kernel thread that may run here only would otherwise wait on an idle CPU.
		 */
		if (node_at(c->keep)->parked && prev && !(prev->flags & PF_KTHREAD))
			c->keeps = false;
	}
	bpf_spin_unlock(&lock);
	parked_one(parks);
	parked_one(keep_parks);
	if (reads && prev) {
		count(VS_SCHED_READER);
		set_slice(prev, VS_SLICE);
		return;
	}

	c->turn = !c->turn;
	if (c->turn && take_urgent(cpu, c)) {
		count(VS_SCHED_PICK_URGENT);
		return;
	}
	pinned_first(cpu, &c->due);

	bpf_for(try, 0, TRIES) {
		bpf_spin_lock(&lock);
		choice = choose(c, at);
		bpf_spin_unlock(&lock);

		if (choice == PARKED) {
			parked_one(c->parks);
			continue;
		}
		if (choice == NODE && c->keeps && c->next == c->keep) {
			/* Within a node the tasks' own virtual times decide. */
			struct task_struct *first = scx_bpf_dsq_peek(c->next);

			if (first && t && before(t->vtime, first->scx.dsq_vtime))
				choice = KEEP;
		}
		switch (choice) {
		case NODE:
			if (scx_bpf_dsq_move_to_local(c->next)) {
				count(VS_SCHED_PICK_NODE);
				return;
			}
			/* Another CPU was faster, or the task is still on its way here. */
			count(VS_SCHED_EMPTY);
			bpf_spin_lock(&lock);
			cpu_release(c);
			if (queue_key(&queue, c->next) != VS_NEVER)
				queue_set(&queue, c->next,
					  node_key(c->next) +
						  virtual_time(VS_SLICE, share_now(c->next)));
			bpf_spin_unlock(&lock);
			continue;
		case PINNED:
			if (pinned_take(cpu, &c->due)) {
				count(VS_SCHED_PICK_PINNED);
				return;
			}
			pinned_first(cpu, &c->due);
			continue;
		case KEEP:
			goto keep;
		default:
			break;
		}
		break;
	}
	bpf_spin_lock(&lock);
	cpu_release(c);
	bpf_spin_unlock(&lock);
	if (take_urgent(cpu, c)) {
		count(VS_SCHED_PICK_URGENT);
	} else if (c->keeps) {
		/*
		 * Other tasks came first, but could not be had: to go on is better than an idle
		 * CPU.
		 */
		bpf_spin_lock(&lock);
		cpu_claim(c, c->keep);
		bpf_spin_unlock(&lock);
		goto keep;
	} else if (steal(cpu, &c->due)) {
		count(VS_SCHED_PICK_STOLEN);
	} else {
		count(VS_SCHED_IDLE);
	}
	return;
keep:
	count(VS_SCHED_KEEP);
	if (t)
		task_chosen(t);
	if (prev)
		set_slice(prev, VS_SLICE);
}

/*
 * A task that was still on its way to its queue when the last CPU looked there
 * would wait until a CPU looks again. The timer makes one look.
 */
SEC("struct_ops/update_idle")
void BPF_PROG(vs_update_idle, s32 cpu, bool idle)
{
	struct vs_claim *c = cpu_at(cpu);

	if (!idle)
		return;
	if (queue_first(&queue) == VS_NOBODY && !scx_bpf_dsq_nr_queued(DSQ_URGENT)) {
		/* Tasks of parked nodes in the CPU's own queue are not missed. */
		pinned_first(cpu, &c->due);
		if (!c->due.task)
			return;
	}
	missed_one();
}

/* --- Running ------------------------------------------------------------------ */

SEC("struct_ops/runnable")
void BPF_PROG(vs_runnable, struct task_struct *p, u64 enq_flags)
{
	struct vs_task *t = task_of(p);

	if (!t)
		return;
	task_node(p, t);
	/* Here too: not every woken task comes to vs_enqueue(). */
	task_resume(t);
	t->runnable = true;
	runnable_add(t->node);
}

SEC("struct_ops/quiescent")
void BPF_PROG(vs_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct vs_task *t = task_of(p);

	if (!t)
		return;
	t->runnable = false;
	runnable_sub(t->node);
}

SEC("struct_ops/running")
void BPF_PROG(vs_running, struct task_struct *p)
{
	/* Not this CPU: if another CPU changes a running task, the kernel calls this there. */
	struct vs_claim *c = cpu_at(scx_bpf_task_cpu(p));
	struct vs_task *t = task_of(p);

	c->kthread = p->flags & PF_KTHREAD;
	if (!t)
		return;
	task_chosen(t);
	t->exec = p->se.sum_exec_runtime;
	if (c->claimed && c->node == t->node)
		return;
	bpf_spin_lock(&lock);
	cpu_claim(c, t->node);
	bpf_spin_unlock(&lock);
}

/* Charges the task before the order is looked at: sched_switch would come too late. */
SEC("struct_ops/stopping")
void BPF_PROG(vs_stopping, struct task_struct *p, bool runnable)
{
	struct vs_task *t = task_of(p);

	if (!t)
		return;
	settle_counted(p, tag_of(p));
	task_charge(p, t);
	task_node(p, t);
}

/*
 * From now on the order takes the used time into account. The CPU is given up if the
 * node has used up its cap, or if the task now works for another node, which does not
 * deserve the CPU. If that node deserves it, the task keeps the CPU: otherwise a task
 * that was preempted in an RCU read section, which is next without being chosen, would
 * have the CPU for a slice.
 */
SEC("struct_ops/tick")
void BPF_PROG(vs_tick, struct task_struct *p)
{
	s32 cpu = scx_bpf_task_cpu(p);
	struct vs_claim *c = cpu_at(cpu);
	struct vs_task *t = task_of(p);
	u64 at = scx_bpf_now(), used, used_before;
	u32 old, id, first, parks;
	bool exhausted, others;

	if (!t)
		return;
	settle_counted(p, tag_of(p));
	task_charge(p, t);
	others = scx_bpf_dsq_nr_queued(DSQ_PINNED | cpu);
	old = t->node;
	id = task_node(p, t);
	used_before = node_used(old);
	used = node_used(id);
	bpf_spin_lock(&lock);
	if (old != id)
		node_charge(old, used_before, at);
	node_charge(id, used, at);
	cpu_claim(c, id);
	node_place(id);
	parks = node_park(id, at);
	exhausted = parks || (node_at(id)->parked && node_exhausted(id, at));
	first = queue_first(&queue);
	others = others || (first != VS_NOBODY && before(queue_key(&queue, first), node_key(id)));
	bpf_spin_unlock(&lock);
	parked_one(parks);
	if (exhausted || (old != id && others))
		set_slice(p, 0);
}

/* --- Tasks and the whole ------------------------------------------------------ */

/* May sleep. */
SEC("struct_ops.s/init_task")
s32 BPF_PROG(vs_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct vs_task *t =
		bpf_task_storage_get(&vs_tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -12; /* ENOMEM */
	t->node = VS_ROOT;
	return 0;
}

/* The task comes under this scheduler; it starts at the present virtual time of its node. */
SEC("struct_ops/enable")
void BPF_PROG(vs_enable, struct task_struct *p)
{
	struct vs_task *t = task_of(p);

	if (!t)
		return;
	t->node = node_of(vs_of(p));
	t->vtime = node_at(t->node)->task_now;
}

/*
 * Run by vsctl after services were created or configured, so that their queues exist
 * before their first tasks wait. Returns 0 or a negative errno. The queue of a service
 * that is gone stays, for the next service that gets the id: to destroy it while a
 * task could still be on its way there would end the scheduler.
 */
SEC("syscall")
int sync_services(void *ctx)
{
	return make_queues();
}

static __always_inline void announce(bool on)
{
	u32 zero = 0, cpu;

	bpf_for(cpu, 0, VS_CPUS) {
		struct vs_cpu *c = bpf_map_lookup_percpu_elem(&vs_cpus, &zero, cpu);

		if (!c)
			break;
		c->scheduler = on;
	}
}

/* May sleep. No task is under this scheduler yet. */
SEC("struct_ops.s/init")
s32 BPF_PROG(vs_init)
{
	struct vs_timer *t;
	s32 cpu;
	u32 id;
	int error;

	if (scx_bpf_nr_cpu_ids() > VS_CPUS)
		return -7; /* E2BIG */
	nr_cpus = scx_bpf_nr_cpu_ids();
	nr_online = 0;
	bpf_for(cpu, 0, nr_cpus) {
		const struct rq *rq = bpf_per_cpu_ptr(&runqueues, cpu);

		nr_online += rq && rq->online;
	}

	queue_init(&queue);
	/* CPU time that was used before does not count against any node. */
	bpf_for(id, 0, VS_ID_COUNT) {
		node_at(id)->cap = VS_NO_CAP;
		node_at(id)->seen = node_used(id);
	}
	error = make_queues();
	if (error)
		return error;
	error = scx_bpf_create_dsq(DSQ_URGENT, -1);
	if (error)
		return error;
	bpf_for(cpu, 0, nr_cpus) {
		error = scx_bpf_create_dsq(DSQ_PINNED | cpu, -1) ?:
				scx_bpf_create_dsq(DSQ_OVERDUE | cpu, -1);
		if (error)
			return error;
	}

	bpf_for(id, 0, TIMERS) {
		u32 which = id;

		t = bpf_map_lookup_elem(&vs_timers, &which);
		if (!t)
			return -2; /* ENOENT */
		if (!PREEMPT_RT) {
			error = bpf_timer_init(&t->timer, &vs_timers, 1 /* CLOCK_MONOTONIC */);
			if (error)
				return error;
			bpf_timer_set_callback(&t->timer, timer_fires);
		}
		t->making = false;
		error = bpf_wq_init(&t->work, &vs_timers, 0);
		if (error)
			return error;
		error = bpf_wq_set_callback(&t->work, work_runs, 0);
		if (error)
			return error;
	}
	timer_start(TIMER_OVERDUE, OVERDUE_EVERY);
	announce(true);
	return 0;
}

/*
 * Under PREEMPT_RT: a timer of vs.ko has expired. This runs in softirq, which can be preempted
 * there while others wait for it, so the work itself is left to a workqueue.
 */
SEC("fentry/vs_fires")
int BPF_PROG(scheduler__fires, u32 which)
{
	struct vs_timer *t = bpf_map_lookup_elem(&vs_timers, &which);

	if (t)
		bpf_wq_start(&t->work, 0);
	return 0;
}

/* Accounting goes on without the scheduler. */
SEC("struct_ops/exit")
void BPF_PROG(vs_exit, struct scx_exit_info *info)
{
	announce(false);
	uei.code = info->exit_code;
	bpf_probe_read_kernel_str(uei.reason, sizeof(uei.reason), info->reason);
	bpf_probe_read_kernel_str(uei.message, sizeof(uei.message), info->msg);
	uei.kind = info->kind;
}

SEC("struct_ops/dump")
void BPF_PROG(vs_dump, struct scx_dump_ctx *dump)
{
	static char head[] = "scx_vs: now=%llu shape=%llu competitors=%u parked=%u first=%u";
	static char line[] =
		" node %u: vtime=%lld share=%llu runnable=%u waits=%u runs=%u parked=%u level=%lld";
	u64 globals[] = { now, shape, competitors, parked, queue_first(&queue) };
	u32 id;

	scx_bpf_dump_bstr(head, globals, sizeof(globals));
	bpf_for(id, 0, VS_ID_COUNT) {
		struct vs_node *n = node_at(id);
		u64 values[] = {
			id,	    n->vtime - now, n->share,  n->runnable,
			n->waiting, n->running,	    n->parked, n->bucket.level,
		};

		if (n->runnable)
			scx_bpf_dump_bstr(line, values, sizeof(values));
	}
}

/*
 * There is no cpu_online and no cpu_offline, so the kernel ejects this scheduler
 * when a CPU comes or goes, and says so: nr_cpus and the CPUs' queues would no
 * longer be right.
 */
SEC(".struct_ops.link")
struct sched_ext_ops vs_ops = {
	.select_cpu = (void *)vs_select_cpu,
	.enqueue = (void *)vs_enqueue,
	.dequeue = (void *)vs_dequeue,
	.dispatch = (void *)vs_dispatch,
	.tick = (void *)vs_tick,
	.runnable = (void *)vs_runnable,
	.running = (void *)vs_running,
	.stopping = (void *)vs_stopping,
	.quiescent = (void *)vs_quiescent,
	.update_idle = (void *)vs_update_idle,
	.init_task = (void *)vs_init_task,
	.enable = (void *)vs_enable,
	.dump = (void *)vs_dump,
	.init = (void *)vs_init,
	.exit = (void *)vs_exit,
	.flags = SCX_OPS_ENQ_LAST | SCX_OPS_ENQ_EXITING | SCX_OPS_ENQ_MIGRATION_DISABLED |
		 SCX_OPS_KEEP_BUILTIN_IDLE,
	.timeout_ms = 30000,
	.name = "vs",
};
