/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * The records that the iterators of list.bpf.c write, one record after another, and vsctl
 * reads. Fixed layout, native byte order but for addresses; without implicit padding.
 * Writer and reader are built together; the size of a record tells a version that
 * differs.
 */
#ifndef _VS_RECORDS_H
#define _VS_RECORDS_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* iter__tasks: every thread. */
struct vs_task_record {
	__u32 pid; /* of the process, in the initial pid namespace */
	__u32 tid;
	__u16 home; /* VS ids */
	__u16 cur;
	__u32 kthread; /* 1: a thread of the kernel */
	char comm[16]; /* with a NUL */
};

/*
 * iter__tcp, iter__udp, iter__unix: every socket of the reader's network namespace. iter__unix
 * must be read by one read() with more room than the kernel's buffer has (8 pages). A last record
 * of family 0 says that the buffer had no room for all sockets: the same task opens the iterator
 * again for the rest.
 */
struct vs_sock_record {
	__u64 inode; /* 0: no file, as for requests and in TIME_WAIT */
	__u16 vs;
	__u8 family; /* AF_* */
	__u8 proto;  /* enum vs_proto */
	__u8 state;  /* TCP_* as in /proc/net/tcp, also of unix sockets */
	__u8 reserved;
	__u16 local_port; /* host byte order */
	__u16 peer_port;
	__u16 name_len; /* bytes of name */
	__u32 reserved2;
	__u8 local[16]; /* network byte order; IPv4 is ::ffff:a.b.c.d */
	__u8 peer[16];
	char name[108]; /* unix: the path; abstract names begin with a NUL */
	__u32 reserved3;
};

#endif /* _VS_RECORDS_H */
