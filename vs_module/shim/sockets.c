// SPDX-License-Identifier: GPL-2.0
#include <linux/hash.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>

#include "sockets.h"
#include "streams.h"

static struct rhashtable vs_sockets;
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

int vs_sockets_init(void)
{
	int error;

	vs_socket_cache = KMEM_CACHE(vs_socket_entry, SLAB_TYPESAFE_BY_RCU);
	if (!vs_socket_cache)
		return -ENOMEM;
	error = rhashtable_init(&vs_sockets, &vs_sockets_params);
	if (error)
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
	return !rhashtable_remove_fast(&vs_sockets, &socket->node, vs_sockets_params);
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
