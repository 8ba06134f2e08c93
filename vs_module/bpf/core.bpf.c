// SPDX-License-Identifier: GPL-2.0
/*
 * The programs that every gate relies on, attached with any gate: they count tasks and
 * sockets, pass a request's tag on to its connection, and place tasks.
 */
#include "verdict.bpf.h"

char _license[] SEC("license") = "GPL";

/* The administrator gives a task, running or not, a new home. See kfuncs.h: vs_place(). */
SEC("fentry/vs_place")
int BPF_PROG(core__place, struct task_struct *task, __u32 vs)
{
	struct vs_tag *tag = tag_made(task);
	__u32 was = who(tag);

	if (!tag) {
		vs_placed(-12); /* ENOMEM */
	} else if (!tag_write(task, tag, vs, vs)) {
		vs_placed(-11); /* EAGAIN: others were quicker each time */
	} else {
		if (vs != VS_UNCHANGED) {
			tag->work = tag->replied = tag->sending = 0;
			close_reply(tag, was >> 16, was & 0xffff);
		}
		vs_placed(0);
	}
	return 0;
}

/* A probe of vs.ko has a verdict on the running task. See kfuncs.h: vs_bind(). */
SEC("fentry/vs_bind")
int BPF_PROG(core__bind, __u64 verdict, __u64 work)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vs_tag *tag = tag_made(task);

	/* If the verdict changes nothing, the task only has a tag now. */
	if (tag)
		bind(tag, verdict, work);
	return 0;
}

/* See kfuncs.h: vs_ask_tags(). */
SEC("fentry/vs_ask_tags")
int BPF_PROG(core__tags)
{
	vs_tags_are(&vs_tags);
	return 0;
}

/* Counts the task off where its tag says, and makes it root's. */
static __always_inline void task_gone(struct task_struct *task, struct vs_tag *tag)
{
	__u32 was;

	if (!tag || !tag->both)
		return;
	settle(task, tag);
	was = __sync_lock_test_and_set(&tag->both, VS_WHO(VS_ROOT, VS_ROOT));
	close_reply(tag, was >> 16, was & 0xffff);
	vs_task_gone(was);
}

/*
 * The task is released: its parent has reaped it, or no parent needs to. From
 * here on it does not count as a task of its service, as it does not for
 * RLIMIT_NPROC and the pids controller; its memory may stay for a grace period
 * and longer. CPU time that a thread spends in its exit after this is root's.
 */
SEC("fentry/cgroup_task_release")
int BPF_PROG(core__cgroup_task_release, struct task_struct *task)
{
	task_gone(task, tag_of(task));
	return 0;
}

/*
 * Counts a task off if its fork failed, if it was placed after its release, or if the program
 * above was left out. Any context.
 */
SEC("lsm/task_free")
int BPF_PROG(core__task_free, struct task_struct *task)
{
	task_gone(task, tag_of(task));
	return 0;
}

/* A TCP handshake begins, or a SYN cookie comes back. Softirq. */
SEC("lsm/inet_conn_request")
int BPF_PROG(core__inet_conn_request, const struct sock *listener, struct sk_buff *skb,
	     struct request_sock *req, int ret)
{
	return ret ?: verdict_error(vs_conn_request(listener, skb, req));
}

/* A TCP handshake is done, or one of MPTCP. Softirq. */
SEC("lsm/inet_csk_clone")
int BPF_PROG(core__inet_csk_clone, struct sock *conn, const struct request_sock *req)
{
	vs_conn_born(conn, req);
	return 0;
}

/* MPTCP has made a socket for a subflow: it belongs to the connection's service. */
SEC("lsm/mptcp_add_subflow")
int BPF_PROG(core__mptcp_add_subflow, struct sock *sk, struct sock *way, int ret)
{
	if (!ret)
		vs_sk_follow(way, sk);
	return ret;
}

/* Sockets are placed only while they are counted off below. See kfuncs.h: vs_sockets_counted(). */
SEC("fmod_ret/vs_sockets_counted")
int BPF_PROG(core__sockets_counted)
{
	return 1;
}

/*
 * Any context. Not at a function's entry: there the kernel leaves out a program that is already
 * running on the CPU, and a softirq can free a socket while it runs. A socket that never
 * belonged to a service has no cookie, or one that is in no table.
 */
SEC("lsm/sk_free_security")
int BPF_PROG(core__sk_free, struct sock *sk)
{
	__u64 cookie = sk->__sk_common.skc_cookie.counter, address;

	/* As a number: to the verifier `sk` is a pointer to memory that may be freed already. */
	if (cookie && !bpf_get_func_arg(ctx, 0, &address))
		vs_sk_gone(cookie, address);
	return 0;
}
