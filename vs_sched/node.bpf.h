/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tree of shares, flattened, and the order of its nodes.
 *
 * `lock` protects all of it. It is held for a walk from a node to root (at most
 * VS_DEPTH levels) or from a leaf to the top of the queue (14), never longer, and
 * nothing is called under it. The counts that change without it (`runnable`,
 * `waiting`, and `used` in vs_shares) are changed atomically first. A CPU that
 * moves a count from or to zero then looks again under the lock, so that the last
 * CPU to look sees the final count.
 */
#ifndef _VS_SCHED_NODE_BPF_H
#define _VS_SCHED_NODE_BPF_H

#include "../vs_module/bpf/settle.bpf.h"
#include "arith.h"
#include "scx_vs.h"

#define VS_CPUS	 1024 /* CPUs that this scheduler can run on */
#define VS_DEPTH 18   /* levels of the tree, root's among them, and one to spare */
/* ns: below the tick of HZ=250, so that each tick decides */
#define VS_SLICE 3000000ULL

/* One VS that competes for CPU time, with the services that share its weight. */
struct vs_node {
	/* As scheduled. */
	u64 vtime;    /* what it used, by its share, in the system's virtual time */
	u64 seen;     /* the part of `used` in vs_shares that is in vtime already */
	u64 task_now; /* virtual time among its own tasks */
	u64 share;    /* of its own tasks, in parts of VS_ONE; valid if `shared_at` is `shape` */
	u64 shared_at;
	u64 due;       /* ns; no task in its queue is due before, see overdue_of() */
	u64 weights;   /* sum over its children that compete and its own tasks */
	u32 competing; /* how many are in that sum */
	u32 running;   /* CPUs that run one of its own tasks, or are about to */
	u32 runnable;  /* own tasks; atomic */
	u32 waiting;   /* own tasks in its queue, a part of `runnable`; atomic */
	u32 parked_at; /* its place in parked_ids, while it is parked */
	/* Copied from the tree. */
	u64 generation;
	u32 parent;
	u32 weight;
	u32 cap;
	struct vs_bucket bucket;
	/* Flags. */
	bool capped;   /* it or a node above has a cap */
	bool competes; /* its own tasks are in the sums */
	bool parked;   /* a cap is used up */
	bool homed;    /* its DSQ exists */
};

/* The first task of a CPU's own queue that may run: its place there, and its identity. */
struct vs_due {
	u64 vtime;
	u64 task; /* its address, only compared; 0: there is none */
	u32 node;
	u32 looked; /* tasks looked at; not a local, whose values the verifier would follow */
	bool first; /* of the queue */
};

/* One per CPU: the node that the CPU is counted for, and the state of its dispatch. */
struct vs_claim {
	u32 node;     /* of the task that runs, or is about to run: counted in `running` */
	bool claimed; /* `node` is valid */
	bool kthread; /* a kernel thread runs, which did not wait for its node's turn */
	bool turn;    /* an urgent task may be run this time */
	bool overdue; /* there is something in DSQ_OVERDUE */
	bool keeps;   /* the task that has run is still runnable */
	u32 keep;     /* its node, if it is */
	u32 next;     /* node of the task chosen */
	u32 parks;    /* the result of node_park() */
	struct vs_due due;
};

#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))
private(VS) struct bpf_spin_lock lock;

