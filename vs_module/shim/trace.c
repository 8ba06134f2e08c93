// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of trace.h, and functions by which Rust code fires them. */
#define CREATE_TRACE_POINTS
#include "trace.h"

#include "helpers.h"

void vs_trace_bind(u32 gate, u32 home, u32 cur, u32 new_home, u32 new_cur, u32 rule)
{
	trace_vs_bind(gate, home, cur, new_home, new_cur, rule);
}

void vs_trace_refuse(u32 gate, u32 service, int error)
{
	trace_vs_refuse(gate, service, error);
}

void vs_trace_apply(u32 services, u32 rules, u64 generation)
{
	trace_vs_apply(services, rules, generation);
}
