// SPDX-License-Identifier: GPL-2.0
/*
 * The functions of helpers.h, and the check that gcc and clang agree on the structures of layout.h.
 */
#include <linux/binfmts.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/jiffies.h>
#include <linux/netdevice.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/preempt.h>
#include <linux/skbuff.h>
#include <linux/stddef.h>
#include <linux/tracepoint.h>
#include <linux/user_namespace.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include <net/af_unix.h>
#include <net/inet_sock.h>
#include <net/inet_timewait_sock.h>
#include <net/net_namespace.h>

#include "helpers.h"
#include "layout.h"
#include "vs_module/shim/layout_generated.h"

#define VS_FIELD(name, type, field)                                  \
	static_assert(offsetof(type, field) == VS_OFFSET_##name,     \
		      #type "." #field " lies elsewhere for clang"); \
	static_assert(sizeof_field(type, field) == VS_WIDTH_##name,  \
		      #type "." #field " has another size for clang");
#define VS_TAIL(name, type, field)                               \
	static_assert(offsetof(type, field) == VS_OFFSET_##name, \
		      #type "." #field " lies elsewhere for clang");
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

bool vs_skb_is_copy(const struct sk_buff *skb)
{
	return skb->pkt_type == PACKET_LOOPBACK;
}

int vs_skb_network_offset(const struct sk_buff *skb)
{
	return skb_network_offset(skb);
}

struct net *vs_dev_net(const struct net_device *dev)
{
	return dev_net(dev);
}

bool vs_dev_is_local(const struct net_device *dev)
{
	return dev->flags & IFF_LOOPBACK || dev->netdev_ops->ndo_get_peer_dev ||
	       netif_is_macvlan(dev);
}

/*
 * A device hands over up to net.core.gro_normal_batch (8) packets before the stack takes the first.
 */
#define VS_NOTES 16

struct vs_packet_note {
	/* Addresses, which are only compared. */
	const struct sk_buff *skb;
	const unsigned char *head;
	const struct task_struct *task;
	u32 tag;
	bool softirq;
};

struct vs_packet_notes {
	u32 last;
	struct vs_packet_note notes[VS_NOTES];
};

static DEFINE_PER_CPU(struct vs_packet_notes, vs_notes);

/*
 * Preemption off: under PREEMPT_RT softirqs run in threads, and can preempt each other on
 * one CPU.
 */
void vs_note(const struct sk_buff *skb, u32 tag)
{
	struct vs_packet_notes *notes;

	guard(preempt)();
	notes = this_cpu_ptr(&vs_notes);
	notes->last = (notes->last + 1) % VS_NOTES;
	notes->notes[notes->last] = (struct vs_packet_note){
		.skb = skb,
		.head = skb->head,
		.task = current,
		.tag = tag,
		.softirq = in_serving_softirq(),
	};
}

/*
 * A packet socket makes the stack clone the packet; the clone shares its data with the
 * packet that arrived.
 *
 * If the packet has arrived on this CPU, the newest note of these addresses is its own, because
 * no other packet has them while it lives. A packet that arrived on another CPU, and was held
 * back since (NFQUEUE, asynchronous decryption), could be taken for an earlier packet at the same
 * addresses. But such a packet does not go on in the softirq in which it arrived, nor in any
 * other, and the note tells the difference.
 */
u32 vs_note_of(const struct sk_buff *skb)
{
	const struct vs_packet_notes *notes;
	u32 back;

	guard(preempt)();
	notes = this_cpu_ptr(&vs_notes);
	for (back = 0; back < VS_NOTES; back++) {
		const struct vs_packet_note *note = &notes->notes[(notes->last - back) % VS_NOTES];

		if (note->head != skb->head || (note->skb != skb && !skb->cloned))
			continue;
		return note->task == current && note->softirq == !!in_serving_softirq() ?
			       note->tag :
			       0;
	}
	return 0;
}

struct vs_tracepoint_search {
	const char *name;
	struct tracepoint *found;
};

static void vs_tracepoint_see(struct tracepoint *tracepoint, void *search)
{
	struct vs_tracepoint_search *it = search;

	if (!strcmp(tracepoint->name, it->name))
		it->found = tracepoint;
}

struct tracepoint *vs_tracepoint(const char *name)
{
	struct vs_tracepoint_search search = { .name = name };

	for_each_kernel_tracepoint(vs_tracepoint_see, &search);
	return search.found;
}

void vs_tracepoints_synchronize(void)
{
	tracepoint_synchronize_unregister();
}

bool vs_net_is_hosts(const struct net *net)
{
	return net_eq(net, &init_net);
}

bool vs_sk_is_stack(const struct sock *sk)
{
	return sk_fullsock(sk) && !sk->sk_net_refcnt && sk->sk_type == SOCK_RAW;
}

bool vs_sk_is_hosts(const struct sock *sk)
{
	return net_eq(sock_net(sk), &init_net);
}

u32 vs_sk_userlocks(const struct sock *sk)
{
	return sk->sk_userlocks;
}

bool vs_sk_is_kernel(const struct sock *sk)
{
	return sk_fullsock(sk) && sk->sk_kern_sock;
}

static bool vs_compat_receives_one(struct pt_regs *regs, int nr, bool datagrams)
{
#ifdef CONFIG_IA32_EMULATION
	const int sys_recvmmsg = 19; /* of socketcall(): SYS_RECVMMSG */

	switch (nr) {
	case __NR_ia32_read:
	case __NR_ia32_readv:
	case __NR_ia32_recvfrom:
	case __NR_ia32_recvmsg:
		return true;
	case __NR_ia32_socketcall:
		return !datagrams || (u32)regs->bx != sys_recvmmsg;
	case __NR_ia32_recvmmsg:
	case __NR_ia32_recvmmsg_time64:
		return !datagrams || (u32)regs->dx == 1;
	}
#endif
	return false;
}

bool vs_receives_one(bool datagrams)
{
	struct pt_regs *regs = task_pt_regs(current);
	int nr = syscall_get_nr(current, regs);

	if (in_ia32_syscall())
		return vs_compat_receives_one(regs, nr, datagrams);
	switch (nr) {
	case __NR_read:
	case __NR_readv:
	case __NR_preadv2:
	case __NR_recvfrom:
	case __NR_recvmsg:
		return true;
	case __NR_recvmmsg:
		return !datagrams || (u32)regs->dx == 1;
	}
	return false;
}

bool vs_serves_kernel(void)
{
	return !in_task() || current->flags & PF_KTHREAD;
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

/*
 * Only the addresses of both roots are compared, under RCU, so no reference is taken: it could not
 * be given back here.
 */
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

u64 vs_jiffies(void)
{
	return get_jiffies_64();
}

u64 vs_jiffies_to_ns(u64 jiffies)
{
	return jiffies64_to_nsecs(jiffies);
}

struct task_struct *vs_group_leader(struct task_struct *task)
{
	return task->group_leader;
}

struct task_struct *vs_next_thread(struct task_struct *task)
{
	return __next_thread(task);
}
