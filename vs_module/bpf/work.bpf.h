/* SPDX-License-Identifier: GPL-2.0 */
/* Tells whether a task has work in hand, and whether a socket brings any. */
#ifndef _VS_WORK_BPF_H
#define _VS_WORK_BPF_H

#include "verdict.bpf.h"

#define AF_INET6	   10
#define AF_NETLINK	   16
#define AF_ALG		   38
#define SOCK_BINDADDR_LOCK 4
#define SOCK_BINDPORT_LOCK 8
#define SOCK_CONNECT_BIND  16

static __always_inline bool has_work(const struct vs_tag *tag)
{
	return tag && tag->cur != tag->home;
}

/*
 * Is a socket a server's: a connection that was accepted, or a datagram socket that is
 * bound? Otherwise the task is a client by it. In doubt the socket is a server's: to
 * take a request for an answer would charge the wrong tenant.
 */
static __always_inline bool serves(struct sock *sk)
{
	__u8 locks = BPF_CORE_READ_BITFIELD(sk, sk_userlocks);
	__u16 family = sk->__sk_common.skc_family;

	if (family == AF_UNIX) {
		struct unix_sock *unix_sk = bpf_core_cast(sk, struct unix_sock);

		return unix_sk->addr && (sk->sk_type != SOCK_DGRAM || !unix_sk->peer);
	}
	if (family != AF_INET && family != AF_INET6)
		return family != AF_NETLINK && family != AF_ALG; /* there the kernel answers */
	/*
	 * connect() leaves one of the two set. In an accepted connection the first
	 * was never set, and the second was cleared when it was cloned from the
	 * listener.
	 */
	if (sk->sk_type == SOCK_STREAM && sk->sk_protocol == IPPROTO_TCP)
		return !(locks & (SOCK_CONNECT_BIND | SOCK_BINDPORT_LOCK));
	/* servers have a connected socket for each client, too (DTLS, QUIC) */
	return sk->sk_type != SOCK_DGRAM || locks & (SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK);
}

/* The socket's address as a number, which the verifier lets pass for one. */
static __always_inline __u64 address_of(struct sock *sk)
{
	struct sock *volatile kept = sk;
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), (const void *)&kept);
	return address;
}

#endif /* _VS_WORK_BPF_H */
