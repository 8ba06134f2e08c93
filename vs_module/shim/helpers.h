/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust cannot reach: static inlines, macros and bit fields of the kernel,
 * as functions. They decide nothing, and what Rust can read in the structures'
 * plain fields, it reads itself.
 */
#ifndef _VS_HELPERS_H
#define _VS_HELPERS_H

#include <linux/path.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/types.h>
#include <net/sock.h>

/* per-CPU data */
void vs_this_cpu_add_u64(u64 __percpu *counter, u64 value);
u64 vs_per_cpu_sum_u64(const u64 __percpu *counter); /* over all possible CPUs */

/* packets; what each tells is said where skb.rs uses it */
bool vs_skb_is_own(const struct sk_buff *skb);
bool vs_skb_is_copy_in(const struct sk_buff *skb);
bool vs_skb_is_copy_out(const struct sk_buff *skb);
unsigned int vs_skb_fragment_limit(const struct sk_buff *skb, struct sock *sk, bool v6);
bool vs_skb_is_segmented(const struct sk_buff *skb);
unsigned int vs_skb_segment_size(const struct sk_buff *skb);
unsigned int vs_skb_segment_headers(const struct sk_buff *skb);

/* sockets of any kind, a request's and a time-wait one included */
bool vs_sk_fullsock(const struct sock *sk);
bool vs_sk_is_stack(const struct sock *sk);

/* Is the network namespace one in which root alone, of the host, can do what root can? */
bool vs_net_is_hosts(const struct net *net);

/* the running task; the path is that of its cgroup in the default hierarchy, under RCU */
const struct cred *vs_current_cred(void);
u32 vs_cred_euid(const struct cred *cred);
u32 vs_cred_egid(const struct cred *cred);
int vs_current_cgroup_path(char *buf, size_t len);
bool vs_current_sees_as_host(const struct path *path); /* under RCU */

/* threads, under RCU; after the last one comes NULL */
struct task_struct *vs_group_leader(struct task_struct *task);
struct task_struct *vs_next_thread(struct task_struct *task);

#endif /* _VS_HELPERS_H */
