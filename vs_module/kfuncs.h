/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kfuncs of vs.ko, by which BPF programs ask it. One header for both sides,
 * so that a prototype cannot differ: kfuncs.c includes it with the kernel's
 * types, the BPF programs with those of vmlinux.h.
 *
 * All are non-sleepable, take no lock and allocate nothing, and may be called
 * in any context a BPF program runs in, except where a line says otherwise.
 * Pointer arguments must be trusted ones, as for any kfunc.
 */
#ifndef _VS_KFUNCS_H
#define _VS_KFUNCS_H

#ifdef __bpf__
#define VS_KFUNC(type) extern __ksym type
#else
#include <linux/types.h>
#define VS_KFUNC(type) type
struct cred;
struct linux_binprm;
struct msghdr;
struct request_sock;
struct sk_buff;
struct sock;
struct sock_common;
struct sockaddr;
struct socket;
struct task_struct;
#endif

/* Home and current VS of a task, in one word, as in its tag. */
#define VS_WHO(home, cur) ((__u32)(cur) << 16 | (home))

/*
 * A verdict: the changes to the running task's tag, and the error with which
 * the system call is refused. The ids in it are resolved and exist.
 */
#define VS_VERDICT_CUR	   0  /* bits 0-15: new current VS */
#define VS_VERDICT_HOME	   16 /* bits 16-31: new home VS */
#define VS_VERDICT_MESSAGE 32 /* bits 32-47, of send: VS of the message */
#define VS_VERDICT_ERRNO   48 /* bits 48-62: positive errno, 0: go on */
#define VS_UNCHANGED	   0xffff
/* Further values of CUR. */
#define VS_GOES_HOME   0xfffe /* the task's home, wherever it is placed by now */
#define VS_HAS_REPLIED 0xfffd /* unchanged, and the task has replied: see logic/work.rs */
#define VS_GOES_ON     0xfffc /* unchanged, and the task sends more of its reply */

#define VS_MESSAGE (1 << 16) /* see vs_message_of() */

/*
 * A task's tag: its home, and the VS that it works for. It lives in BPF task
 * local storage, in the map vs_tags (bpf/tag.bpf.h).
 *
 * The task itself writes its tag, in the gates that it passes, in task context.
 * Placing a task writes its tag from another task. `home` and `cur` are replaced
 * together, by compare-and-swap, because counts depend on them; the other fields
 * are plainly stored.
 */
struct vs_tag {
	union {
		struct {
			__u16 home; /* VS it was placed in or born in */
			__u16 cur;  /* VS of the work in hand */
		};
		__u32 both; /* VS_WHO(home, cur) */
	};
	__u16 message; /* VS of the message that the task is receiving or sending */
	/* VS other than its home that it last worked for, 0: none; a hint for the scheduler */
	__u16 served;
	__u64 work;   /* the way by which the work in hand came: a socket's cookie, 0: none */
	__u32 since;  /* low bits of bpf_jiffies64() at the receipt that the work came with */
	__u32 number; /* of the work in hand; another one's is not the same: see logic/ask.rs */
	/*
	 * address of the socket that `message` is sent by, or odd: see reads_by() in gates/tag.rs
	 */
	__u64 sends;
	__u64 open;   /* CPU ns since the reply, not charged to a VS yet; changed atomically */
	__u8 replied; /* it has replied to the work in hand: see logic/work.rs */
	/* what it has just read of a stream: 0 nothing, 1 `message`'s, 2 several services' */
	__u8 reads;
	__u8 sending; /* the work in hand is no more than to send something */
	__u8 told;    /* the task itself has said for whom it works */
	/* CPU ns that are charged already, and that the kernel has counted for another task */
	__u32 ahead;
};

/*
 * The gates, one each. They count the call, classify it, put the tag on the
 * sockets concerned and return the verdict on the task.
 */

/*
 * HOME is the child's home, MESSAGE the VS that it works for from the start.
 * Both are counted already, as those of any tag; undo with vs_task_gone().
 */
