/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic of scx_vs: shares, virtual time, caps, and the order in which
 * nodes are served. Plain C without kernel or BPF, so that the same lines run in
 * the scheduler and in host tests (tools/sched-arith).
 *
 * Fixed point: a share is a fraction of VS_ONE. Times are CPU nanoseconds.
 */
#ifndef _VS_SCHED_ARITH_H
#define _VS_SCHED_ARITH_H

/* The file that includes this one defines u8, u16, u32, u64, s64 and bool. */

/*
 * A loop of a fixed number of rounds. In BPF the verifier checks one round of it,
 * neither each round nor each path through all of them.
 */
#ifdef __bpf__
#define VS_LOOP(i, n) bpf_for(i, 0, n)
#else
#define VS_LOOP(i, n) for (i = 0; i < (n); i++)
#endif

#define VS_ONE	     (1ULL << 28)
#define VS_SHARE_MIN 16ULL	  /* so that virtual times stay far from overflow */
#define VS_STEP_MAX  (1ULL << 34) /* 17 s: the longest time charged in one step */

/* ns, at HZ=250; if ticks are further apart, a node may be further ahead: see lead_max() */
#define VS_TICK 4000000ULL

/* the weight of a node's own tasks beside its children, and of a nice 0 task */
#define VS_WEIGHT 100

#define VS_NO_CAP 0xffffffffu
/* 100 ms: a cap lets that much be used at once, and a hundred times as much be owed */
#define VS_CAP_PERIOD 100000000ULL

/* Virtual times wrap; two that are compared lie within 2^63 of each other. */
static inline bool before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

static inline u64 later(u64 a, u64 b)
{
	return before(a, b) ? b : a;
}

static inline u64 earlier(u64 a, u64 b)
{
	return before(a, b) ? a : b;
}

/*
 * The part of `share` that goes to a node of weight `weight` among nodes whose
 * weights sum up to `sum`. Rounds down, so that the shares of all nodes never
 * exceed VS_ONE.
 */
static inline u64 compound(u64 share, u64 weight, u64 sum)
{
	return sum > weight ? share * weight / sum : share;
}

/* Returns by how much `ns` of CPU time advance the virtual time of a node of this share. */
static inline u64 virtual_time(u64 ns, u64 share)
{
	if (ns > VS_STEP_MAX)
		ns = VS_STEP_MAX;
	return ns * VS_ONE / (share < VS_SHARE_MIN ? VS_SHARE_MIN : share);
}

/*
 * Returns by how much `ns` of CPU time advance a task among those of its node; `weight` is
 * p->scx.weight: 100 at nice 0.
 */
static inline u64 task_time(u64 ns, u64 weight)
{
	if (ns > VS_STEP_MAX)
		ns = VS_STEP_MAX;
	return ns * VS_WEIGHT / (weight ? weight : 1);
}

/*
 * Returns how far behind the system's virtual time a fairly served node can be
 * at most, when `nodes` other nodes want `cpus` CPUs in slices of `slice`: it
 * waits for a slice of each other node and of each CPU, and for two of its own.
 */
static inline u64 lag_max(u64 slice, u64 share, u64 nodes, u64 cpus)
{
	return 2 * virtual_time(slice, share) + (nodes + cpus) * slice;
}

/*
 * Returns how far ahead of the system's virtual time a fairly served node can be: it was given
 * every CPU at once, each for a slice and until the tick after that slice ends.
 */
static inline u64 lead_max(u64 slice, u64 share, u64 cpus)
{
	return cpus * virtual_time(slice + VS_TICK, share);
}

/*
 * The virtual time at which a node begins to wait again, if it left off at
 * `vtime`. It had all the CPU time that it wanted, so time that it left unused
 * counts up to lag_max() only, and time that it used beyond its share, while no
 * other node wanted it, up to lead_max() only.
 */
static inline u64 resume(u64 vtime, u64 now, u64 lag, u64 lead)
{
	return earlier(later(vtime, now - lag), now + lead);
}

/*
 * Where a node goes back to, if time that moved it by `back` turns out not to be its own: no
 * further behind than fair service could leave it, for what it was ahead may have been forgiven.
 */
static inline u64 go_back(u64 vtime, u64 now, u64 lag, u64 back)
{
	u64 least = now > lag ? now - lag : 0;

	if (vtime <= least)
		return vtime;
	return back < vtime - least ? vtime - back : least;
}

/* A cap: a bucket of CPU time that fills by `cap` thousandths of a CPU. */
struct vs_bucket {
	s64 level; /* CPU ns left, negative if overdrawn */
	u64 at;	   /* ns: when `level` was last computed */
};

