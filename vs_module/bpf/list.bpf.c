// SPDX-License-Identifier: GPL-2.0
/*
 * Iterators: tasks and sockets with the services that they belong to, for `vsctl
 * ps` and `vsctl ss`. The iterators of sockets see the reader's network
 * namespace.
 */
#include "tag.bpf.h"
#include "records.h"

char _license[] SEC("license") = "GPL";

#define PF_KTHREAD 0x00200000

/* enum vs_proto of uapi/vs.h, which cannot be included beside vmlinux.h */
enum {
	VS_PROTO_TCP = 1,
	VS_PROTO_UDP,
	VS_PROTO_UNIX_STREAM,
	VS_PROTO_UNIX_DGRAM,
	VS_PROTO_UNIX_SEQPACKET,
};

SEC("iter/task")
int iter__tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct vs_task_record record = {};
	struct vs_tag *tag;

	if (!task)
		return 0;
	record.pid = task->tgid;
	record.tid = task->pid;
	record.kthread = !!(task->flags & PF_KTHREAD);
	tag = tag_of(task);
	if (tag) {
		record.home = tag->home;
		record.cur = tag->cur;
	}
	bpf_probe_read_kernel_str(record.comm, sizeof(record.comm), task->comm);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

static __always_inline void put_mapped(__u8 *address, __be32 v4)
{
	address[10] = address[11] = 0xff;
	__builtin_memcpy(address + 12, &v4, sizeof(v4));
}

static __always_inline void put_ends(struct vs_sock_record *record, const struct sock_common *sk)
{
	record->family = sk->skc_family;
	record->state = sk->skc_state;
	record->local_port = sk->skc_num;
	record->peer_port = __builtin_bswap16(sk->skc_dport);
	if (record->family == AF_INET) {
		put_mapped(record->local, sk->skc_rcv_saddr);
		put_mapped(record->peer, sk->skc_daddr);
	} else {
		struct in6_addr local = sk->skc_v6_rcv_saddr, peer = sk->skc_v6_daddr;

		__builtin_memcpy(record->local, &local, sizeof(local));
		__builtin_memcpy(record->peer, &peer, sizeof(peer));
	}
}

static __always_inline __u64 inode_of(const struct sock *sk)
{
	struct socket *socket = sk->sk_socket;

	return socket ? BPF_CORE_READ(container_of(socket, struct socket_alloc, socket),
				      vfs_inode.i_ino) :
			0;
}

SEC("iter/tcp")
int iter__tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct vs_sock_record record = {};
	struct tcp_sock *tcp;

	if (!common)
		return 0;
	put_ends(&record, common);
	record.proto = VS_PROTO_TCP;
	record.vs = vs_sk_vs(common);
	tcp = bpf_skc_to_tcp_sock(common);
	if (tcp)
		record.inode = inode_of((struct sock *)tcp);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

SEC("iter/udp")
int iter__udp(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct vs_sock_record record = {};

	if (!sk)
		return 0;
	put_ends(&record, &sk->__sk_common);
	record.proto = VS_PROTO_UDP;
	record.vs = vs_sk_vs((struct sock_common *)sk);
	record.inode = inode_of(sk);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/*
 * How far a task has come with its list of unix sockets.
 *
 * The kernel's iterator must not be stopped before its end, neither by a short read nor by a full
 * buffer: it would then skip the sockets that it holds already, up to the end of their bucket
 * (bpf_iter_unix_seq_stop() does not reset st_bucket_done, as the functions of tcp and udp do;
 * seen in 7.3). So the iterator goes through all sockets each time, and a socket for which the
 * buffer has no room is written in a further walk of the same task.
 */
struct vs_walk {
	__u64 session; /* session_id of the present walk */
	__u64 at;      /* its position: bucket << 32 | sockets of the bucket that it has passed */
	__u64 from;    /* position of the first socket that no walk has written */
	bool full;     /* the walk has met a socket without room for it */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct vs_walk);
} vs_walks SEC(".maps");

/*
 * Is the socket to be written in this walk? `room`: there is room for its record, and for the
 * record that ends the walk.
 */
static __always_inline bool is_next(struct vs_walk *walk, __u64 session, __u32 bucket, bool room)
{
	__u64 at;

	if (walk->session != session) {
		walk->session = session;
		walk->at = 0;
		walk->full = false;
	}
	if (walk->at >> 32 < bucket)
		walk->at = (__u64)bucket << 32;
	at = walk->at++;
	if (at < walk->from || walk->full)
		return false;
	if (!room) {
		walk->from = at;
		walk->full = true;
	}
	return room;
}

/* The walk has come to its end. */
static __always_inline int end_of_walk(struct vs_walk *walk, struct bpf_iter_meta *meta)
{
	struct vs_sock_record more = {};

	if (!walk)
		return 0;
	if (walk->full && walk->session == meta->session_id)
		bpf_seq_write(meta->seq, &more, sizeof(more));
	else
		walk->from = 0;
	return 0;
}

SEC("iter/unix")
int iter__unix(struct bpf_iter__unix *ctx)
{
	struct task_struct *reader = bpf_get_current_task_btf();
	struct unix_sock *unix_sk = ctx->unix_sk;
	struct seq_file *seq = ctx->meta->seq;
	struct vs_walk *walk;
	struct vs_sock_record record = {};
	struct unix_address *name;
	struct sock *sk;
	__u64 address;
	int len;

	if (!unix_sk)
		return end_of_walk(bpf_task_storage_get(&vs_walks, reader, NULL, 0), ctx->meta);
	sk = (struct sock *)unix_sk;
	walk = bpf_task_storage_get(&vs_walks, reader, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	/* Without memory for `walk` the iterator may stop early, which is better than no list. */
	if (walk && !is_next(walk, ctx->meta->session_id, sk->__sk_common.skc_hash,
			     seq->count + 2 * sizeof(record) < seq->size))
		return 0;
	record.family = AF_UNIX;
	record.state = sk->__sk_common.skc_state;
	/*
	 * The verifier does not let this pointer be a kfunc's argument, but the socket is locked.
	 */
	bpf_probe_read_kernel(&address, sizeof(address), &sk);
	record.vs = vs_named_vs(sk->__sk_common.skc_cookie.counter, address);
	record.inode = inode_of(sk);
	record.proto = sk->sk_type == SOCK_DGRAM     ? VS_PROTO_UNIX_DGRAM :
		       sk->sk_type == SOCK_SEQPACKET ? VS_PROTO_UNIX_SEQPACKET :
						       VS_PROTO_UNIX_STREAM;
	name = unix_sk->addr;
	if (name) {
		len = name->len - (int)sizeof(sa_family_t);
		if (len > 0 && len <= (int)sizeof(record.name) &&
		    !bpf_probe_read_kernel(record.name, len, name->name[0].sun_path))
			record.name_len = len;
	}
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}
