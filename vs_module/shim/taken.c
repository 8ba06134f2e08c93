// SPDX-License-Identifier: GPL-2.0
#include <linux/ftrace.h>
#include <linux/string.h>

#include "taken.h"

/* The functions of UDP and of all others: unix sockets, raw and packet sockets, ping. */
static char *const vs_freers[] = { "skb_consume_udp", "skb_free_datagram" };

static void notrace vs_freed(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *regs)
{
	vs_taken((const struct sock *)ftrace_regs_get_argument(regs, 0),
		 (const struct sk_buff *)ftrace_regs_get_argument(regs, 1));
}

/* PERMANENT: the sysctl kernel.ftrace_enabled does not turn it off. */
static struct ftrace_ops vs_freed_ops = {
	.func = vs_freed,
	.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION,
};

int vs_taken_watch(void)
{
	unsigned int n;
	int error = 0;

	for (n = 0; n < ARRAY_SIZE(vs_freers) && !error; n++)
		error = ftrace_set_filter(&vs_freed_ops, (unsigned char *)vs_freers[n],
					  strlen(vs_freers[n]), !n);
	if (!error)
		error = register_ftrace_function(&vs_freed_ops);
	if (error)
		ftrace_free_filter(&vs_freed_ops);
	return error == -EINVAL ? -ENOENT : error;
}

void vs_taken_end(void)
{
	unregister_ftrace_function(&vs_freed_ops);
	ftrace_free_filter(&vs_freed_ops);
}