static inline s64 bucket_size(u32 cap)
{
	return (s64)(VS_CAP_PERIOD / 1000 * cap);
}

static inline void bucket_fill(struct vs_bucket *b, u32 cap, u64 now)
{
	s64 size = bucket_size(cap);
	u64 ns = before(b->at, now) ? now - b->at : 0;

	if (ns >= 101 * VS_CAP_PERIOD) {
		b->level = size; /* full, however overdrawn it was */
	} else {
		b->level += (s64)(ns * cap / 1000);
		if (b->level > size)
			b->level = size;
	}
	b->at += ns;
}

static inline void bucket_take(struct vs_bucket *b, u32 cap, u64 ns)
{
	s64 floor = -100 * bucket_size(cap);

	b->level -= (s64)(ns > VS_STEP_MAX ? VS_STEP_MAX : ns);
	if (b->level < floor)
		b->level = floor;
}

/* Gives CPU time back to a bucket that it was taken from. */
static inline void bucket_give(struct vs_bucket *b, u32 cap, u64 ns)
{
	s64 size = bucket_size(cap);

	b->level += (s64)(ns > VS_STEP_MAX ? VS_STEP_MAX : ns);
	if (b->level > size)
		b->level = size;
}

/*
 * The nodes that wait, by virtual time: a binary heap of their ids, so the cost of a change
 * grows with the logarithm of the number of nodes that wait, not of all nodes there could
 * be. A node that does not wait has the key VS_NEVER. Keys do not wrap: each is about the
 * CPU time used since the start.
 */
#define VS_QUEUE_BITS 14
#define VS_QUEUE      (1 << VS_QUEUE_BITS)
#define VS_NEVER      (~0ULL)
#define VS_NOBODY     0xffffu

struct vs_queue {
	u64 key[VS_QUEUE];
	/* ids; none has a smaller key than the one at (its place - 1) / 2 */
	u16 heap[VS_QUEUE];
	u16 place[VS_QUEUE]; /* where in the heap an id is, if it waits */
	u32 waiting;
	/*
	 * where an id is to be put; in memory, because the verifier would follow each value of a
	 * local
	 */
	u32 hole;
};

static inline void queue_init(struct vs_queue *q)
{
	u32 id;

	VS_LOOP(id, VS_QUEUE)
		q->key[id & (VS_QUEUE - 1)] = VS_NEVER;
	q->waiting = 0;
}

static inline u32 queue_first(const struct vs_queue *q)
{
	return q->waiting ? q->heap[0] : VS_NOBODY;
}

static inline u64 queue_key(const struct vs_queue *q, u32 id)
{
	return q->key[id & (VS_QUEUE - 1)];
}

/* The key of the node at place `at`, which is in use. */
static inline u64 queue_key_at(const struct vs_queue *q, u32 place)
{
	return queue_key(q, q->heap[place & (VS_QUEUE - 1)]);
}

static inline void queue_put(struct vs_queue *q, u32 place, u32 id)
{
	q->heap[place & (VS_QUEUE - 1)] = id;
	q->place[id & (VS_QUEUE - 1)] = place;
}

/* Puts, moves or, with VS_NEVER, removes a node. */
static inline void queue_set(struct vs_queue *q, u32 id, u64 key)
{
	u64 old = queue_key(q, id);
	int level;

	if (key == old)
		return;
	q->key[id & (VS_QUEUE - 1)] = key;
	q->hole = q->place[id & (VS_QUEUE - 1)];
	if (old == VS_NEVER) {
		q->hole = q->waiting++;
	} else if (key == VS_NEVER) {
		/* The last node of the heap takes its place. */
		if (q->hole == --q->waiting)
			return;
		id = q->heap[q->waiting & (VS_QUEUE - 1)];
		key = queue_key(q, id);
	}
	/* Moves nodes with later keys down from above, or nodes with earlier keys up from below. */
	VS_LOOP(level, VS_QUEUE_BITS) {
		u32 place = q->hole, above = (place - 1) / 2;

		if (!place || queue_key_at(q, above) <= key)
			break;
		queue_put(q, place, q->heap[above & (VS_QUEUE - 1)]);
		q->hole = above;
	}
	VS_LOOP(level, VS_QUEUE_BITS) {
		u32 place = q->hole, below = 2 * place + 1;

		if (below + 1 < q->waiting && queue_key_at(q, below + 1) < queue_key_at(q, below))
			below++;
		if (below >= q->waiting || key <= queue_key_at(q, below))
			break;
		queue_put(q, place, q->heap[below & (VS_QUEUE - 1)]);
		q->hole = below;
	}
	queue_put(q, q->hole, id);
}

#endif /* _VS_SCHED_ARITH_H */
