// SPDX-License-Identifier: GPL-2.0
#include <linux/ftrace.h>
#include <linux/string.h>

#include "taken.h"

/* Calls `ops` at the entry of each of these functions. */
static int vs_watch(struct ftrace_ops *ops, const char *const *names, unsigned int count)
{
	unsigned int n;
	int error = 0;

	for (n = 0; n < count && !error; n++)
		error = ftrace_set_filter(ops, (unsigned char *)names[n], strlen(names[n]), !n);
	if (!error)
		error = register_ftrace_function(ops);
	if (error)
		ftrace_free_filter(ops);
	return error == -EINVAL ? -ENOENT : error;
}

static void vs_end_watch(struct ftrace_ops *ops)
{
	unregister_ftrace_function(ops);
	ftrace_free_filter(ops);
}

static void notrace vs_freed(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *regs)
{
	vs_taken((const struct sock *)ftrace_regs_get_argument(regs, 0),
		 (const struct sk_buff *)ftrace_regs_get_argument(regs, 1));
}

static void notrace vs_copied_in(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
				 struct ftrace_regs *regs)
{
	vs_filled((struct sk_buff *)ftrace_regs_get_argument(regs, 0));
}

static void notrace vs_copied_out(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
				  struct ftrace_regs *regs)
{
	vs_read((const struct sk_buff *)ftrace_regs_get_argument(regs, 0));
}

/* PERMANENT: the sysctl kernel.ftrace_enabled does not turn it off. */
#define VS_OPS(function) \
	{ .func = function, .flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION }

static struct ftrace_ops vs_freed_ops = VS_OPS(vs_freed);
static struct ftrace_ops vs_filled_ops = VS_OPS(vs_copied_in);
static struct ftrace_ops vs_read_ops = VS_OPS(vs_copied_out);

int vs_taken_watch(void)
{
	/* UDP's own, and that of all others: unix sockets, raw and packet sockets, ping */
	static const char *const names[] = { "skb_consume_udp", "skb_free_datagram" };

	return vs_watch(&vs_freed_ops, names, ARRAY_SIZE(names));
}

void vs_taken_end(void)
{
	vs_end_watch(&vs_freed_ops);
}

int vs_streams_watch(void)
{
	/* of all sockets whose messages are made in one go, and of spliced pages */
	static const char *const filled[] = { "skb_copy_datagram_from_iter",
					      "skb_splice_from_iter" };
	static const char *const read[] = { "unix_stream_read_actor" };
	int error = vs_watch(&vs_read_ops, read, ARRAY_SIZE(read));

	if (error)
		return error;
	error = vs_watch(&vs_filled_ops, filled, ARRAY_SIZE(filled));
	if (error)
		vs_end_watch(&vs_read_ops);
	return error;
}

void vs_streams_end(void)
{
	vs_end_watch(&vs_filled_ops);
	vs_end_watch(&vs_read_ops);
}
