// SPDX-License-Identifier: GPL-2.0
/*
 * Gate wait: a task that asks for its next piece of work is done with the one in
 * hand, and goes home. It costs a look at the tag where there is no work in
 * hand. A look without waiting (a timeout of zero, MSG_DONTWAIT) ends nothing.
 *
 * What a task polls is not looked into: one that polls only for the answer of
 * a server of its own goes home as well, and is bound again by what it receives
 * if the rules say so. A blocking receive tells more, see wait__socket_recvmsg.
 */
#include "verdict.bpf.h"

char _license[] SEC("license") = "GPL";

#define MSG_DONTWAIT	0x40

static __always_inline bool has_work(const struct vs_tag *tag)
{
	return tag && tag->cur != tag->home;
}

static __always_inline void go_home(void)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	if (has_work(tag))
		bind(tag, vs_gate_wait(who(tag)), NULL);
}

/* `timeout`, relative or absolute: zero is how the kernel writes "do not wait". */
static __always_inline bool waits(const struct timespec64 *timeout)
{
	return !timeout || timeout->tv_sec || timeout->tv_nsec;
}

SEC("fentry/do_epoll_wait")
int BPF_PROG(wait__do_epoll_wait, int epfd, struct epoll_event *events, int room,
	     struct timespec64 *timeout)
{
	if (waits(timeout))
		go_home();
	return 0;
}

/* Without descriptors it is a pause, not a wait for work. */
SEC("fentry/do_sys_poll")
int BPF_PROG(wait__do_sys_poll, struct pollfd *fds, unsigned int count, struct timespec64 *end)
{
	if (count && waits(end))
		go_home();
	return 0;
}

SEC("fentry/core_sys_select")
int BPF_PROG(wait__core_sys_select, int count, void *in, void *out, void *except,
	     struct timespec64 *end)
{
	if (count && waits(end))
		go_home();
	return 0;
}

SEC("lsm/socket_accept")
int BPF_PROG(wait__socket_accept, struct socket *sock, struct socket *conn, int ret)
{
	if (!ret)
		go_home();
	return ret;
}

/*
 * A receive that will wait for the peer. On the socket the work came by, or on
 * another of a server's, that is the wait for the next request. On a socket that
 * the task has opened itself as somebody's client it is the wait for an answer
 * that belongs to the work in hand.
 */
SEC("lsm/socket_recvmsg")
int BPF_PROG(wait__socket_recvmsg, struct socket *sock, struct msghdr *msg, int size, int flags,
	     int ret)
{
	struct vs_tag *tag;
	struct sock *sk;

	if (ret || flags & MSG_DONTWAIT)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	if (!has_work(tag))
		return 0;
	sk = sock->sk;
	if (!sk || !vs_sk_drained(sk))
		return 0;
	if (vs_sk_serves(sk) || bpf_get_socket_cookie(sk) == tag->work)
		bind(tag, vs_gate_wait(who(tag)), NULL);
	return 0;
}
