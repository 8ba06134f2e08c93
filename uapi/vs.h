/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Virtual Services: the interface of /dev/vsctl.
 *
 * This header is all that user space and vs.ko share. Every structure is
 * fixed-layout, 8-byte aligned and without implicit padding; reserved fields
 * must be zero. Structures grow only at their end. The size a caller was built
 * with travels in the ioctl number, and the kernel treats it as openat2(2)
 * does: shorter than version 1 is EINVAL, longer is accepted as long as the
 * part the kernel does not know is zero, else E2BIG. Structures that a pointer
 * names carry their size in a field of their own and are treated in the same
 * way; none is longer than a page (E2BIG).
 *
 * INFO, QUERY, LIST, STAT, RULE_LIST, RULE_TEST and SOCKET only ask: they need
 * the device open for reading, and no capability. All others change something:
 * they need the device open for writing, and CAP_SYS_ADMIN.
 *
 * Errors common to all commands: ENOTTY unknown command, EINVAL a reserved
 * field or an unknown flag is set, E2BIG the argument is too long, EFAULT a bad
 * pointer, EBADF the device is not open for what the command needs, EPERM the
 * caller lacks CAP_SYS_ADMIN. Where a command can fail for several causes, its
 * `reason` says which: enum vs_reason.
 */
#ifndef _UAPI_VS_H
#define _UAPI_VS_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VS_ABI_VERSION 1

#define VS_ROOT	      0	 /* the service of all that is unclassified */
#define VS_DEPTH_MAX  16 /* levels below root */
#define VS_RULES_MAX  262144
#define VS_SHAPES_MAX 64  /* distinct sets of conditions among the rules of one gate */
#define VS_NAME_LEN   64  /* bytes, with the final NUL */
#define VS_PATH_LEN   256 /* bytes, with the final NUL */
#define VS_IFACE_LEN  16  /* bytes, with the final NUL */
#define VS_ENTITIES   3	  /* entities a rule can name */

/* The room that structures have for later additions. Unused elements are zero. */
#define VS_GATE_MAX	64
#define VS_ATTR_MAX	32
#define VS_RESOURCE_MAX 8
#define VS_END_MAX	8

/*
 * A VS id is a number below vs_info.ids_max. In a rule, these values stand for
 * something else than one service. On the left side only VS_ANY is allowed. On
 * that side a task is known by its home, whatever it works on.
 */
/* the VS that entity n had before the call; of a task, the VS that it works for */
#define VS_REF(n) (0xfffffff0u + (n))
#define VS_HOME	  0xfffffff8u /* the caller's home VS */
#define VS_ANY	  0xffffffffu /* left: any VS; right: unchanged */

/*
 * Interception points: their entities, S1 first, and the properties that their
 * rules can ask for. Made from the table of gates (vs_module/logic/gate.rs).
 */
enum vs_gate {
	/* task, child, work: cgroup uid gid */
	VS_GATE_FORK,
	/* task: path cgroup uid gid */
	VS_GATE_EXEC,
	/* counts, and takes no rules */
	VS_GATE_EXIT,
	/* task: cgroup uid gid */
	VS_GATE_SETUID,
	/* task: cgroup uid gid */
	VS_GATE_SETGID,
	/* task, socket: cgroup uid gid proto */
	VS_GATE_SOCKET,
	/* task, socket, peersocket: cgroup uid gid proto */
	VS_GATE_SOCKETPAIR,
	/* task, socket: unix cgroup uid gid proto local lport peer pport */
	VS_GATE_CONNECT,
	/* task, conn: unix cgroup uid gid proto local lport peer pport */
	VS_GATE_ACCEPT,
	/* task, socket, msg: unix cgroup uid gid proto local lport peer pport */
	VS_GATE_SEND,
	/* task, socket, msg: unix cgroup uid gid proto local lport peer pport */
	VS_GATE_RECV,
	/* counts, and takes no rules */
	VS_GATE_CLOSE,
	/* counts, and takes no rules */
	VS_GATE_WAIT,
	/* conn: proto local lport peer pport iface */
	VS_GATE_PACKET,
	/* task, socket: unix cgroup uid gid proto local lport peer pport */
	VS_GATE_HINT,
	/* counts, and takes no rules */
	VS_GATE_READ,
	VS_GATE_COUNT
};

