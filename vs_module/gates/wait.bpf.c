// SPDX-License-Identifier: GPL-2.0
/*
 * Gate wait: a task that asks for its next piece of work is done with the one in
 * hand, and goes home. If there is no work in hand the gate only looks at the
 * tag. A call that does not wait (a timeout of zero, MSG_DONTWAIT) ends nothing.
 *
 * The gate does not look at the descriptors that a task polls: a task that
 * polls only for the answer of another server goes home as well, and is bound
 * again by what it receives if the rules say so. A blocking receive tells more,
 * see go_home_if_served().
 */
#include "../bpf/work.bpf.h"

char _license[] SEC("license") = "GPL";

#define MSG_DONTWAIT 0x40
#define RCV_SHUTDOWN 1

/* `tag`: the running task's. */
static __always_inline void go_home_by(struct vs_tag *tag)
{
	if (has_work(tag))
		bind(tag, vs_gate_wait(who(tag), 0, 0, false), 0);
}

static __always_inline void go_home(void)
{
	go_home_by(tag_of(bpf_get_current_task_btf()));
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

/* poll() without descriptors is a pause, not a wait for work. */
SEC("fentry/do_sys_poll")
int BPF_PROG(wait__do_sys_poll, struct pollfd *fds, unsigned int count, struct timespec64 *end)
{
	if (count && waits(end))
		go_home();
	return 0;
}

/* The select() of 32-bit tasks comes here as well. */
SEC("fentry/do_select")
int BPF_PROG(wait__do_select, int count, void *fds, struct timespec64 *end)
{
	if (count && waits(end))
		go_home();
	return 0;
}

/* Completions that arrive during this wait are received inside of it, by this task. */
SEC("fentry/io_cqring_wait")
int BPF_PROG(wait__io_cqring_wait, struct io_ring_ctx *ring, int count)
{
	if (count > 0)
		go_home();
	return 0;
}

/*
 * All of accept(), blocking or not, and of io_uring come here before they look at the queue, and
 * hold no lock. Not at a function's entry: there the kernel leaves out a program that a preempted
 * task is inside of on the CPU, and to bring connections into order can take a while.
 */
SEC("lsm/socket_accept")
int BPF_PROG(wait__socket_accept, struct socket *sock, struct socket *conn, int ret)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	go_home_by(tag);
	if (!ret)
		vs_accept_order(sock, who(tag), tag ? tag->served : VS_ROOT);
	return ret;
}

/*
 * A receive that waits for the peer. On a socket that the task has opened itself, as
 * a client, and by which it has asked another server in the course of its work, it
 * waits for an answer that belongs to the work in hand. On any other socket it waits
 * for the next request.
 */
static __always_inline void go_home_if_served(struct sock *sk)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());
	__u16 family = sk->__sk_common.skc_family;

	if (family == AF_NETLINK || family == AF_ALG)
		return; /* there the kernel answers */
	if (has_work(tag))
		bind(tag,
		     vs_gate_wait(who(tag), bpf_get_socket_cookie(sk), address_of(sk), serves(sk)),
		     0);
}

/*
 * TCP and MPTCP: the receive queue is empty. Under the socket's lock. A receive that need
 * not wait does not come here.
 */
SEC("fentry/sk_wait_data")
int BPF_PROG(wait__sk_wait_data, struct sock *sk)
{
	go_home_if_served(sk);
	return 0;
}

/*
 * Sockets that keep packets apart have an empty queue: UDP, unix datagrams and seqpackets, and unix
 * listeners.
 */
SEC("fentry/__skb_wait_for_more_packets")
int BPF_PROG(wait__skb_wait_for_more_packets, struct sock *sk)
{
	go_home_if_served(sk);
	return 0;
}

/* Unix streams have no function for the wait alone. */
SEC("fentry/unix_stream_recvmsg")
int BPF_PROG(wait__unix_stream_recvmsg, struct socket *sock, struct msghdr *msg, size_t size,
	     int flags)
{
	struct sock *sk = sock->sk;

	if (!(flags & MSG_DONTWAIT) && !sk->sk_receive_queue.qlen &&
	    !(sk->sk_shutdown & RCV_SHUTDOWN) && !sk->sk_err)
		go_home_if_served(sk);
	return 0;
}