VS_KFUNC(__u64) vs_gate_fork(__u32 who);
VS_KFUNC(__u64) vs_gate_exec(const struct linux_binprm *bprm, __u32 who);
VS_KFUNC(void) vs_gate_exit(__u32 who);
VS_KFUNC(__u64) vs_gate_setuid(const struct cred *cred, __u32 who);
VS_KFUNC(__u64) vs_gate_setgid(const struct cred *cred, __u32 who);
VS_KFUNC(__u64) vs_gate_socket(struct socket *sock, __u32 who);
VS_KFUNC(__u64) vs_gate_socketpair(struct socket *sock, struct socket *peer, __u32 who);
VS_KFUNC(__u64) vs_gate_connect(struct socket *sock, struct sockaddr *address, int len, __u32 who);
VS_KFUNC(__u64) vs_gate_accept(struct sock *conn, __u32 who);
VS_KFUNC(__u64) vs_gate_send(struct socket *sock, struct msghdr *msg, __u32 who);
/* work: the way by which the work in hand came; closed: the way that is closed now. */
VS_KFUNC(__u64) vs_gate_close(__u32 who, __u64 work, __u64 closed);
/*
 * by: the way by which the task waits for more, 0: for events; address: of its socket; serves: it
 * serves clients by it.
 */
VS_KFUNC(__u64) vs_gate_wait(__u32 who, __u64 by, __u64 address, bool serves);
/*
 * The task, at home by now, is about to accept a connection of `sock`, and has worked for `served`
 * last: if its home has an order for that, the one that is to be taken is put first. Takes the
 * lock of the listener's queue: task context, no lock held, interrupts and preemption on.
 */
VS_KFUNC(void) vs_accept_order(struct socket *sock, __u32 who, __u32 served);
/* Something was received by the way `by` that no rule binds. */
VS_KFUNC(__u64) vs_work_received(__u32 who, __u64 by, __u64 address, bool serves);
/* The work in hand came so many jiffies ago. */
VS_KFUNC(__u64) vs_work_ages(__u32 who, __u64 age);
/* The task has replied, and sleeps of its own accord. Under the lock of its run queue. */
VS_KFUNC(__u64) vs_work_sleeps(__u32 who);
/* The map of tags: the answer to vs_ask_tags(). Taken only from the task that asks. */
VS_KFUNC(void) vs_tags_are(void *tags__map);

/* sendto(MSG_FASTOPEN) on a TCP socket that is not connected passes the gate `connect` here. */
VS_KFUNC(__u64) vs_gate_fastopen(struct socket *sock, struct msghdr *msg, __u32 who);
/* A request for a connection takes its packet's VS. The verdict can only refuse. */
VS_KFUNC(__u64) vs_conn_request(const struct sock *listener, struct sk_buff *skb,
				struct request_sock *req);
/* The handshake is done: `conn`, which no task has yet, takes the VS of `req`. */
VS_KFUNC(void) vs_conn_born(struct sock *conn, const struct request_sock *req);
/* A unix socket connects: `conn`, to be accepted, takes the VS of `client`. */
VS_KFUNC(__u64) vs_conn_unix(const struct sock *client, struct sock *conn);
/*
 * A datagram that is about to be queued for `receiver` gets the tag that is read when it is
 * received.
 */
VS_KFUNC(void) vs_datagram(struct sock *receiver, struct sk_buff *skb);
/*
 * A socket is gone, and only its numbers are known: its cookie (0: it has none) and its address.
 */
VS_KFUNC(void) vs_sk_gone(__u64 cookie, __u64 address);
/* Gives the socket to the VS that `other` belongs to. */
VS_KFUNC(void) vs_sk_follow(struct sock *sk, struct sock *other);
/* The VS of a socket of any kind; vs_named_vs(): of a full socket, by its cookie and address. */
VS_KFUNC(__u32) vs_sk_vs(struct sock_common *sk);
VS_KFUNC(__u32) vs_named_vs(__u64 cookie, __u64 address);

/*
 * Tags of tasks, before and after a change. vs_tag_hold() takes the references
 * that the new tag needs; false if one of its services is being destroyed: then
 * the new tag must not be written. On success call vs_tag_replaced() if the new
 * tag has replaced the old one, else vs_tag_release().
 */