/* Properties a rule can ask for: bits of vs_rule.props. */
#define VS_P_PATH (1 << 0) /* vs_rule.path: program; ends in "/" + "*": all below */
/* vs_rule.path: unix socket, "@name" if abstract; "/" + "*" as for VS_P_PATH */
#define VS_P_UNIX   (1 << 1)
#define VS_P_CGROUP (1 << 2) /* vs_rule.cgroup: path below the cgroup2 root, or all below */
#define VS_P_UID    (1 << 3)
#define VS_P_GID    (1 << 4)
#define VS_P_PROTO  (1 << 5) /* enum vs_proto */
#define VS_P_LOCAL  (1 << 6) /* address/length */
#define VS_P_LPORT  (1 << 7)
#define VS_P_PEER   (1 << 8) /* address/length */
#define VS_P_PPORT  (1 << 9)
#define VS_P_IFACE  (1 << 10) /* the interface a packet came in by */
#define VS_P_ALL    ((1 << 11) - 1)

enum vs_proto {
	VS_PROTO_OTHER,
	VS_PROTO_TCP,
	VS_PROTO_UDP,
	VS_PROTO_UNIX_STREAM,
	VS_PROTO_UNIX_DGRAM,
	VS_PROTO_UNIX_SEQPACKET,
	VS_PROTO_COUNT
};

/*
 * Attributes. A new service shares each with its parent until it is detached. If
 * cpu_weight and cpu_cap are both shared, the service is scheduled together with
 * its parent, as one; if cpu_cap alone is detached, it is scheduled with a weight
 * of 100. A shared limit means: bounded by the parent's. A detached limit bounds
 * the service and all below it, and those above bound it still.
 */
enum vs_attr {
	VS_ATTR_CPU_WEIGHT,  /* 1..10000, 100 by default: share among the services of one parent */
	VS_ATTR_CPU_CAP,     /* thousandths of one CPU, from 10; VS_UNLIMITED */
	VS_ATTR_TASKS_MAX,   /* tasks (threads count); VS_UNLIMITED */
	VS_ATTR_SOCKETS_MAX, /* sockets; VS_UNLIMITED */
	VS_ATTR_TASKS_ERRNO, /* 1..133: the error of fork() at the limit, EAGAIN by default */
	/*
	 * 1..133, ENOBUFS by default: the error of socket() and socketpair() at the limit, and of
	 * connect() to a unix socket of a service at its limit. A TCP request to such a service
	 * is dropped.
	 */
	VS_ATTR_SOCKETS_ERRNO,
	/*
	 * enum vs_order, by arrival by default: in which its tasks accept what waits at a listener
	 */
	VS_ATTR_ACCEPT_ORDER,
	VS_ATTR_COUNT
};

/* The orders in which connections can be accepted. */
enum vs_order {
	VS_ORDER_ARRIVAL,
	/* first those of the service that has most of its CPU share left, over the tree */
	VS_ORDER_SHARE,
	VS_ORDER_COUNT
};

#define VS_UNLIMITED 0xffffffffu

/* Resources that limits bound, and vs_stat.refused counts. */
enum vs_resource { VS_RESOURCE_TASKS, VS_RESOURCE_SOCKETS, VS_RESOURCE_COUNT };

/* The cause for which a command was refused, which errno alone would not tell. */
enum vs_reason {
	VS_WHY_NONE,
	VS_WHY_NAME_BAD,   /* EINVAL: empty, too long, or a character outside [a-z0-9._-] */
	VS_WHY_NAME_TAKEN, /* EEXIST */
	VS_WHY_ID_TAKEN,   /* EEXIST: in use, or a tag could still name it */
	/* ENOENT: the service (or the parent, or the target) does not exist */
	VS_WHY_NO_SERVICE,
	VS_WHY_ROOT,	     /* EINVAL: not possible for root */
	VS_WHY_DEPTH,	     /* EMLINK: deeper than VS_DEPTH_MAX */
	VS_WHY_CYCLE,	     /* ELOOP: a service cannot be its own ancestor */
	VS_WHY_FULL,	     /* ENOSPC: no id, rule or shape is left */
	VS_WHY_HAS_CHILDREN, /* EBUSY */
	VS_WHY_HAS_TASKS,    /* EBUSY */
	VS_WHY_HAS_SOCKETS,  /* EBUSY */
	VS_WHY_HAS_RULES,    /* EBUSY: rules name it */
	/* EPERM: the attribute is shared with the parent: detach it first */
	VS_WHY_SHARED,
	VS_WHY_RANGE,	  /* ERANGE: the value is outside the attribute's range */
	VS_WHY_GATE,	  /* EINVAL: no such gate, or it takes no rules */
	VS_WHY_PROPERTY,  /* EINVAL: this gate has no such property */
	VS_WHY_ENTITY,	  /* EINVAL: this gate has no such entity, or cannot give it a VS */
	VS_WHY_VALUE,	  /* EINVAL: a property's value is malformed */
	VS_WHY_NO_RULE,	  /* ENOENT: no rule has this number */
	VS_WHY_NO_TASK,	  /* ESRCH: the task has exited */
	VS_WHY_FD,	  /* EBADF: not a pidfd, not a socket */
	VS_WHY_NO_GATES,  /* ENOTCONN: the gates that keep tags are not attached */
	VS_WHY_DUPLICATE, /* EEXIST: a service stands twice in the configuration */
	VS_WHY_ORDER,	  /* EINVAL: a parent stands after its child in the configuration */
	/* EEXIST: the service exists, and has another id than the configuration says */
	VS_WHY_OTHER_ID,
	VS_WHY_COUNT
};

