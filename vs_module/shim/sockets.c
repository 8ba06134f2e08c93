// SPDX-License-Identifier: GPL-2.0
#include <linux/hash.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>

#include "sockets.h"
#include "streams.h"

static struct rhashtable vs_sockets;
static struct rhashtable vs_pairs;
static struct kmem_cache *vs_socket_cache;

/*
 * Cookies are consecutive numbers, and most sockets have one of their own: a multiplication spreads
 * them.
 */
static u32 vs_socket_hash(const void *key, u32 len, u32 seed)
{
	const struct vs_socket_key *it = key;

	return hash_64(it->cookie ^ it->sk, 32);
}

static int vs_socket_differs(struct rhashtable_compare_arg *arg, const void *entry)
{
	const struct vs_socket_key *key = arg->key;
	const struct vs_socket_entry *it = entry;

	return it->key.cookie != key->cookie || it->key.sk != key->sk;
}

static const struct rhashtable_params vs_sockets_params = {
	.key_len = sizeof(struct vs_socket_key),
	.key_offset = offsetof(struct vs_socket_entry, key),
	.head_offset = offsetof(struct vs_socket_entry, node),
	.hashfn = vs_socket_hash,
	.obj_cmpfn = vs_socket_differs,
	.automatic_shrinking = true,
};

static const struct rhashtable_params vs_pairs_params = {
	.key_len = sizeof(u64),
	.key_offset = offsetof(struct vs_socket_entry, pair),
	.head_offset = offsetof(struct vs_socket_entry, pair_node),
	.automatic_shrinking = true,
};

int vs_sockets_init(void)
{
	int error;

	vs_socket_cache = KMEM_CACHE(vs_socket_entry, SLAB_TYPESAFE_BY_RCU);
	if (!vs_socket_cache)
		return -ENOMEM;
	error = rhashtable_init(&vs_sockets, &vs_sockets_params);
	if (error)
		goto cache;
	error = rhashtable_init(&vs_pairs, &vs_pairs_params);
	if (error)
		goto sockets;
	return 0;
sockets:
	rhashtable_destroy(&vs_sockets);
cache:
	kmem_cache_destroy(vs_socket_cache);
	return error;
}

void vs_socket_free(struct vs_socket_entry *socket)
{
	vs_stream_forget(socket);
	kmem_cache_free(vs_socket_cache, socket);
}

static void vs_socket_free_last(void *socket, void *unused)
{
	vs_socket_free(socket);
}

void vs_sockets_exit(void)
{
	rhashtable_destroy(&vs_pairs);
	rhashtable_free_and_destroy(&vs_sockets, vs_socket_free_last, NULL);
	rcu_barrier(); /* the slabs of this cache are freed by RCU */
	kmem_cache_destroy(vs_socket_cache);
}

struct vs_socket_entry *vs_socket_find(u64 cookie, u64 sk)
{
	struct vs_socket_key key = { .cookie = cookie, .sk = sk };

	return rhashtable_lookup(&vs_sockets, &key, vs_sockets_params);
}

struct vs_socket_entry *vs_socket_add(u64 cookie, u64 sk, u32 tag, bool *added)
{
	struct vs_socket_entry *socket, *there;

	*added = false;
	socket = kmem_cache_alloc(vs_socket_cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!socket)
		return NULL;
	socket->key.cookie = cookie;
	socket->key.sk = sk;
	socket->tag = tag;
	socket->asked = 0;
	socket->stream = 0;
	socket->pair = 0;
	there = rhashtable_lookup_get_insert_fast(&vs_sockets, &socket->node, vs_sockets_params);
	if (!there) {
		*added = true;
		return socket;
	}
	vs_socket_free(socket);
	return IS_ERR(there) ? NULL : there;
}

bool vs_socket_remove(struct vs_socket_entry *socket)
{
	if (rhashtable_remove_fast(&vs_sockets, &socket->node, vs_sockets_params))
		return false;
	vs_socket_unpair(socket);
	return true;
}

void vs_socket_pair(struct vs_socket_entry *socket, u64 pair)
{
	vs_socket_unpair(socket);
	socket->pair = pair;
	/*
	 * Without memory, or where another connection has the number: its other end is not found.
	 */
	if (pair && rhashtable_lookup_insert_fast(&vs_pairs, &socket->pair_node, vs_pairs_params))
		socket->pair = 0;
}

void vs_socket_unpair(struct vs_socket_entry *socket)
{
	if (socket->pair)
		rhashtable_remove_fast(&vs_pairs, &socket->pair_node, vs_pairs_params);
	WRITE_ONCE(socket->pair, 0);
	/* Before the entry gets another key: vs_socket_paired() reads them the other way round. */
	smp_wmb();
}

struct sock *vs_socket_paired(struct vs_socket_entry *socket)
{
	u64 pair = ror64(READ_ONCE(socket->pair), 32);
	struct vs_socket_entry *other;
	struct vs_socket_key key;
	struct sock *sk;

	other = pair ? rhashtable_lookup(&vs_pairs, &pair, vs_pairs_params) : NULL;
	/* A socket that connects to itself, or got its numbers by TCP_REPAIR, has no other end. */
	if (!other || other == socket)
		return NULL;
	key.sk = READ_ONCE(other->key.sk);
	key.cookie = READ_ONCE(other->key.cookie);
	/* Slabs of TCP sockets are SLAB_TYPESAFE_BY_RCU: what is there now is one, ended or not. */
	sk = (struct sock *)key.sk;
	/* An entry gets another key only after its pair was cleared: smp_wmb() there. */
	smp_rmb();
	if (READ_ONCE(other->pair) != pair || !refcount_inc_not_zero(&sk->sk_refcnt))
		return NULL;
	if (atomic64_read(&sk->sk_cookie) == key.cookie)
		return sk;
	sock_gen_put(sk);
	return NULL;
}

void vs_sockets_each(void (*see)(struct vs_socket_entry *socket))
{
	struct rhashtable_iter walk;
	struct vs_socket_entry *socket;

	rhashtable_walk_enter(&vs_sockets, &walk);
	rhashtable_walk_start(&walk);
	while ((socket = rhashtable_walk_next(&walk))) {
		if (!IS_ERR(socket))
			see(socket);
		else if (PTR_ERR(socket) != -EAGAIN)
			break;
		if (need_resched()) {
			rhashtable_walk_stop(&walk);
			cond_resched();
			rhashtable_walk_start(&walk);
		}
	}
	rhashtable_walk_stop(&walk);
	rhashtable_walk_exit(&walk);
}

u64 vs_sk_cookie(struct sock *sk)
{
	u32 halves[2];

	if (!atomic64_read(&sk->sk_cookie))
		sock_diag_save_cookie(sk, halves);
	return atomic64_read(&sk->sk_cookie);
}
