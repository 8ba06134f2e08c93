// SPDX-License-Identifier: GPL-2.0
/*
 * Gates where tasks and sockets come into being: fork, exit, socket, socketpair.
 */
#include "../bpf/verdict.bpf.h"

char _license[] SEC("license") = "GPL";

/*
 * Runs in the parent: the child gets its tag before it can run. A fork that
 * fails later frees the child, and core__task_free counts it off like any other
 * task.
 */
SEC("lsm/task_alloc")
int BPF_PROG(fork__task_alloc, struct task_struct *child, unsigned long clone_flags, int ret)
{
	struct vs_tag *tag, born = { .number = bpf_get_prandom_u32() };
	__u64 verdict;

	if (ret)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	verdict = vs_gate_fork(who(tag));
	ret = verdict_error(verdict);
	if (ret)
		return ret;
	born.home = born.cur = verdict_home(verdict);
	if (verdict_message(verdict) != VS_UNCHANGED) {
		born.cur = born.served = verdict_message(verdict);
		/* the child goes on with its parent's work */
		if (tag && tag->cur == born.cur)
			born.work = tag->work;
		born.since = bpf_jiffies64();
	}
	if (born.both &&
	    !bpf_task_storage_get(&vs_tags, child, &born, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
		/* Without a tag the child would escape its tenant's limits. */
		vs_task_gone(born.both);
		return -12; /* ENOMEM, as for a fork that lacks any other memory */
	}
	bind(tag, verdict | (__u64)VS_UNCHANGED << VS_VERDICT_HOME, 0);
	return 0;
}

/* Only counts the exit: core__cgroup_task_release and core__task_free see to the tag. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(exit__sched_process_exit)
{
	vs_gate_exit(who(tag_of(bpf_get_current_task_btf())));
	return 0;
}

SEC("lsm/socket_post_create")
int BPF_PROG(socket__socket_post_create, struct socket *sock, int family, int type, int protocol,
	     int kern, int ret)
{
	struct vs_tag *tag;

	if (ret || kern)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	return obey(tag, vs_gate_socket(sock, who(tag)));
}

/* Both sockets have passed the gate socket before. */
SEC("lsm/socket_socketpair")
int BPF_PROG(socketpair__socket_socketpair, struct socket *sock, struct socket *peer, int ret)
{
	struct vs_tag *tag;

	if (ret)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	return obey(tag, vs_gate_socketpair(sock, peer, who(tag)));
}