struct vs_info {
	__u32 abi;	/* out: VS_ABI_VERSION */
	__u32 ids_max;	/* out: ids are below this */
	__u64 features; /* out: VS_FEATURE_* */
	__u32 services; /* out: the number of services, root among them */
	__u32 rules;	/* out */
	/* out: grows with every change to tree, attributes or rules; never 0 */
	__u64 generation;
};
/* the gate packet is on: see struct vs_gate_switch */
#define VS_FEATURE_PACKETS (1ull << 0)
/* sockets and packets carry tags: see struct vs_tags */
#define VS_FEATURE_TAGS (1ull << 1)
/* the gate hint is on: see struct vs_gate_switch */
#define VS_FEATURE_HINT (1ull << 2)
/* the gate read is on: see struct vs_gate_switch */
#define VS_FEATURE_READ (1ull << 3)

struct vs_create {
	char name[VS_NAME_LEN];
	__u32 id; /* in: VS_ANY to choose one, or the id wanted; out: the id */
	__u32 parent;
	__s32 priority; /* higher wins between rules */
	__u32 reason;	/* out */
};

/* Refused with EBUSY while tasks, sockets, children or rules hold on to it. */
struct vs_destroy {
	__u32 id;
	/* VS_ANY, or the service that takes over tasks, sockets and rules */
	__u32 move_to;
	__u32 children; /* out */
	__u32 rules;	/* out */
	__u64 tasks;	/* out */
	__u64 sockets;	/* out */
	__u32 reason;	/* out */
	__u32 reserved;
};

#define VS_CHANGE_NAME	   (1 << 0)
#define VS_CHANGE_PARENT   (1 << 1)
#define VS_CHANGE_PRIORITY (1 << 2)

struct vs_change {
	__u32 id;
	__u32 what; /* VS_CHANGE_* */
	char name[VS_NAME_LEN];
	__u32 parent;
	__s32 priority;
	__u32 reason; /* out */
	__u32 reserved;
};

enum vs_attr_op {
	VS_ATTR_SET,	/* a detached one */
	VS_ATTR_DETACH, /* takes the parent's present value as its own */
	VS_ATTR_SHARE,	/* with the parent again */
	VS_ATTR_OP_COUNT
};

struct vs_set_attr {
	__u32 id;
	__u16 op;     /* enum vs_attr_op */
	__u16 attr;   /* enum vs_attr */
	__u32 value;  /* VS_ATTR_SET only, else 0 */
	__u32 reason; /* out */
};

struct vs_service {
	__u32 id;
	__u32 parent;
	char name[VS_NAME_LEN];
	__s32 priority;
	__u32 depth;
	__u32 children;
	__u32 detached;		 /* bit n: attribute n is its own */
	__u32 attr[VS_ATTR_MAX]; /* effective values, by enum vs_attr; the rest is zero */
};

struct vs_query {
	__u32 id;		   /* in: VS_ANY to look up by service.name */
	__u32 reason;		   /* out */
	struct vs_service service; /* out */
};

/* Lists services by id, or rules by number, from `after` + 1 on (first call: VS_LIST_START). */
#define VS_LIST_START 0xffffffffu
struct vs_list {
	__u64 items;	 /* in: struct vs_service[] or struct vs_rule[] */
	__u32 room;	 /* in: how many fit */
	__u32 after;	 /* in/out: the last one given */
	__u32 count;	 /* out: how many were written; fewer than `room`: the end of the list */
	__u32 item_size; /* in: sizeof one item, as the caller knows it */
};

/*
 * The right side can give a message another VS only where it can be told from
 * its socket: of VS_GATE_SEND, sent by TCP or UDP, or as a unix stream or datagram. A rule that
 * asks for another proto and names it is refused, one that asks for none acts on these alone. What
 * VS_GATE_RECV sees has its sender's.
 */
