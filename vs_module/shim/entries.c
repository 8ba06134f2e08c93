// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/string.h>

#include "entries.h"

/* Calls `ops` at the entry of each of these functions. */
static int vs_watch(struct ftrace_ops *ops, const char *const *names, unsigned int count)
{
	unsigned int n;
	int error = 0;

	for (n = 0; n < count && !error; n++) {
		error = ftrace_set_filter(ops, (unsigned char *)names[n], strlen(names[n]), !n);
		if (error == -EINVAL)
			pr_err("vs: this kernel has no function %s() that ftrace can watch\n",
			       names[n]);
	}
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

static void notrace vs_made(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			    struct ftrace_regs *regs)
{
	vs_message_made((const struct msg_msg *)ftrace_regs_get_argument(regs, 0));
}

static void notrace vs_stored(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			      struct ftrace_regs *regs)
{
	vs_message_read((const struct msg_msg *)ftrace_regs_get_argument(regs, 1));
}

static void notrace vs_dropped(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			       struct ftrace_regs *regs)
{
	vs_message_freed((const struct msg_msg *)ftrace_regs_get_argument(regs, 0));
}

/* A task without BPF storage has no tag, and so no work in hand. */
static __always_inline void vs_is_read(void)
{
	if (rcu_access_pointer(current->bpf_storage))
		vs_gate_read();
}

static void notrace vs_reads(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *regs)
{
	vs_is_read();
}

/* do_splice(): from a pipe, to a pipe, or from one to the other. */
static void notrace vs_splices(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			       struct ftrace_regs *regs)
{
	const struct file *in = (const struct file *)ftrace_regs_get_argument(regs, 0);

	if (S_ISFIFO(file_inode(in)->i_mode))
		vs_is_read();
}

/* sendfile() and its like have a pipe of the task's own in between, which nobody else sees. */
static void notrace vs_empties(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			       struct ftrace_regs *regs)
{
	if ((void *)ftrace_regs_get_argument(regs, 0) != current->splice_pipe)
		vs_is_read();
}

/* PERMANENT: the sysctl kernel.ftrace_enabled does not turn it off. */
#define VS_OPS(function) \
	{ .func = function, .flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_RECURSION }
/* The same without a guard, for a function that calls none of those it is called at. */
#define VS_BARE_OPS(function) { .func = function, .flags = FTRACE_OPS_FL_PERMANENT }

static struct ftrace_ops vs_freed_ops = VS_OPS(vs_freed);
static struct ftrace_ops vs_filled_ops = VS_OPS(vs_copied_in);
static struct ftrace_ops vs_read_ops = VS_OPS(vs_copied_out);
static struct ftrace_ops vs_reads_ops = VS_BARE_OPS(vs_reads);
static struct ftrace_ops vs_splices_ops = VS_BARE_OPS(vs_splices);
static struct ftrace_ops vs_empties_ops = VS_BARE_OPS(vs_empties);

static struct ftrace_ops vs_made_ops = VS_BARE_OPS(vs_made);
static struct ftrace_ops vs_stored_ops = VS_BARE_OPS(vs_stored);
static struct ftrace_ops vs_dropped_ops = VS_BARE_OPS(vs_dropped);

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

static const struct vs_entry {
	struct ftrace_ops *ops;
	const char *name;
} vs_queue_entries[] = {
#if defined(CONFIG_SYSVIPC) || defined(CONFIG_POSIX_MQUEUE)
	/* In this order: a message that has a tag is seen until it is freed. */
	{ &vs_dropped_ops, "free_msg" },
	{ &vs_stored_ops, "store_msg" },
	{ &vs_made_ops, "security_msg_msg_alloc" },
#endif
};

static void vs_queues_end_first(unsigned int count)
{
	while (count--)
		vs_end_watch(vs_queue_entries[count].ops);
}

int vs_queues_watch(void)
{
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(vs_queue_entries); n++) {
		const struct vs_entry *entry = &vs_queue_entries[n];
		int error = vs_watch(entry->ops, &entry->name, 1);

		if (error) {
			vs_queues_end_first(n);
			return error;
		}
	}
	return 0;
}

void vs_queues_end(void)
{
	vs_queues_end_first(ARRAY_SIZE(vs_queue_entries));
}

/*
 * All are called by a task for itself, before they take a lock. What this kernel is configured
 * without, a task cannot read from. A function that is missing for another reason, as a new
 * kernel can name it otherwise, is an error: what came by it would stay the former work's.
 */
static const char *const vs_read_names[] = {
	"anon_pipe_read",
	/* a FIFO's: it calls the above, which the compiler may have put into it */
	"fifo_pipe_read",
	"do_tee",
#ifdef CONFIG_EVENTFD
	"eventfd_read",
#endif
#ifdef CONFIG_TIMERFD
	"timerfd_read_iter",
#endif
#ifdef CONFIG_SIGNALFD
	"signalfd_read_iter",
#endif
#ifdef CONFIG_TTY
	"tty_read",
#endif
#ifdef CONFIG_INOTIFY_USER
	"inotify_read",
#endif
#ifdef CONFIG_FANOTIFY
	"fanotify_read",
#endif
#ifdef CONFIG_USERFAULTFD
	"userfaultfd_read_iter",
#endif
#ifdef CONFIG_SYSVIPC
	/* the system calls, and what ipc() calls: their common part can be inlined */
	"__*_sys_msgrcv",
	"*ksys_msgrcv",
#endif
#ifdef CONFIG_POSIX_MQUEUE
	"__*_sys_mq_timedreceive*",
#endif
};

int vs_reads_watch(void)
{
	static const char *const splices[] = { "do_splice" };
	/* of vmsplice(), whose own function is no more than a part of the system call */
	static const char *const empties[] = { "__splice_from_pipe" };
	int error = vs_watch(&vs_reads_ops, vs_read_names, ARRAY_SIZE(vs_read_names));

	if (error)
		return error;
	error = vs_watch(&vs_splices_ops, splices, ARRAY_SIZE(splices));
	if (error)
		goto reads;
	error = vs_watch(&vs_empties_ops, empties, ARRAY_SIZE(empties));
	if (error)
		goto splices;
	return 0;
splices:
	vs_end_watch(&vs_splices_ops);
reads:
	vs_end_watch(&vs_reads_ops);
	return error;
}

void vs_reads_end(void)
{
	vs_end_watch(&vs_empties_ops);
	vs_end_watch(&vs_splices_ops);
	vs_end_watch(&vs_reads_ops);
}
