/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connections that wait at a listener, and their order. The kernel takes the
 * first one of a queue and knows nothing of an order; but where in its queue a
 * connection lies is all the same to it. So the one that is to be taken is put
 * first, under the queue's own lock, before accept() looks.
 */
#ifndef _VS_ACCEPT_H
#define _VS_ACCEPT_H

#include <linux/types.h>
#include <net/sock.h>

/*
 * How many connections wait, about: 0 if `sk` is no listener whose order can be
 * changed. Any context.
 */
u32 vs_waiting(const struct sock *sk);

/*
 * Shows the connections that wait at `sk`, the oldest first and `most` at most,
 * until `takes` says that one is to be taken next: it is put first, and the
 * others stay in their order. True: one was. A TCP connection is shown as its
 * request, a unix one as the socket to be accepted; both stay for the call.
 *
 * `sk` is in use by an accept() of the running task, which holds no lock of its.
 * `takes` runs under the queue's spinlock, for TCP with bottom halves off. Under
 * PREEMPT_RT the lock is one that sleeps, as it may here: under RCU, preemption on.
 */
bool vs_waiting_each(struct sock *sk, u32 most, bool (*takes)(struct sock *conn, void *data),
		     void *data);

#endif /* _VS_ACCEPT_H */