struct vs_rule {
	__u32 id;		 /* out, and for VS_IOC_RULE_DEL in; grows with age */
	__u32 gate;		 /* enum vs_gate */
	__u32 from[VS_ENTITIES]; /* left: VS id or VS_ANY */
	__u32 to[VS_ENTITIES];	 /* right: VS id, VS_REF(n), VS_HOME or VS_ANY */
	__u32 props;		 /* VS_P_*: which of the following count */
	__u32 uid;
	__u32 gid;
	__u8 proto;	/* enum vs_proto */
	__u8 local_len; /* prefix length, 0..128; IPv4 is ::ffff:a.b.c.d, so 96 + n */
	__u8 peer_len;
	__u8 reserved1;
	__u16 local_port; /* host byte order */
	__u16 peer_port;
	__u8 local[16]; /* network byte order */
	__u8 peer[16];
	char iface[VS_IFACE_LEN];
	char path[VS_PATH_LEN]; /* program or unix socket */
	char cgroup[VS_PATH_LEN];
	__u32 reason; /* out, for VS_IOC_RULE_ADD and _DEL */
	__u64 hits;   /* out */
};

/*
 * Classifies a call as the gates would, by the same code that they run, without
 * effects. The call is a struct vs_rule: `from` has ids, `props` says what is
 * known of the call; `to` and the lengths of prefixes do not count.
 */
struct vs_rule_test {
	__u64 call;	       /* in: struct vs_rule, which is not written */
	__u32 call_size;       /* in: sizeof it, as the caller knows it */
	__u32 work;	       /* in: the VS that the caller works for, its own without work */
	__u32 rule;	       /* out: number of the rule that wins, VS_LIST_START: none matches */
	__u32 matching;	       /* out: how many rules match */
	__u32 shapes;	       /* out: how many look-ups that took */
	__u32 to[VS_ENTITIES]; /* out: the resulting ids */
	__u32 reason;	       /* out */
	__u32 reserved;
};

#define VS_PLACE_THREAD (1 << 0) /* only the thread the pidfd names, not its process */

struct vs_place_task {
	__s32 pidfd;
	__u32 id;
	__u32 flags;
	__u32 reason; /* out */
};

struct vs_place_socket {
	__s32 fd; /* of the caller */
	__u32 id;
	__u32 flags;  /* 0 */
	__u32 reason; /* out */
};

/* The cause for which work in hand ended. */
enum vs_end {
	VS_END_RECEIPT, /* the task received something else */
	VS_END_CLOSE,	/* the socket by which it came was closed */
	VS_END_WAIT,	/* the task waited for more */
	VS_END_SLEEP,	/* the task slept after its reply */
	VS_END_AGE,	/* no other end for longer than work may last */
	VS_END_REPLY,	/* the task replied to others */
	VS_END_HINT,	/* the task said so: vs_hint.h */
	VS_END_COUNT
};

struct vs_stat {
	__u32 id;
	__u32 reason;	    /* out */
	__u64 cpu_ns;	    /* CPU time of its own, without its children's */
	__u64 tasks;	    /* tasks at home here now */
	__u64 sockets;	    /* sockets that carry its tag now */
	__u64 rebinds;	    /* times a task's current VS became this one */
	__u64 unattributed; /* times a rule asked for the VS of an entity that had none */
	__u64 refused[VS_RESOURCE_MAX]; /* calls a limit refused, by enum vs_resource */
	__u64 packets_in;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 bytes_out;
	__u64 ends[VS_END_MAX]; /* work for it that ended, by enum vs_end */
	/* calls seen, by enum vs_gate, the caller being of this VS */
	__u64 hits[VS_GATE_MAX];
};

/* Asks to which service a socket of the caller belongs. */
struct vs_socket {
	__s32 fd;     /* of the caller; EBADF, VS_WHY_FD: not a socket that can carry a tag */
	__u32 id;     /* out */
	__u32 flags;  /* 0 */
	__u32 reason; /* out */
};

/* A service of a configuration; `parent` is the place of another one in it. */
struct vs_config_service {
	char name[VS_NAME_LEN];
	__u32 id;     /* 0 or VS_ANY: its present id, or one of the kernel's choice */
	__u32 parent; /* 0: the scope, n: the n-th service of the configuration, from 1 */
	__s32 priority;
	__u32 detached; /* bit n: attr[n] is its own */
	__u32 attr[VS_ATTR_MAX];
};

/*
 * Makes services and rules equal to this configuration: all of it, or nothing.
 * Services are known by name: those that exist are changed, others are created.
 * Rules are replaced as a whole; ids in them are places, as in
 * vs_config_service.
 */