struct vs_node nodes[VS_ID_COUNT];
struct vs_claim cpus[VS_CPUS];
struct vs_queue queue;	     /* of the nodes that have tasks waiting and are not parked */
u16 parked_ids[VS_ID_COUNT]; /* of the `parked` nodes that are parked, in any order */
u64 now;		     /* the system's virtual time: CPU time used by all */
u64 shape = 1;		     /* grows when a share may have changed */
u32 competitors;	     /* nodes whose own tasks are in the sums */
u32 parked;		     /* nodes */
u32 nr_cpus = 1;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VS_SCHED_STATS);
	__type(key, u32);
	__type(value, u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vs_sched_stats SEC(".maps");

static __always_inline void count(u32 stat)
{
	u64 *counter = bpf_map_lookup_elem(&vs_sched_stats, &stat);

	if (counter)
		(*counter)++;
}

/* The verifier wants to see at each use that an index is in bounds. */
static __always_inline struct vs_node *node_at(u32 id)
{
	return &nodes[id & (VS_ID_COUNT - 1)];
}

static __always_inline struct vs_claim *cpu_at(s32 cpu)
{
	return &cpus[cpu & (VS_CPUS - 1)];
}

/* A node's own tasks compete with its children; root's own by root's weight. */
static __always_inline u32 own_weight(u32 id)
{
	return id ? VS_WEIGHT : node_at(VS_ROOT)->weight;
}

/* --- Under the lock --------------------------------------------------------- */

/* A child of weight `weight` competes below `id` from now on. */
static __noinline void sums_add(u32 id, u32 weight)
{
	int level;

	shape++;
	VS_LOOP(level, VS_DEPTH) {
		struct vs_node *n = node_at(id);

		n->weights += weight;
		if (n->competing++ || !id)
			return;
		weight = n->weight;
		id = n->parent;
	}
}

static __noinline void sums_remove(u32 id, u32 weight)
{
	int level;

	shape++;
	VS_LOOP(level, VS_DEPTH) {
		struct vs_node *n = node_at(id);

		n->weights -= weight;
		if (--n->competing || !id)
			return;
		weight = n->weight;
		id = n->parent;
	}
}

/* The share of the node's own tasks; it stays as it was while they do not compete. */
static __noinline u64 share_now(u32 id)
{
	struct vs_node *own = node_at(id);
	u64 share = VS_ONE;
	u32 weight = own_weight(id);
	int level;

	if (own->shared_at == shape || !own->competes)
		return own->share ?: VS_ONE;
	VS_LOOP(level, VS_DEPTH) {
		struct vs_node *n = node_at(id);

		share = compound(share, weight, n->weights);
		if (!id)
			break;
		weight = n->weight;
		id = n->parent;
	}
	own->share = share;
	own->shared_at = shape;
	return share;
}

/*
 * Time of a task that had replied was not the node's after all: see close_reply(). Up to a slice of
 * it is made up for by the node's next time, as `used` may be older than `seen`.
 */
static __noinline void node_refund(u32 id, u64 used)
{
	struct vs_node *n = node_at(id);
	u64 ns = n->seen - used, share = share_now(id);
	int level;

	if ((s64)ns <= (s64)VS_SLICE)
		return;
	n->seen = used;
	n->vtime = go_back(n->vtime, now, lag_max(VS_SLICE, share, competitors, nr_cpus),
			   virtual_time(ns, share));
	if (!n->capped)
		return;
	VS_LOOP(level, VS_DEPTH) {
		n = node_at(id);
		if (n->cap != VS_NO_CAP)
			bucket_give(&n->bucket, n->cap, ns);
		if (!id)
			return;
		id = n->parent;
	}
}

/*
 * Adds the time that the node's tasks have used since the last call to its virtual time, and takes
 * it off its caps and those above.
 */
static __noinline void node_charge(u32 id, u64 used, u64 at)
{
	struct vs_node *n = node_at(id);
	u64 ns = used - n->seen;
	int level;

	if ((s64)ns <= 0) {
		node_refund(id, used);
		return;
	}
	n->seen = used;
	n->vtime += virtual_time(ns, share_now(id));
	now += ns;
	if (!n->capped)
		return;
	VS_LOOP(level, VS_DEPTH) {
		n = node_at(id);
		if (n->cap != VS_NO_CAP) {
			bucket_fill(&n->bucket, n->cap, at);
			bucket_take(&n->bucket, n->cap, ns);
		}
		if (!id)
			return;
		id = n->parent;
	}
}

/* Is the cap of the node, or of one above it, used up? */
static __noinline bool node_exhausted(u32 id, u64 at)
{
	int level;

	if (!node_at(id)->capped)
		return false;
	VS_LOOP(level, VS_DEPTH) {
		struct vs_node *n = node_at(id);

		if (n->cap != VS_NO_CAP) {
			bucket_fill(&n->bucket, n->cap, at);
			if (n->bucket.level <= 0)
				return true;
		}
		if (!id)
			break;
		id = n->parent;
	}
	return false;
}

/*
 * The key of the order: the node's virtual time as if each CPU that runs one
 * of its tasks ran it for a whole slice, so that CPUs which choose at the same
 * time do not all choose the same node.
 */
static __always_inline u64 node_key(u32 id)
{
	struct vs_node *n = node_at(id);

	return n->vtime + n->running * virtual_time(VS_SLICE, share_now(id));
}

/* Puts the node where it belongs in the queue, after a change to anything that decides that. */
static __noinline void node_place(u32 id)
{
	struct vs_node *n = node_at(id);

	queue_set(&queue, id, n->waiting && !n->parked ? node_key(id) : VS_NEVER);
}

/* Whether the node's own tasks compete, after `runnable` or `parked` has changed. */
static __noinline void node_compete(u32 id)
{
	struct vs_node *n = node_at(id);
	bool competes = n->runnable && !n->parked;

	if (competes == n->competes)
		return;
	if (competes) {
		n->competes = true;
		competitors++;
		sums_add(id, own_weight(id));
	} else {
		share_now(id);
		n->competes = false;
		competitors--;
		sums_remove(id, own_weight(id));
	}
}

/*
 * For a node of which no task has waited until now: bounds how far it is behind or ahead. True:
 * its virtual time was cut.
 */
static __noinline bool node_resume(u32 id)
{
	struct vs_node *n = node_at(id);
	u64 share = share_now(id);
	u64 vtime = resume(n->vtime, now, lag_max(VS_SLICE, share, competitors, nr_cpus),
			   lead_max(VS_SLICE, share, nr_cpus));

	if (vtime == n->vtime)
		return false;
	n->vtime = vtime;
	return true;
}

static __noinline void cpu_release(struct vs_claim *c)
{
	if (!c->claimed)
		return;
	c->claimed = false;
	node_at(c->node)->running--;
	node_place(c->node);
}

/* Counts the CPU for the node whose task it runs. */
static __noinline void cpu_claim(struct vs_claim *c, u32 id)
{
	if (c->claimed && c->node == id)
		return;
	cpu_release(c);
	c->claimed = true;
	c->node = id;
	node_at(id)->running++;
	node_place(id);
}

/*
 * Parks the node, if a cap is used up and it is not parked yet. Returns the number of
 * parked nodes then, for parked_one(): another CPU may change the count before it is
 * read again. 0: nothing was done.
 */
static __noinline u32 node_park(u32 id, u64 at)
{
	struct vs_node *n = node_at(id);

	if (!n->capped || n->parked || !node_exhausted(id, at))
		return 0;
	n->parked = true;
	n->parked_at = parked++;
	parked_ids[n->parked_at & (VS_ID_COUNT - 1)] = id;
	node_compete(id);
	node_place(id);
	return parked;
}

static __noinline void node_unpark(u32 id)
{
	struct vs_node *n = node_at(id);
	u32 last = parked_ids[--parked & (VS_ID_COUNT - 1)];

	n->parked = false;
	node_at(last)->parked_at = n->parked_at;
	parked_ids[n->parked_at & (VS_ID_COUNT - 1)] = last;
	node_compete(id);
	node_place(id);
}

/* --- Without the lock ------------------------------------------------------- */

static __always_inline u64 node_used(u32 id)
{
	struct vs_share *share = bpf_map_lookup_elem(&vs_shares, &id);

	return share ? share->used : 0;
}

/*
 * Brings a node in line with the tree, and the nodes above it as far as it
 * depends on them: whether it is capped is known only when those are up to date.
 */
static __noinline void node_refresh(u32 id, u64 generation)
{
	u32 at = id;
	int level;
	bool capped = false;

	bpf_for(level, 0, VS_DEPTH) {
		struct vs_share *share = vs_share_of(at);
		struct vs_cpu_node tree;
		struct vs_node *n = node_at(at);
		bool changed = false;

		if (!share)
			return;
		tree = share->node;
		/*
		 * No longer a node: it keeps its old parent and weight, and soon has no tasks left.
		 */
		if (tree.id == at) {
			bpf_spin_lock(&lock);
			changed = n->parent != tree.parent || n->weight != tree.weight ||
				  n->cap != tree.cap;
			if (changed) {
				u32 own = n->competes ? own_weight(at) : 0;
				bool linked = at && n->competing;

				if (linked)
					sums_remove(n->parent, n->weight);
				n->parent = tree.parent;
				n->weight = tree.weight;
				if (n->cap != tree.cap) {
					n->cap = tree.cap;
					n->bucket.level = bucket_size(tree.cap);
				}
				if (!at && own)
					n->weights += (s64)n->weight - own;
				if (linked)
					sums_add(n->parent, n->weight);
				shape++;
			}
			bpf_spin_unlock(&lock);
		}
		if (changed)
			count(VS_SCHED_NODE_CHANGED);
		capped |= n->cap != VS_NO_CAP;
		if (!at)
			break;
		at = n->parent;
	}
	node_at(id)->capped = capped;
	node_at(id)->generation = generation;
}

/* The node in which a VS's tasks are scheduled. */
static __always_inline u32 node_of(u32 vs)
{
	u64 generation = vs_generation();
	struct vs_share *share = vs_share_of(vs);
	u32 id = share ? share->node.id & (VS_ID_COUNT - 1) : VS_ROOT;

	if (node_at(id)->generation != generation)
		node_refresh(id, generation);
	return id;
}

#endif /* _VS_SCHED_NODE_BPF_H */
