/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two ends of a TCP connection of this machine share while rules give
 * messages on it to services of their own: notes of which bytes are whose, each way.
 */
#ifndef _VS_STREAMS_H
#define _VS_STREAMS_H

#include <linux/refcount.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <net/sock.h>

struct vs_socket_entry;

#define VS_NOTES_WORDS 18 /* logic/notes.rs: Notes */

struct vs_stream {
	raw_spinlock_t lock; /* of the notes; taken last, in task context and softirq */
	refcount_t ends;     /* entries that name it; callers look at it under RCU */
	struct rcu_head rcu;
	u64 notes[2][VS_NOTES_WORDS]; /* of what each end sends */
};

/* In the word of an entry, beside the address: the end that the entry's socket is. */
#define VS_STREAM_END 1ul
/* The word of an entry whose socket has no peer that could share notes. */
#define VS_STREAM_NONE 2ul

/*
 * Makes the stream of a connection whose ends have these entries; the callers hold
 * both sockets. Returns the word of `own`, which is that of an earlier call if there
 * was one; 0: no memory. `copied`: the positions up to which each has read; `begin`
 * fills in the notes of what `own`'s peer, and then `own`, reads. Any context but NMI.
 */
unsigned long vs_stream_make(struct vs_socket_entry *own, struct vs_socket_entry *peer,
			     u32 own_copied, u32 peer_copied, void (*begin)(u64 *notes, u32 read));

/* The stream of a word of an entry; NULL if it names none. Under RCU. */
struct vs_stream *vs_stream_of(unsigned long word);

/*
 * Takes the stream off an entry, or what tells that it has none: it is about to be freed, or its
 * socket to begin another connection, or nobody notes anything any more. Any context but NMI.
 */
void vs_stream_forget(struct vs_socket_entry *socket);

/* The lock of the notes. Any context but NMI and hard interrupt. */
unsigned long vs_stream_lock(struct vs_stream *stream);
void vs_stream_unlock(struct vs_stream *stream, unsigned long flags);

/*
 * Whether a full socket that has the addresses of a connection's other end is that end, as
 * its sequence numbers tell: not one behind NAT, or of another VRF, nor one that just begins
 * another connection. `sk` is locked; the peer need not be.
 */
bool vs_tcp_is_pair(const struct sock *sk, const struct sock *peer);

/*
 * The number of a TCP connection, as one end of it sees it: its own first sequence number, and the
 * other end's in the lower half. The other end's number has the halves exchanged, whatever address
 * NAT has given each. For a socket that has just got into TCP_ESTABLISHED, as a client or not; it
 * is locked.
 */
u64 vs_tcp_pair(const struct sock *sk, bool client);

/*
 * The other end of a TCP connection, if it is another full socket of the same network
 * namespace, with a reference for sock_gen_put(). NULL: it is not here, or `*again`: not
 * yet. `sk` is locked.
 */
struct sock *vs_tcp_peer(const struct sock *sk, bool *again);

/*
 * Whether nothing shows yet that the other end has done its part of the handshake. For a locked
 * socket.
 */
bool vs_tcp_is_new(const struct sock *sk);

/*
 * Whether the bytes of a TCP socket are what its tasks send and receive, each in its call: not with
 * TLS of the kernel, nor in a sockmap. Under RCU.
 */
bool vs_tcp_is_plain(const struct sock *sk);
/* The position of the next byte that is sent, and of the next that is received. */
u32 vs_tcp_write_seq(const struct sock *sk);
u32 vs_tcp_copied_seq(const struct sock *sk);

#endif /* _VS_STREAMS_H */