#define VS_APPLY_CHECK (1 << 0) /* check only: say what would be refused, change nothing */
#define VS_APPLY_PRUNE (1 << 1) /* destroy services that are not named (EBUSY if in use) */

struct vs_apply {
	__u64 services; /* struct vs_config_service[] */
	__u64 rules;	/* struct vs_rule[] */
	__u32 nr_services;
	__u32 nr_rules;
	__u32 flags;
	__u32 reason;	    /* out */
	__u32 at_service;   /* out: the place of the refused service, from 1, or 0 */
	__u32 at_rule;	    /* out: the place of the refused rule, from 1, or 0 */
	__u32 service_size; /* in: sizeof one of services[], as the caller knows it */
	__u32 rule_size;    /* in: sizeof one of rules[], as the caller knows it */
	/* in: the service below which this is the configuration: VS_ROOT, else EINVAL */
	__u32 scope;
	__u32 reserved;
};

/*
 * Attaches the probes of a gate, or takes them off. VS_GATE_HINT is a device
 * (vs_hint.h), to which nobody listens while it is off. VS_GATE_PACKET is made of
 * probes alone: while it is on, packets of every network namespace are counted
 * and its rules are in force. VS_GATE_READ is made of probes alone, too.
 * VS_GATE_SEND and VS_GATE_RECV are BPF programs besides, and see nothing that
 * was received without their probes. EINVAL: the gate has none. ENOENT: the
 * kernel lacks a tracepoint or a function; then it is off. All are off until
 * turned on; what one is already, it stays.
 */
struct vs_gate_switch {
	__u32 gate; /* enum vs_gate */
	__u32 on;   /* 0 or 1, else EINVAL */
};

/*
 * Lets sockets belong to services, and packets carry the tag of their socket.
 * Turning it off takes every tag off every socket, in every network namespace.
 * A tag that a packet or a request for a connection then carries is never
 * believed again, even after it is turned on again. It is off until turned on,
 * which `vsctl up` does once the programs that see the end of sockets are
 * attached; turning it on or off twice has no effect. ENOENT: the kernel lacks
 * a tracepoint; it is then off.
 */
struct vs_tags {
	__u32 on; /* 0 or 1, else EINVAL */
	__u32 reserved;
};

#define VS_IOC_MAGIC	    0xB5
#define VS_IOC_INFO	    _IOWR(VS_IOC_MAGIC, 0, struct vs_info)
#define VS_IOC_CREATE	    _IOWR(VS_IOC_MAGIC, 1, struct vs_create)
#define VS_IOC_DESTROY	    _IOWR(VS_IOC_MAGIC, 2, struct vs_destroy)
#define VS_IOC_CHANGE	    _IOWR(VS_IOC_MAGIC, 3, struct vs_change)
#define VS_IOC_SET_ATTR	    _IOWR(VS_IOC_MAGIC, 4, struct vs_set_attr)
#define VS_IOC_QUERY	    _IOWR(VS_IOC_MAGIC, 5, struct vs_query)
#define VS_IOC_LIST	    _IOWR(VS_IOC_MAGIC, 6, struct vs_list)
#define VS_IOC_STAT	    _IOWR(VS_IOC_MAGIC, 7, struct vs_stat)
#define VS_IOC_RULE_ADD	    _IOWR(VS_IOC_MAGIC, 8, struct vs_rule)
#define VS_IOC_RULE_DEL	    _IOWR(VS_IOC_MAGIC, 9, struct vs_rule)
#define VS_IOC_RULE_LIST    _IOWR(VS_IOC_MAGIC, 10, struct vs_list)
#define VS_IOC_RULE_TEST    _IOWR(VS_IOC_MAGIC, 11, struct vs_rule_test)
#define VS_IOC_PLACE_TASK   _IOWR(VS_IOC_MAGIC, 12, struct vs_place_task)
#define VS_IOC_PLACE_SOCKET _IOWR(VS_IOC_MAGIC, 13, struct vs_place_socket)
#define VS_IOC_APPLY	    _IOWR(VS_IOC_MAGIC, 14, struct vs_apply)
#define VS_IOC_GATE	    _IOWR(VS_IOC_MAGIC, 15, struct vs_gate_switch)
#define VS_IOC_SOCKET	    _IOWR(VS_IOC_MAGIC, 16, struct vs_socket)
#define VS_IOC_TAGS	    _IOWR(VS_IOC_MAGIC, 17, struct vs_tags)

#endif /* _UAPI_VS_H */
