// SPDX-License-Identifier: GPL-2.0
/*
 * Gates where tasks talk to each other: connect, accept, send, recv, close, for
 * TCP, UDP and unix sockets. Work begins here, and ends with the close of the
 * socket by which it came.
 */
#include "../bpf/work.bpf.h"

char _license[] SEC("license") = "GPL";

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

/*
 * The connection, taken off the queue, becomes the acceptor's file. It has its client's tag by now.
 */
SEC("lsm/sock_graft")
int BPF_PROG(accept__sock_graft, struct sock *conn, struct socket *parent)
{
	struct vs_tag *tag;

	if (is_kthread())
		return 0;
	tag = tag_of(bpf_get_current_task_btf());
	bind(tag, vs_gate_accept(conn, who(tag)), bpf_get_socket_cookie(conn));
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
	struct sock *sk = sock->sk;
	struct vs_tag *tag;
	__u16 message, cur;
	__u64 verdict;

	if (ret)
		return ret;
	tag = tag_of(task);
	if (msg->msg_flags & MSG_FASTOPEN) {
		/* sendmsg() connects the socket, without connect(). */
		ret = obey(tag, vs_gate_fastopen(sock, msg, who(tag)));
		if (ret)
			return ret;
	}
	verdict = vs_gate_send(sock, msg, who(tag));
	message = verdict_message(verdict);
	if (message != VS_UNCHANGED && !tag)
		tag = tag_made(task);
	if (tag) {
		tag->message = message != VS_UNCHANGED ? message : VS_ROOT;
		tag->sends = message != VS_UNCHANGED ? (__u64)sk : 0;
		tag->reads = 0;
	}
	ret = verdict_error(verdict);
	cur = verdict_cur(verdict);
	if (ret || cur == VS_UNCHANGED)
		return ret;
	if (cur >= VS_GOES_ON) {
		bind(tag, verdict, 0);
		return 0;
	}
	bind(tag, verdict, bpf_get_socket_cookie(sk));
	tag = tag_of(task);
	if (has_work(tag))
		tag->sending = 1;
	return 0;
}

/*
 * A datagram leaves, in the call that send__socket_sendmsg has seen. One socket
 * serves many tenants, so the VS is kept with the task, which sends one message
 * at a time. Packets that leave by another socket meanwhile (softirq) are not
 * concerned.
 */
SEC("fmod_ret/vs_message_of")
int BPF_PROG(send__message, const struct sock *sk)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	return tag && tag->sends && tag->sends == (__u64)sk ? VS_MESSAGE | tag->message : 0;
}

/* The task has received something by `sk` that cannot be classified: work in hand ends. */
static __always_inline void ends_by(struct sock *sk)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	if (sk && has_work(tag))
		bind(tag,
		     vs_work_received(who(tag), sk->__sk_common.skc_cookie.counter, address_of(sk),
				      serves(sk)),
		     0);
}

/*
 * A datagram is about to be queued: its tag is written here, after which only the socket layer can
 * write to the packet.
 */
SEC("lsm/socket_sock_rcv_skb")
int BPF_PROG(recv__socket_sock_rcv_skb, struct sock *sk, struct sk_buff *skb, int ret)
{
	if (!ret && sk->sk_type == SOCK_DGRAM)
		vs_datagram(sk, skb);
	return ret;
}

/*
 * splice() or sendfile() took bytes from a socket, which no tracepoint reports: a receipt that
 * no rule binds.
 */
SEC("fexit/sock_splice_read")
int BPF_PROG(recv__sock_splice_read, struct file *file, loff_t *pos, struct pipe_inode_info *pipe,
	     size_t length, unsigned int flags, long ret)
{
	if (ret > 0)
		ends_by(bpf_core_cast(file->private_data, struct socket)->sk);
	return 0;
}

/*
 * A message is made for a System V or POSIX queue. Not by ftrace: a place is allocated for its tag,
 * and under PREEMPT_RT that takes locks which sleep.
 */
SEC("lsm/msg_msg_alloc_security")
int BPF_PROG(recv__msg_msg_alloc_security, struct msg_msg *msg, int ret)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	/* What a task without a tag sends is nobody's. */
	if (!ret && tag)
		vs_message_made(msg, who(tag));
	return ret;
}

#define IPPROTO_TCP	     6
#define TCP_ZEROCOPY_RECEIVE 35

/*
 * TCP_ZEROCOPY_RECEIVE maps bytes received, which no tracepoint reports either: a receipt that no
 * rule binds.
 */
SEC("lsm/socket_getsockopt")
int BPF_PROG(recv__socket_getsockopt, struct socket *sock, int level, int name, int ret)
{
	if (!ret && level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE)
		ends_by(sock->sk);
	return ret;
}

/* The last reference to the socket's file is gone; a kernel socket has no inode here. */
SEC("fentry/__sock_release")
int BPF_PROG(close__sock_release, struct socket *sock, struct inode *inode)
{
	struct vs_tag *tag;
	struct sock *sk;
	__u64 closed;

	if (!inode)
		return 0;
	tag = tag_of(bpf_get_current_task_btf());
	sk = sock->sk;
	closed = has_work(tag) && sk ? bpf_get_socket_cookie(sk) : 0;
	bind(tag, vs_gate_close(who(tag), closed ? tag->work : 0, closed), 0);
	return 0;
}
