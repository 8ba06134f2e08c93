/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hash table of sockets by cookie and address. The kernel's rhashtable, whose
 * fast path is static inlines that Rust cannot reach; state/sockets.rs decides
 * what an entry says.
 *
 * The kernel never gives a cookie out twice, so the entry of a socket that has
 * ended unseen is not taken for that of another at the same address. But it
 * copies the cookie with the socket (MPTCP, SCTP): so the address counts, too.
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
	u32 tag; /* logic/tag.rs; written by compare-and-swap */
};

/* Once, at load and unload; may sleep. At unload nobody looks any more. */
int vs_sockets_init(void);
void vs_sockets_exit(void);

/*
 * Under RCU, any context but NMI and hard interrupt. NULL: there is none. If the
 * socket can end meanwhile, the entry may become another's: look at the key again
 * after all else.
 */
struct vs_socket_entry *vs_socket_find(u64 cookie, u64 sk);

/*
 * Adds an entry, or returns the one that is there: *added says which. NULL:
 * no memory. Under RCU, any context but NMI and hard interrupt; does not sleep.
 */
struct vs_socket_entry *vs_socket_add(u64 cookie, u64 sk, u32 tag, bool *added);

/*
 * Takes an entry out; true for the one caller that did, which then frees it: its
 * memory stays an entry's for a grace period. Context as above.
 */
bool vs_socket_remove(struct vs_socket_entry *socket);
void vs_socket_free(struct vs_socket_entry *socket);

/*
 * Calls `see` for every entry, under RCU. Entries added or removed meanwhile may
 * be missed, or seen twice. Process context; may sleep between entries.
 */
void vs_sockets_each(void (*see)(struct vs_socket_entry *socket));

/* The cookie of a full socket; it gets one if it has none yet. Any context but NMI. */
u64 vs_sk_cookie(struct sock *sk);

#endif /* _VS_SOCKETS_H */
