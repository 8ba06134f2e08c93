/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hash table of sockets by cookie and address. It is the kernel's rhashtable,
 * whose fast path is static inlines that Rust cannot reach; state/sockets.rs
 * fills the entries.
 *
 * The kernel never gives a cookie out twice, so the entry of a socket that has
 * ended unseen is not taken for the entry of another socket at the same
 * address. But it copies the cookie with the socket (MPTCP, SCTP), so the key
 * contains the address, too.
 */
#ifndef _VS_SOCKETS_H
#define _VS_SOCKETS_H

#include <linux/rhashtable-types.h>
#include <linux/types.h>
#include <net/sock.h>

struct vs_socket_entry {
	struct rhash_head node;
	struct vs_socket_key {
		u64 cookie;
		u64 sk; /* the socket's address, only compared */
	} key;
	u32 tag;	      /* logic/tag.rs; written by compare-and-swap, as is the next */
	u64 asked;	      /* logic/ask.rs */
	unsigned long stream; /* whose its bytes are: streams.h */
	struct rhash_head pair_node;
	u64 pair; /* of a TCP connection: vs_tcp_pair(); 0: it is in no table of pairs */
};

/* Once each, at load and unload; may sleep. At unload there are no readers any more. */
int vs_sockets_init(void);
void vs_sockets_exit(void);

/*
 * Under RCU, any context but NMI and hard interrupt. NULL: there is no entry. If
 * the socket can end meanwhile, the entry may become another socket's: check the
 * key again after all other reads.
 */
struct vs_socket_entry *vs_socket_find(u64 cookie, u64 sk);

/*
 * Adds an entry, or returns the present one; *added: an entry was added. NULL:
 * no memory. Under RCU, any context but NMI and hard interrupt; does not sleep.
 */
struct vs_socket_entry *vs_socket_add(u64 cookie, u64 sk, u32 tag, bool *added);

/*
 * Removes an entry; true for the one caller that has removed it, which then
 * frees it. Its memory stays an entry for a grace period. Under RCU, any context
 * but NMI and hard interrupt.
 */
bool vs_socket_remove(struct vs_socket_entry *socket);
void vs_socket_free(struct vs_socket_entry *socket);

/*
 * Lets the other end of the connection find the socket of an entry, by the number `pair`; 0: not
 * any more. Under RCU, any context but NMI and hard interrupt; the caller holds the socket, and is
 * the only one that does this for it.
 */
void vs_socket_pair(struct vs_socket_entry *socket, u64 pair);

/*
 * Lets nobody find it any more, while nobody calls vs_socket_pair() for it. Under RCU, any context
 * but NMI and hard interrupt; two callers at a time do no harm, as the table lets one of them
 * remove the entry.
 */
void vs_socket_unpair(struct vs_socket_entry *socket);

/*
 * The socket at the other end of the connection, in any network namespace, with a reference for
 * sock_gen_put(). NULL: it is not known. Under RCU, any context but NMI and hard interrupt.
 */
struct sock *vs_socket_paired(struct vs_socket_entry *socket);

/*
 * Calls `see` for every entry, under RCU. Entries added or removed meanwhile may
 * be missed, or seen twice. Process context; may sleep between entries.
 */
void vs_sockets_each(void (*see)(struct vs_socket_entry *socket));

/* The cookie of a full socket; it gets one if it has none yet. Any context but NMI. */
u64 vs_sk_cookie(struct sock *sk);

#endif /* _VS_SOCKETS_H */
