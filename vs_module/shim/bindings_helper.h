/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The input of bindgen for vs.ko. The kernel crate binds neither packets, nor
 * netfilter, nor sockets, so the module has bindings of its own, for exactly
 * what bindgen_parameters names. They are made at each build, from the headers
 * and with the flags of the kernel for which the module is built.
 */
#ifndef _VS_BINDINGS_HELPER_H
#define _VS_BINDINGS_HELPER_H

#include <linux/binfmts.h>
#include <linux/cgroup.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/magic.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/tracepoint.h>
#include <linux/udp.h>
#include <linux/un.h>
#include <net/af_unix.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/udp.h>

#include "../../uapi/vs.h"
#include "../../uapi/vs_hint.h"
#include "helpers.h"
#include "../kfuncs.h"
#include "layout.h"
#include "sockets.h"
#include "streams.h"
#include "entries.h"
#include "accept.h"

/*
 * bindgen does not evaluate macros with a cast or sizeof in them, but it does
 * evaluate constants: VS_CONST_x becomes x in the Rust bindings.
 */
#define VS_CONST(type, name) static const type VS_CONST_##name = name

VS_CONST(unsigned int, VS_IOC_INFO);
VS_CONST(unsigned int, VS_IOC_CREATE);
VS_CONST(unsigned int, VS_IOC_DESTROY);
VS_CONST(unsigned int, VS_IOC_CHANGE);
VS_CONST(unsigned int, VS_IOC_SET_ATTR);
VS_CONST(unsigned int, VS_IOC_QUERY);
VS_CONST(unsigned int, VS_IOC_LIST);
VS_CONST(unsigned int, VS_IOC_STAT);
VS_CONST(unsigned int, VS_IOC_RULE_ADD);
VS_CONST(unsigned int, VS_IOC_RULE_DEL);
VS_CONST(unsigned int, VS_IOC_RULE_LIST);
VS_CONST(unsigned int, VS_IOC_RULE_TEST);
VS_CONST(unsigned int, VS_IOC_PLACE_TASK);
VS_CONST(unsigned int, VS_IOC_PLACE_SOCKET);
VS_CONST(unsigned int, VS_IOC_APPLY);
VS_CONST(unsigned int, VS_IOC_GATE);
VS_CONST(unsigned int, VS_IOC_SOCKET);
VS_CONST(unsigned int, VS_IOC_TAGS);
VS_CONST(unsigned int, VS_HINT_SERVES);
VS_CONST(unsigned int, VS_HINT_DONE);
VS_CONST(unsigned int, FMODE_READ);
VS_CONST(unsigned int, FMODE_WRITE);

/* bindgen leaves out macros with an argument: this is the first of the values VS_REF(n). */
static const unsigned int VS_CONST_VS_REF = VS_REF(0);

/*
 * clang's offsets; helpers.c compares them with the offsets of the compiler that built the kernel.
 */
#define VS_FIELD(name, type, field) \
	VS_OFFSET_##name = offsetof(type, field), VS_WIDTH_##name = sizeof_field(type, field),
#define VS_TAIL(name, type, field) VS_OFFSET_##name = offsetof(type, field),
#define VS_SIZE(name, type)	   VS_SIZEOF_##name = sizeof(type),
enum vs_layout { VS_LAYOUT };
#undef VS_FIELD
#undef VS_TAIL
#undef VS_SIZE

#endif /* _VS_BINDINGS_HELPER_H */
