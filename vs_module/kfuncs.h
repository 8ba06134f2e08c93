/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kfuncs of vs.ko: what BPF may ask of it. One header for both sides, so
 * that a prototype cannot differ: kfuncs.c includes it with the kernel's types,
 * the BPF programs with those of vmlinux.h.
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

/* Home and current VS of a task, in one word: as its tag has them. */
#define VS_WHO(home, cur) ((__u32)(cur) << 16 | (home))

/*
 * A verdict: what becomes of the running task's tag, and what the system call
 * is refused with. The ids in it are resolved and exist.
 */
#define VS_VERDICT_CUR	   0  /* bits 0-15: new current VS */
#define VS_VERDICT_HOME	   16 /* bits 16-31: new home VS */
#define VS_VERDICT_MESSAGE 32 /* bits 32-47, of send: VS of the datagram */
#define VS_VERDICT_ERRNO   48 /* bits 48-62: positive errno, 0: go on */
#define VS_UNCHANGED	   0xffff
/* As CUR. */
#define VS_GOES_HOME   0xfffe /* the task's home, wherever it is placed by now */
#define VS_HAS_REPLIED 0xfffd /* unchanged, and the task has replied: see logic/work.rs */
#define VS_GOES_ON     0xfffc /* unchanged, and what is sent now is more of the reply */

#define VS_MESSAGE (1 << 16) /* see vs_message_of() */

/*
 * A task's tag: for whom it works. It lives in BPF task local storage, in the
 * map vs_tags (bpf/tag.bpf.h).
 *
 * The task itself writes its tag: its gates do, in task context. An administrator
 * who places it writes it from elsewhere. `home` and `cur` are replaced together,
 * by compare-and-swap, because counts hang on them; the rest is plainly stored.
 */
struct vs_tag {
	union {
		struct {
			__u16 home; /* VS it was placed in or born in */
			__u16 cur;  /* VS of the work in hand */
		};
		__u32 both; /* VS_WHO(home, cur) */
	};
	__u16 message; /* VS of the datagram in hand, while it is received or sent */
	/* VS it has worked for last beside its home, 0: none; a hint for the scheduler */
	__u16 served;
	__u64 work;   /* the way by which the work in hand came: a socket's cookie, 0: none */
	__u64 since;  /* bpf_jiffies64() at the receipt that the work came with */
	__u64 sends;  /* address of the socket that `message` is being sent by, or 0 */
	__u64 open;   /* CPU ns since the reply, which are nobody's yet; changed atomically */
	__u8 replied; /* it has replied to the work in hand: see logic/work.rs */
	__u8 sending; /* the work in hand is no more than to send something */
	__u8 reserved[6];
};

/*
 * The gates, one each. They count the call, classify it, put the tag on the
 * sockets concerned and return the verdict on the task.
 */

/*
 * HOME is the child's, MESSAGE the VS that it works for from the start. Both are
 * counted already, as a tag has them; undo with vs_task_gone().
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
/* by: the way by which the task waits for more, 0: for events; serves: others are served by it. */
VS_KFUNC(__u64) vs_gate_wait(__u32 who, __u64 work, __u64 by, bool serves);
/* Something was received by the way `by` that no rule binds. */
VS_KFUNC(__u64) vs_work_received(__u32 who, __u64 work, __u64 by, bool serves);
/* The work in hand came so many jiffies ago. */
VS_KFUNC(__u64) vs_work_ages(__u32 who, __u64 age);
/* The task has replied, and sleeps of its own accord. Under the lock of its run queue. */
VS_KFUNC(__u64) vs_work_sleeps(__u32 who);
/* The map of tags: the answer to vs_ask_tags(), taken from the task that asks alone. */
VS_KFUNC(void) vs_tags_are(void *tags__map);

/* sendto(MSG_FASTOPEN) on a TCP socket that is not connected passes the gate `connect` here. */
VS_KFUNC(__u64) vs_gate_fastopen(struct socket *sock, struct msghdr *msg, __u32 who);
/* A request for a connection takes its packet's VS. The verdict can only refuse. */
VS_KFUNC(__u64) vs_conn_request(const struct sock *listener, struct sk_buff *skb,
				struct request_sock *req);
/* The handshake is done: `conn`, which nobody has yet, takes the VS of `req`. */
VS_KFUNC(void) vs_conn_born(struct sock *conn, const struct request_sock *req);
/* The same for unix sockets: `conn`, to be accepted, takes the VS of `client`. */
VS_KFUNC(__u64) vs_conn_unix(const struct sock *client, struct sock *conn);
/*
 * A datagram that is about to be queued for `receiver` gets the tag that is read when it is
 * received.
 */
