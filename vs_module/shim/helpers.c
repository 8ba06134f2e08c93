// SPDX-License-Identifier: GPL-2.0
/* The functions of helpers.h, and the check that gcc and clang agree on the structures of layout.h. */
#include <linux/binfmts.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/if.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/stddef.h>
#include <linux/tcp.h>
#include <linux/user_namespace.h>
#include <net/af_unix.h>
#include <net/dst_metadata.h>
#include <net/inet_sock.h>
#include <net/inet_timewait_sock.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/route.h>

#include "helpers.h"
#include "layout.h"
#include "vs_module/shim/layout_generated.h"

#define VS_FIELD(name, type, field) \
	static_assert(offsetof(type, field) == VS_OFFSET_##name, #type "." #field " lies elsewhere for clang"); \
	static_assert(sizeof_field(type, field) == VS_WIDTH_##name, #type "." #field " has another size for clang");
#define VS_TAIL(name, type, field) \
	static_assert(offsetof(type, field) == VS_OFFSET_##name, #type "." #field " lies elsewhere for clang");
#define VS_SIZE(name, type) \
	static_assert(sizeof(type) == VS_SIZEOF_##name, #type " has another size for clang");
VS_LAYOUT

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

bool vs_skb_is_own(const struct sk_buff *skb)
{
	return skb_valid_dst(skb) && (skb->dev->flags & IFF_LOOPBACK || skb->pkt_type == PACKET_LOOPBACK);
}

bool vs_skb_is_copy_in(const struct sk_buff *skb)
{
	return skb->pkt_type == PACKET_LOOPBACK;
}

/* ip_mc_output() and ip6_finish_output2() clone the packet for the machine itself, and a clone has no socket. */
bool vs_skb_is_copy_out(const struct sk_buff *skb)
{
	if (skb->sk)
		return false;
	if (skb->protocol == htons(ETH_P_IPV6))
		return ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr);
	return skb_valid_dst(skb) && skb_rtable(skb)->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST);
}

/* As __ip_finish_output() and ip_do_fragment(), or __ip6_finish_output() and ip6_fragment(), reckon. */
unsigned int vs_skb_fragment_limit(const struct sk_buff *skb, struct sock *sk, bool v6)
{
	unsigned int mtu, received;

	if (skb_is_gso(skb) || !skb_valid_dst(skb))
		return UINT_MAX;
	if (!v6) {
		mtu = ip_skb_dst_mtu(sk, skb);
		received = IPCB(skb)->frag_max_size;
	} else {
		mtu = ip6_skb_dst_mtu(skb);
		received = IP6CB(skb)->frag_max_size;
		if (received)
			received = max_t(unsigned int, received, IPV6_MIN_MTU);
	}
	return received ? min(mtu, received) : mtu;
}

/*
 * As gso_features_check() and skb_gso_ok() will find when the link header, too, is there. A packet
 * that IPsec is about to encrypt has no device yet.
 */
bool vs_skb_is_segmented(const struct sk_buff *skb)
{
	const struct net_device *dev = skb->dev;

	return dev && skb_is_gso(skb) &&
	       (skb->len + dev->hard_header_len >= netif_get_gso_max_size(dev, skb) ||
		skb_shinfo(skb)->gso_segs > READ_ONCE(dev->gso_max_segs) ||
		!net_gso_ok(dev->features, skb_shinfo(skb)->gso_type));
}

unsigned int vs_skb_segment_size(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_size;
}

unsigned int vs_skb_segment_headers(const struct sk_buff *skb)
{
	bool udp = skb_shinfo(skb)->gso_type & SKB_GSO_UDP_L4;

	if (skb->encapsulation)
		return skb_inner_transport_offset(skb) + (udp ? sizeof(struct udphdr) : inner_tcp_hdrlen(skb));
	return skb_transport_offset(skb) + (udp ? sizeof(struct udphdr) : tcp_hdrlen(skb));
}

bool vs_net_is_hosts(const struct net *net)
{
	return net->user_ns == &init_user_ns;
}

bool vs_sk_fullsock(const struct sock *sk)
{
	return sk_fullsock(sk);
}

bool vs_sk_is_stack(const struct sock *sk)
{
	return sk_fullsock(sk) && !sk->sk_net_refcnt && sk->sk_type == SOCK_RAW;
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

/* Of both roots, only the addresses are looked at, under RCU: so no reference is taken, which could not be given back here. */
bool vs_current_sees_as_host(const struct path *path)
{
	struct task_struct *init = init_pid_ns.child_reaper;
	struct path root;
	unsigned int seq;
	bool same;

	if (current_user_ns() != &init_user_ns)
		return false;
	do {
		seq = read_seqbegin(&current->fs->seq);
		root = current->fs->root;
	} while (read_seqretry(&current->fs->seq, seq));
	task_lock(init);
	same = init->fs && READ_ONCE(init->fs->root.dentry) == root.dentry;
	task_unlock(init);
	return same && path_is_under(path, &root);
}

struct task_struct *vs_group_leader(struct task_struct *task)
{
	return task->group_leader;
}

struct task_struct *vs_next_thread(struct task_struct *task)
{
	return __next_thread(task);
}
