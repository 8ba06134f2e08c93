// SPDX-License-Identifier: GPL-2.0
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/mptcp.h>
#include <net/request_sock.h>
#include <net/sock.h>

#include "accept.h"

/*
 * A listener of MPTCP has its queue in another socket, and takes all of it off at
 * once when it closes; SMC and SCTP have theirs elsewhere. None of them is TCP by
 * these marks.
 */
static bool vs_listens_tcp(const struct sock *sk)
{
	return sk_is_tcp(sk) && !sk_is_mptcp(sk) && READ_ONCE(sk->sk_state) == TCP_LISTEN;
}

/* A unix socket that listens does so until it is released: not while a call uses it. */
static bool vs_listens_unix(const struct sock *sk)
{
	return sk_is_unix(sk) && READ_ONCE(sk->sk_state) == TCP_LISTEN;
}

u32 vs_waiting(const struct sock *sk)
{
	if (vs_listens_tcp(sk))
		return READ_ONCE(sk->sk_ack_backlog);
	if (vs_listens_unix(sk))
		return skb_queue_len_lockless(&sk->sk_receive_queue);
	return 0;
}

/*
 * The queue of TCP is a list of requests, linked by dl_next: reqsk_queue_remove() takes the
 * first off, in accept() and where the listener closes, inet_csk_reqsk_queue_add() adds one
 * at the end, both under rskq_lock. The head is read without it, to see whether the queue is
 * empty, which it never is here meanwhile. A request in it holds its connection. One of Fast
 * Open, whose handshake is not done yet, is linked by dl_next to another list only once
 * accept() has taken it off this one.
 */
static bool vs_tcp_each(struct sock *sk, u32 most, bool (*takes)(struct sock *, void *), void *data)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	struct request_sock *req, *before = NULL;
	bool taken = false;

	spin_lock_bh(&queue->rskq_lock);
	for (req = queue->rskq_accept_head; req && most; req = req->dl_next, most--) {
		taken = takes(req_to_sk(req), data);
		if (taken)
			break;
		before = req;
	}
	if (taken && before) {
		before->dl_next = req->dl_next;
		if (queue->rskq_accept_tail == req)
			queue->rskq_accept_tail = before;
		req->dl_next = queue->rskq_accept_head;
		WRITE_ONCE(queue->rskq_accept_head, req);
	}
	spin_unlock_bh(&queue->rskq_lock);
	return taken;
}

/*
 * The queue of a unix listener is one of packets, each of which belongs to the socket that
 * accept() hands out. Nobody takes its lock in an interrupt.
 */
static bool vs_unix_each(struct sock *sk, u32 most, bool (*takes)(struct sock *, void *),
			 void *data)
{
	struct sk_buff_head *queue = &sk->sk_receive_queue;
	struct sk_buff *skb;
	bool taken = false;

	spin_lock(&queue->lock);
	skb_queue_walk(queue, skb)
	{
		if (!most--)
			break;
		taken = takes(skb->sk, data);
		if (taken) {
			if (skb != skb_peek(queue)) {
				__skb_unlink(skb, queue);
				__skb_queue_head(queue, skb);
			}
			break;
		}
	}
	spin_unlock(&queue->lock);
	return taken;
}

bool vs_waiting_each(struct sock *sk, u32 most, bool (*takes)(struct sock *conn, void *data),
		     void *data)
{
	if (vs_listens_tcp(sk))
		return vs_tcp_each(sk, most, takes, data);
	if (vs_listens_unix(sk))
		return vs_unix_each(sk, most, takes, data);
	return false;
}