VS_KFUNC(void) vs_datagram(struct sock *receiver, struct sk_buff *skb);
/*
 * A socket is gone, of which only numbers can be told: its cookie (0: it has none) and its address.
 */
VS_KFUNC(void) vs_sk_gone(__u64 cookie, __u64 address);
/* The socket becomes that VS's which `other` belongs to. */
VS_KFUNC(void) vs_sk_follow(struct sock *sk, struct sock *other);
/* The VS of a socket of any kind; of a full one, by the numbers that name it. */
VS_KFUNC(__u32) vs_sk_vs(struct sock_common *sk);
VS_KFUNC(__u32) vs_named_vs(__u64 cookie, __u64 address);

/*
 * Tags of tasks, before and after a change. vs_tag_hold() takes the references
 * that the new one needs; false if one of its services is going away, and then
 * it must not be written. On success call exactly one of vs_tag_replaced(), if
 * the new tag stands in the place of the old one, and vs_tag_release().
 */
VS_KFUNC(bool) vs_tag_hold(__u32 old, __u32 who);
VS_KFUNC(void) vs_tag_replaced(__u32 old, __u32 who);
VS_KFUNC(void) vs_tag_release(__u32 old, __u32 who);
/* The task that had the tag is gone. */
VS_KFUNC(void) vs_task_gone(__u32 who);
/* The answer of core__place: 0, or the negative errno for which the tag is as it was. */
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
 * The clock of a CPU's run queue, as if it were updated now; 0: no such
 * CPU. (scx_bpf_now() can be a tick old outside of the scheduler: it trusts a copy
 * that sched_ext leaves marked as valid where it has moved a task away.)
 */
VS_KFUNC(__u64) vs_rq_clock(__u32 cpu);
/* Has a CPU that is idle look for a task; not one that is busy or offline. Any context but NMI. */
VS_KFUNC(void) vs_kick_idle(__u32 cpu);

#define VS_TIMERS 4 /* the scheduler's, see timer.bpf.h */

#ifndef __bpf__
/*
 * Under PREEMPT_RT, and only there: calls vs_fires(which) in that many ns; a timer that is started
 * already is put off. Any context but NMI. (The BPF side declares it itself, as a weak symbol.)
 */
void vs_fire_after(u32 which, u64 ns);

/* Where scheduler__fires attaches. Empty in itself. Softirq, that is a thread. */
void vs_fires(u32 which);
#endif

#ifndef __bpf__
/*
 * Where core__place attaches: to give `task`, which the caller holds, the VS as
 * home and current; VS_UNCHANGED: only to make it a tag where it has none, so that
 * no memory is lacking later. Empty in itself. May sleep.
 */
void vs_place(struct task_struct *task, u32 vs);

/*
 * Where core__bind attaches: gives the running task's tag, which is made if need
 * be, the VS of a verdict, and `work` as the way by which that work came. Empty in
 * itself. Preemption off,
 * for a program at a function's entry is left out if another task is in the midst
 * of it on this CPU.
 */
void vs_bind(u64 verdict, u64 work);
/* The same, from task context. */
void vs_bind_current(u64 verdict, u64 work);

/* Where core__tags attaches, which answers by vs_tags_are(). May sleep. */
void vs_ask_tags(void);
/* Asks for the map of tags; without an answer no task has one. One at a time; may sleep. */
void vs_learn_tags(void);
/* Lets go of the map. One at a time, with vs_learn_tags(); may sleep. */
void vs_forget_tags(void);
/* The running task's tag, or NULL: root. Under RCU, while which it stays; any context but NMI. */
struct vs_tag *vs_current_tag(void);

/*
 * Where send__message attaches and answers in its place: VS_MESSAGE with the VS of
 * the datagram that the running task sends by `sk`. 0: it is the socket's. Any
 * context but NMI.
 */
u32 vs_message_of(const struct sock *sk);

/*
 * Where core__sockets_counted attaches and answers 1 in its place: the end of a
 * socket is seen, so that one that is given to a VS will be counted off. Any
 * context but NMI.
 */
int vs_sockets_counted(void);

/* For the BPF program types that use them. Once, at load; may sleep. */
int vs_register_kfuncs(void);
/* Waits for what the last of those programs has left on its way. Once, at unload; may sleep. */
void vs_end_kfuncs(void);
#endif

#endif /* _VS_KFUNCS_H */
