// SPDX-License-Identifier: GPL-2.0
#include <linux/skmsg.h>
#include <linux/slab.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/tcp.h>

#include "sockets.h"
#include "streams.h"

/* Orders vs_stream_make() of both ends. */
static DEFINE_RAW_SPINLOCK(vs_making);

struct vs_stream *vs_stream_of(unsigned long word)
{
	return word == VS_STREAM_NONE ? NULL : (struct vs_stream *)(word & ~VS_STREAM_END);
}

void vs_stream_forget(struct vs_socket_entry *socket)
{
	struct vs_stream *stream = vs_stream_of(xchg(&socket->stream, 0));

	if (stream && refcount_dec_and_test(&stream->ends))
		kfree_rcu(stream, rcu);
}

unsigned long vs_stream_make(struct vs_socket_entry *own, struct vs_socket_entry *peer,
			     u32 own_copied, u32 peer_copied, void (*begin)(u64 *notes, u32 read))
{
	struct vs_stream *stream = kzalloc(sizeof(*stream), GFP_ATOMIC | __GFP_NOWARN);
	unsigned long flags, word;

	if (!stream)
		return 0;
	raw_spin_lock_init(&stream->lock);
	refcount_set(&stream->ends, 2);
	begin(stream->notes[0], peer_copied);
	begin(stream->notes[1], own_copied);
	raw_spin_lock_irqsave(&vs_making, flags);
	if (!READ_ONCE(own->stream)) {
		if (READ_ONCE(peer->stream)) {
			/* of a connection that the peer had before */
			WRITE_ONCE(own->stream, VS_STREAM_NONE);
		} else {
			/* After the notes: a reader takes the word without the lock. */
			smp_store_release(&own->stream, (unsigned long)stream);
			/* Likewise. */
			smp_store_release(&peer->stream, (unsigned long)stream | VS_STREAM_END);
			stream = NULL;
		}
	}
	word = READ_ONCE(own->stream);
	raw_spin_unlock_irqrestore(&vs_making, flags);
	kfree(stream);
	return word;
}

unsigned long vs_stream_lock(struct vs_stream *stream)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&stream->lock, flags);
	return flags;
}

void vs_stream_unlock(struct vs_stream *stream, unsigned long flags)
{
	raw_spin_unlock_irqrestore(&stream->lock, flags);
}

bool vs_tcp_is_pair(const struct sock *sk, const struct sock *peer)
{
	const struct tcp_sock *own = tcp_sk(sk), *other = tcp_sk(peer);

	/*
	 * With the xchg() of vs_stream_forget(): where the peer begins another connection, that
	 * is seen here, or a stream made before is seen there.
	 */
	smp_mb();
	return !((1 << READ_ONCE(peer->sk_state)) & (TCPF_SYN_SENT | TCPF_CLOSE)) &&
	       between(READ_ONCE(other->rcv_nxt), own->snd_una, own->snd_nxt) &&
	       between(own->rcv_nxt, READ_ONCE(other->snd_una), READ_ONCE(other->snd_nxt));
}

u64 vs_tcp_pair(const struct sock *sk, bool client)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	/* A client's SYN was counted as a byte that is acknowledged; a server's was not. */
	u32 own = tp->snd_una - (u32)tp->bytes_acked + client;
	u32 other = tp->rcv_nxt - (u32)tp->bytes_received;

	return (u64)own << 32 | other;
}

struct sock *vs_tcp_peer(const struct sock *sk, bool *again)
{
	const struct inet_sock *inet = inet_sk(sk);
	struct sock *peer;

	/*
	 * This end sends before its handshake is done (Fast Open): it is not known by a pair yet.
	 */
	*again = sk->sk_state == TCP_SYN_RECV;
	if (sk->sk_family == AF_INET || ipv6_addr_v4mapped(&sk->sk_v6_daddr))
		peer = __inet_lookup_established(sock_net(sk), inet->inet_saddr, inet->inet_sport,
						 inet->inet_daddr, ntohs(inet->inet_dport),
						 sk->sk_bound_dev_if, 0);
#if IS_ENABLED(CONFIG_IPV6)
	else
		peer = __inet6_lookup_established(sock_net(sk), &sk->sk_v6_rcv_saddr,
						  inet->inet_sport, &sk->sk_v6_daddr,
						  ntohs(inet->inet_dport), sk->sk_bound_dev_if, 0);
#else
	else
		peer = NULL;
#endif
	if (!peer || (sk_fullsock(peer) && peer != sk && vs_tcp_is_pair(sk, peer)))
		return peer;
	/*
	 * The handshake is not done, as the listener waits for data (TCP_DEFER_ACCEPT), or the
	 * client for the answer to its SYN (Fast Open).
	 */
	*again = *again || (1 << READ_ONCE(peer->sk_state)) & (TCPF_NEW_SYN_RECV | TCPF_SYN_SENT);
	sock_gen_put(peer);
	return NULL;
}

bool vs_tcp_is_new(const struct sock *sk)
{
	/* a client's SYN is counted */
	return tcp_sk(sk)->bytes_acked <= 1 && !tcp_sk(sk)->bytes_received;
}

bool vs_tcp_is_plain(const struct sock *sk)
{
	return !inet_csk_has_ulp(sk) && !sk_psock(sk);
}

u32 vs_tcp_write_seq(const struct sock *sk)
{
	return READ_ONCE(tcp_sk(sk)->write_seq);
}

u32 vs_tcp_copied_seq(const struct sock *sk)
{
	return READ_ONCE(tcp_sk(sk)->copied_seq);
}
