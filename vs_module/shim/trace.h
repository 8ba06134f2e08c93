/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of vs.ko: vs:vs_bind, vs:vs_refuse, vs:vs_apply. A tracepoint
 * that is off is a nop; `perf record -e 'vs:*'` or tracefs turns them on.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vs

#if !defined(_VS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VS_TRACE_H

#include <linux/tracepoint.h>

#include "../../uapi/vs.h"

/* Events are laid out as tables, as everywhere in the kernel. */
/* clang-format off */
#define vs_show_gate(gate)				\
	__print_symbolic(gate,				\
		{ VS_GATE_FORK,		"fork" },	\
		{ VS_GATE_EXEC,		"exec" },	\
		{ VS_GATE_EXIT,		"exit" },	\
		{ VS_GATE_SETUID,	"setuid" },	\
		{ VS_GATE_SETGID,	"setgid" },	\
		{ VS_GATE_SOCKET,	"socket" },	\
		{ VS_GATE_SOCKETPAIR,	"socketpair" },	\
		{ VS_GATE_CONNECT,	"connect" },	\
		{ VS_GATE_ACCEPT,	"accept" },	\
		{ VS_GATE_SEND,		"send" },	\
		{ VS_GATE_RECV,		"recv" },	\
		{ VS_GATE_CLOSE,	"close" },	\
		{ VS_GATE_WAIT,		"wait" },	\
		{ VS_GATE_PACKET,	"packet" },	\
		{ VS_GATE_HINT,		"hint" },	\
		{ VS_GATE_READ,		"read" })

/*
 * The running task is about to get another home, or to work for another service.
 * `rule` is the number of the rule that says so; without a rule the cause is the
 * gate itself (close, wait, read) or birth. The others are ids of services; 65535:
 * unchanged.
 */
TRACE_EVENT(vs_bind,
	TP_PROTO(u32 gate, u32 home, u32 cur, u32 new_home, u32 new_cur, u32 rule),
	TP_ARGS(gate, home, cur, new_home, new_cur, rule),
	TP_STRUCT__entry(
		__field(u32, gate)
		__field(u32, home)
		__field(u32, cur)
		__field(u32, new_home)
		__field(u32, new_cur)
		__field(u32, rule)
	),
	TP_fast_assign(
		__entry->gate = gate;
		__entry->home = home;
		__entry->cur = cur;
		__entry->new_home = new_home;
		__entry->new_cur = new_cur;
		__entry->rule = rule;
	),
	TP_printk("gate=%s home=%u cur=%u new_home=%u new_cur=%u rule=%d",
		  vs_show_gate(__entry->gate), __entry->home, __entry->cur,
		  __entry->new_home, __entry->new_cur, (int)__entry->rule)
);

/* A limit of the service, or of one above it, refuses a call with this errno. */
TRACE_EVENT(vs_refuse,
	TP_PROTO(u32 gate, u32 service, int error),
	TP_ARGS(gate, service, error),
	TP_STRUCT__entry(
		__field(u32, gate)
		__field(u32, service)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->gate = gate;
		__entry->service = service;
		__entry->error = error;
	),
	TP_printk("gate=%s service=%u error=%d",
		  vs_show_gate(__entry->gate), __entry->service, __entry->error)
);

/* A configuration has been put into force. */
TRACE_EVENT(vs_apply,
	TP_PROTO(u32 services, u32 rules, u64 generation),
	TP_ARGS(services, rules, generation),
	TP_STRUCT__entry(
		__field(u32, services)
		__field(u32, rules)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->services = services;
		__entry->rules = rules;
		__entry->generation = generation;
	),
	TP_printk("services=%u rules=%u generation=%llu",
		  __entry->services, __entry->rules, __entry->generation)
);
/* clang-format on */

#endif /* _VS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
