/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Static inlines, macros and bit fields of the kernel, which Rust cannot reach,
 * as functions. They decide nothing. Rust reads the plain fields of structures
 * itself.
 */
#ifndef _VS_HELPERS_H
#define _VS_HELPERS_H

#include <linux/path.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/types.h>
#include <net/sock.h>

#include "sockets.h"

struct tracepoint;

/* per-CPU data */
void vs_this_cpu_add_u64(u64 __percpu *counter, u64 value);
u64 vs_per_cpu_sum_u64(const u64 __percpu *counter); /* over all possible CPUs */

/* packets and devices; skb.rs documents them */
bool vs_skb_is_copy(const struct sk_buff *skb);
int vs_skb_network_offset(const struct sk_buff *skb);
struct net *vs_dev_net(const struct net_device *dev);
bool vs_dev_is_local(const struct net_device *dev);

/*
 * The tags of the packets that devices handed over last on this CPU, for network
 * namespaces in which others may write to the packet itself. vs_note_of()
 * returns 0 unless `skb` is one of these packets and is still in the softirq, or
 * in the call, in which it was handed over. Softirq, or bottom halves off.
 */
void vs_note(const struct sk_buff *skb, u32 tag);
u32 vs_note_of(const struct sk_buff *skb);

/* sockets of any kind, also requests and remainders in TIME_WAIT */
bool vs_sk_is_stack(const struct sock *sk);
bool vs_sk_is_kernel(const struct sock *sk);
/*
 * Does the running system call receive one message and return with it? No if it receives a batch
 * (recvmmsg() of datagrams, io_uring), for it is not known which message the server then serves
 * first.
 */
bool vs_receives_one(bool datagrams);
u32 vs_sk_userlocks(const struct sock *sk); /* SOCK_*_LOCK of a full socket */
bool vs_sk_is_hosts(const struct sock *sk); /* in the initial network namespace */

/* Is it the initial network namespace? */
bool vs_net_is_hosts(const struct net *net);

/* A tracepoint of the kernel itself, or NULL; may sleep. */
struct tracepoint *vs_tracepoint(const char *name);
/* Waits until no probe that was unregistered runs any more; may sleep. */
void vs_tracepoints_synchronize(void);

/* events of trace.h, any context */
#define VS_TRACE_NO_RULE 0xffffffffu /* no rule caused it */
void vs_trace_bind(u32 gate, u32 home, u32 cur, u32 new_home, u32 new_cur, u32 rule);
void vs_trace_refuse(u32 gate, u32 service, int error);
void vs_trace_apply(u32 services, u32 rules, u64 generation);

/* a kernel thread or an interrupt runs, no system call of a task */
bool vs_serves_kernel(void);
/* the running task; the path is that of its cgroup in the default hierarchy, under RCU */
const struct cred *vs_current_cred(void);
u32 vs_cred_euid(const struct cred *cred);
u32 vs_cred_egid(const struct cred *cred);
int vs_current_cgroup_path(char *buf, size_t len);
bool vs_current_sees_as_host(const struct path *path); /* under RCU */

u64 vs_jiffies(void); /* as bpf_jiffies64() */
u64 vs_jiffies_to_ns(u64 jiffies);

/* threads, under RCU; after the last one comes NULL */
struct task_struct *vs_group_leader(struct task_struct *task);
struct task_struct *vs_next_thread(struct task_struct *task);

#endif /* _VS_HELPERS_H */
