/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * The part of scx_vs that user space sees: its counters, and its exit record.
 */
#ifndef _VS_SCHED_SCX_VS_H
#define _VS_SCHED_SCX_VS_H

/*
 * Indices of vs_sched_stats (u64, per CPU): how often each branch was taken.
 * Names for display: the part after VS_SCHED_, in lower case.
 */
enum vs_sched_stat {
	VS_SCHED_DIRECT,      /* woken onto an idle CPU */
	VS_SCHED_KTHREAD,     /* a kernel thread: past the queues of nodes */
	VS_SCHED_QUEUED,      /* put into its node's queue */
	VS_SCHED_PINNED,      /* put into a CPU's queue, because it may not run on all */
	VS_SCHED_HOMELESS,    /* served at once, because its node has no queue yet */
	VS_SCHED_PICK_NODE,   /* the first node's first task was run next */
	VS_SCHED_PICK_PINNED, /* the CPU's own queue was due first */
	VS_SCHED_PICK_URGENT, /* a kernel thread or an overdue task was run next */
	VS_SCHED_PICK_STOLEN, /* nothing else to run: took from another CPU's queue */
	VS_SCHED_KEEP,	      /* the running task still came first */
	/* the running task went on, to leave an RCU read section */
	VS_SCHED_READER,
	VS_SCHED_IDLE,	   /* nothing to run */
	VS_SCHED_EMPTY,	   /* a node's task was gone before it was reached */
	VS_SCHED_PREEMPT,  /* a woken task interrupted one whose node was ahead */
	VS_SCHED_REBOUND,  /* a task was found to work for another node than before */
	VS_SCHED_PARKED,   /* a node had used up its cap */
	VS_SCHED_UNPARKED, /* a parked node may run again */
	VS_SCHED_OVERDUE,  /* a task had waited too long */
	/* a node became runnable, or began to wait, and its lag or lead was cut */
	VS_SCHED_CLAMPED,
	VS_SCHED_NODE_CHANGED, /* a node's parent, weight or cap changed */
	VS_SCHED_STATS
};

/*
 * The exit record: the map ".data.uei", in the layout that tools know from
 * other sched_ext schedulers (struct user_exit_info).
 */
struct vs_sched_exit {
	__s32 kind; /* enum scx_exit_kind; 0: it has not ended */
	__u32 reserved;
	__s64 code;	  /* of sched_ext; bits 32-47 are 1 for hotplug */
	char reason[128]; /* in words, from the kernel */
	char message[1024];
};

#endif /* _VS_SCHED_SCX_VS_H */