VS_KFUNC(bool) vs_tag_hold(__u32 old, __u32 who);
VS_KFUNC(void) vs_tag_replaced(__u32 old, __u32 who);
VS_KFUNC(void) vs_tag_release(__u32 old, __u32 who);
/* The task that had the tag is gone. */
VS_KFUNC(void) vs_task_gone(__u32 who);
/* The answer of core__place: 0, or a negative errno if the tag is unchanged. */
VS_KFUNC(void) vs_placed(int error);

/*
 * The scheduler's view. A node is the nearest service, from `vs` upwards, that
 * has a weight or a cap of its own.
 */
struct vs_cpu_node {
	__u32 id;
	__u32 parent; /* the next node upwards */
	__u32 weight; /* 1..10000 */
	__u32 cap;    /* thousandths of one CPU, VS_UNLIMITED */
};

/* Grows with every change to tree and attributes. */
VS_KFUNC(__u64) vs_generation(void);
/* out__sz is sizeof(*out); -EINVAL if it is not. */
VS_KFUNC(int) vs_cpu_node(__u32 vs, struct vs_cpu_node *out, __u32 out__sz);
VS_KFUNC(void) vs_charge_cpu(__u32 vs, __u64 ns);
/*
 * The clock of a CPU's run queue, as if it were updated now; 0: no such CPU.
 * (Outside of the scheduler scx_bpf_now() can be a tick old: it trusts a copy that
 * sched_ext leaves marked as valid after it has moved a task away.)
 */
VS_KFUNC(__u64) vs_rq_clock(__u32 cpu);
/*
 * Makes a CPU look for a task if it is idle, and does nothing to other CPUs. Any context but NMI.
 */
VS_KFUNC(void) vs_kick_idle(__u32 cpu);

#define VS_TIMERS 4 /* timers of the scheduler, see timer.bpf.h */

#ifndef __bpf__
/*
 * Under PREEMPT_RT, and only there: calls vs_fires(which) in that many ns; a timer that is armed
 * already is postponed. Any context but NMI. (The BPF side declares it itself, as a weak symbol.)
 */
void vs_fire_after(u32 which, u64 ns);

/* An empty function to which scheduler__fires attaches. Softirq, which is a thread there. */
void vs_fires(u32 which);
#endif

#ifndef __bpf__
/*
 * An empty function to which core__place attaches. It gives `task`, which the
 * caller holds, the VS as home and current VS. VS_UNCHANGED: it only makes a tag
 * if the task has none, so that later no memory is needed. May sleep.
 */
void vs_place(struct task_struct *task, u32 vs);

/*
 * An empty function to which core__bind attaches. It gives the running task's tag,
 * which is made if there is none, the VS of a verdict, and `work` as the way by
 * which that work came. Preemption off: a program at a function's entry is left
 * out if a preempted task is inside it on this CPU.
 */
void vs_bind(u64 verdict, u64 work);
/* Calls vs_bind() from task context. */
void vs_bind_current(u64 verdict, u64 work);

/* An empty function to which core__tags attaches, which answers by vs_tags_are(). May sleep. */
void vs_ask_tags(void);
/*
 * Asks for the map of tags; without an answer no task has a tag. One caller at a time; may sleep.
 */
void vs_learn_tags(void);
/* Gives the map back. One caller at a time of this and vs_learn_tags(); may sleep. */
void vs_forget_tags(void);
/*
 * The running task's tag, or NULL: root. It stays while the caller is under RCU. Any context but
 * NMI.
 */
struct vs_tag *vs_current_tag(void);

/*
 * A function that send__message replaces. Returns VS_MESSAGE with the VS of the
 * datagram that the running task sends by `sk`. 0: the datagram has the socket's
 * VS. Any context but NMI.
 */
u32 vs_message_of(const struct sock *sk);

/*
 * A function that core__sockets_counted replaces, to return 1: BPF programs see
 * the end of a socket, so a socket that is given to a VS will be counted off.
 * Any context but NMI.
 */
int vs_sockets_counted(void);

/* Registers the kfuncs for the BPF program types that use them. Once, at load; may sleep. */
int vs_register_kfuncs(void);
/* Waits for all that the last of those programs has started. Once, at unload; may sleep. */
void vs_end_kfuncs(void);
#endif

#endif /* _VS_KFUNCS_H */
