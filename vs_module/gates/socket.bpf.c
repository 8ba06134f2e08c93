// SPDX-License-Identifier: GPL-2.0
/*
 * Gates where tasks talk to each other: connect, accept, send, recv, close, for
 * TCP, UDP and unix sockets. Work arrives here, and ends with the close of what
 * it came by.
 */
#include "../bpf/work.bpf.h"

char _license[] SEC("license") = "GPL";

#define MSG_PEEK     2
#define MSG_FASTOPEN 0x20000000

SEC("lsm/socket_connect")
int BPF_PROG(connect__socket_connect, struct socket *sock, struct sockaddr *address, int len,
	     int ret)
{
	struct vs_tag *tag;

	if (ret)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	return obey(tag, vs_gate_connect(sock, address, len, who(tag)));
}

/* The connection, off the queue, becomes the acceptor's file: it has its client's tag by now. */
SEC("lsm/sock_graft")
int BPF_PROG(accept__sock_graft, struct sock *conn, struct socket *parent)
{
	struct vs_tag *tag;

	if (is_kthread())
		return 0;
	tag = tag_of(bpf_get_current_task_btf());
	bind(tag, vs_gate_accept(conn, who(tag)), conn);
	return 0;
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(accept__unix_stream_connect, struct sock *client, struct sock *listener,
	     struct sock *conn, int ret)
{
	return ret ?: verdict_error(vs_conn_unix(client, conn));
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(send__socket_sendmsg, struct socket *sock, struct msghdr *msg, int size, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vs_tag *tag;
	__u16 message;
	__u64 verdict;

	if (ret)
		return ret;
	tag = tag_of(task);
	if (msg->msg_flags & MSG_FASTOPEN) {
		/* It connects without connect(). */
		ret = obey(tag, vs_gate_fastopen(sock, msg, who(tag)));
		if (ret)
			return ret;
	}
	verdict = vs_gate_send(sock, msg, who(tag));
	message = verdict_message(verdict);
	if (message != VS_UNCHANGED && !tag)
		tag = tag_made(task);
	if (tag) {
		tag->message = message;
		tag->sends = message != VS_UNCHANGED ? (__u64)sock->sk : 0;
	}
	return obey(tag, verdict);
}

/*
 * A datagram leaves, in the call that send__socket_sendmsg has seen. One socket
 * serves many tenants, so the VS is kept with the task, which does one thing at a
 * time; what leaves by another socket meanwhile (softirq) is not meant.
 */
SEC("fmod_ret/vs_message_of")
int BPF_PROG(send__message, const struct sock *sk)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	return tag && tag->sends && tag->sends == (__u64)sk ? VS_MESSAGE | tag->message : 0;
}

/* Keeps the VS of a datagram from where it is taken off the queue to recv__sock_recv_length. */
static __always_inline void keep_message(__u32 message)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vs_tag *tag = tag_of(task);

	/* A task without a tag has a message of root's already. */
	if (!tag && message != VS_ROOT)
		tag = tag_made(task);
	if (tag) {
		tag->message = message;
		tag->sends = 0;
	}
}

/* Whether a datagram waits on the socket, without a look into it. */
static __always_inline bool has_datagram(struct sock *sk)
{
	if (sk->sk_receive_queue.qlen)
		return true;
	if (sk->__sk_common.skc_family == AF_UNIX || sk->sk_protocol != IPPROTO_UDP)
		return false;
	return bpf_core_cast(sk, struct udp_sock)->reader_queue.qlen;
}

/*
 * The next datagram is about to be received on a socket by which many are served: the work in hand
 * has ended, whatever the next one turns out to be. Without this, a datagram that no rule binds, or
 * whose receipt the kernel hides from recv__sock_recv_length(), would be work for the sender of the
 * one before.
 */
SEC("lsm/socket_recvmsg")
int BPF_PROG(recv__socket_recvmsg, struct socket *sock, struct msghdr *msg, int size, int flags,
	     int ret)
{
	struct sock *sk = sock->sk;
	struct vs_tag *tag;

	if (ret || !sk || sk->sk_type != SOCK_DGRAM || flags & MSG_PEEK)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	/* Should the kernel have hidden the last receipt: its datagram is not the next one. */
	if (tag)
		tag->message = VS_ROOT;
	if (has_work(tag) && has_datagram(sk) && serves(sk))
		bind(tag, verdict_home_again(tag), NULL);
	return ret;
}

/*
 * A datagram is about to be queued: its tag is written where only the socket layer can write to it
 * any more.
 */
SEC("lsm/socket_sock_rcv_skb")
int BPF_PROG(recv__socket_sock_rcv_skb, struct sock *sk, struct sk_buff *skb, int ret)
{
	if (!ret && sk->sk_type == SOCK_DGRAM)
		vs_datagram(sk, skb);
	return ret;
}

SEC("fexit/__skb_recv_udp")
int BPF_PROG(recv__skb_recv_udp, struct sock *sk, unsigned int flags, int *off, int *err,
	     struct sk_buff *skb)
{
	if (skb)
		keep_message(vs_message_vs(skb->secmark));
	return 0;
}

SEC("fexit/__skb_try_recv_datagram")
int BPF_PROG(recv__skb_try_recv_datagram, struct sock *sk, struct sk_buff_head *queue,
	     unsigned int flags, int *off, int *err, struct sk_buff **last, struct sk_buff *skb)
{
	if (skb && sk->__sk_common.skc_family == AF_UNIX)
		keep_message(vs_message_vs(skb->secmark));
	return 0;
}

/* Something has been received, whatever the protocol: read, recv*, recvmmsg. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv__sock_recv_length, struct sock *sk, int ret, int flags)
{
	__u32 message = VS_UNCHANGED;
	struct vs_tag *tag;

	if (ret <= 0 || flags & MSG_PEEK || !sk || is_kthread())
		return 0;
	tag = tag_of(bpf_get_current_task_btf());
	if (sk->sk_type == SOCK_DGRAM) {
		message = tag ? tag->message : VS_ROOT;
		/* Not of every protocol do we see the datagram: of those it is nobody's. */
		if (tag)
			tag->message = VS_ROOT;
	}
	bind(tag, vs_gate_recv(sk, message, who(tag)), sk);
	return 0;
}

/* The last reference to the socket's file is gone; a kernel socket has no inode here. */
SEC("fentry/__sock_release")
int BPF_PROG(close__sock_release, struct socket *sock, struct inode *inode)
{
	struct vs_tag *tag;
	struct sock *sk;
	bool ended;

	if (!inode)
		return 0;
	tag = tag_of(bpf_get_current_task_btf());
	sk = sock->sk;
	ended = tag && tag->work && sk && bpf_get_socket_cookie(sk) == tag->work;
	bind(tag, vs_gate_close(who(tag), ended), NULL);
	return 0;
}
