// SPDX-License-Identifier: GPL-2.0
/* The functions of helpers.h, and the check that gcc and clang agree on the structures of layout.h. */
#include <linux/if.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/binfmts.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/stddef.h>
#include <linux/udp.h>
#include <net/af_unix.h>
#include <net/inet_sock.h>
#include <net/inet_timewait_sock.h>
#include <net/net_namespace.h>

#include "helpers.h"
#include "../vs_netfilter/layout.h"
#include "vs_netfilter/layout_generated.h"

#define VS_FIELD(name, type, field) \
	static_assert(offsetof(type, field) == VS_OFFSET_##name, #type "." #field " lies elsewhere for clang");
#define VS_SIZE(name, type) \
	static_assert(sizeof(type) == VS_SIZEOF_##name, #type " has another size for clang");
VS_LAYOUT

void *vs_per_cpu_ptr(void __percpu *base, unsigned int cpu)
{
	return per_cpu_ptr(base, cpu);
}

void vs_this_cpu_add_u64(u64 __percpu *counter, u64 value)
{
	this_cpu_add(*counter, value);
}

u64 vs_per_cpu_sum_u64(const u64 __percpu *counter)
{
	unsigned int cpu;
	u64 sum = 0;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	return sum;
}

bool vs_skb_is_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb);
}

unsigned int vs_skb_gso_segs(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_segs;
}

bool vs_sk_fullsock(const struct sock *sk)
{
	return sk_fullsock(sk);
}

bool vs_sk_is_timewait(const struct sock *sk)
{
	return sk->sk_state == TCP_TIME_WAIT;
}

bool vs_sk_is_request(const struct sock *sk)
{
	return sk->sk_state == TCP_NEW_SYN_RECV;
}

struct net *vs_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

bool vs_sk_queue_empty(const struct sock *sk)
{
	return skb_queue_empty_lockless(&sk->sk_receive_queue) &&
	       (!sk_is_udp(sk) || skb_queue_empty_lockless(&udp_sk(sk)->reader_queue));
}

const struct cred *vs_current_cred(void)
{
	return current_cred();
}

u32 vs_cred_euid(const struct cred *cred)
{
	return __kuid_val(cred->euid);
}

u32 vs_cred_egid(const struct cred *cred)
{
	return __kgid_val(cred->egid);
}

int vs_current_cgroup_path(char *buf, size_t len)
{
	return cgroup_path(task_dfl_cgroup(current), buf, len);
}

struct task_struct *vs_group_leader(struct task_struct *task)
{
	return task->group_leader;
}

struct task_struct *vs_next_thread(struct task_struct *task)
{
	return __next_thread(task);
}

bool vs_dev_is_loopback(const struct net_device *dev)
{
	return dev->flags & IFF_LOOPBACK;
}
