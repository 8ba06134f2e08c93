/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Static inlines, macros and bit fields of the kernel as functions that Rust
 * can call. Each is the kernel's own of that name, with nothing added; see
 * there for what it asks of its caller. Kept small: what Rust can do with the
 * structures' plain fields, it does itself.
 */
#ifndef _VS_HELPERS_H
#define _VS_HELPERS_H

#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/types.h>
#include <net/sock.h>

/* per-CPU data; `base` is what alloc_percpu() gave, `cpu` a possible one */
void *vs_per_cpu_ptr(void __percpu *base, unsigned int cpu);
void vs_this_cpu_add_u64(u64 __percpu *counter, u64 value);
u64 vs_per_cpu_sum_u64(const u64 __percpu *counter); /* over all possible CPUs */

/* packets */
bool vs_skb_is_gso(const struct sk_buff *skb);
unsigned int vs_skb_gso_segs(const struct sk_buff *skb);

/* sockets: of any kind, a request's and a time-wait one included */
bool vs_sk_fullsock(const struct sock *sk);
bool vs_sk_is_timewait(const struct sock *sk);
bool vs_sk_is_request(const struct sock *sk);
struct net *vs_sock_net(const struct sock *sk);

bool vs_sk_queue_empty(const struct sock *sk); /* nothing to be received, UDP's second queue included */

/* the running task; the path is that of its cgroup in the default hierarchy, under RCU */
const struct cred *vs_current_cred(void);
u32 vs_cred_euid(const struct cred *cred);
u32 vs_cred_egid(const struct cred *cred);
int vs_current_cgroup_path(char *buf, size_t len);

/* threads, under RCU; after the last one comes NULL */
struct task_struct *vs_group_leader(struct task_struct *task);
struct task_struct *vs_next_thread(struct task_struct *task);

/* network namespaces and devices */
bool vs_dev_is_loopback(const struct net_device *dev);

#endif /* _VS_HELPERS_H */
