// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/string.h>

#include "entries.h"

/* Functions at whose entry `ops` are called. */
struct vs_entries {
	struct ftrace_ops *ops;
	const char *const *names;
	unsigned int count;
};

#define VS_ENTRIES(ops, names) { &(ops), names, ARRAY_SIZE(names) }

static int vs_watch_one(const struct vs_entries *entries)
{
	unsigned int n;
	int error = 0;

	for (n = 0; n < entries->count && !error; n++) {
		const char *name = entries->names[n];

		error = ftrace_set_filter(entries->ops, (unsigned char *)name, strlen(name), !n);
		if (error == -EINVAL)
			pr_err("vs: this kernel has no function %s() that ftrace can watch\n",
			       name);
	}
	if (!error)
		error = register_ftrace_function(entries->ops);
	if (error)
		ftrace_free_filter(entries->ops);
	return error == -EINVAL ? -ENOENT : error;
}

/* Ends what was begun, the last one first. */
static void vs_end_watch(const struct vs_entries *entries, unsigned int count)
{
	while (count--) {
		unregister_ftrace_function(entries[count].ops);
		ftrace_free_filter(entries[count].ops);
	}
}

/* Begins with the first one. Begins all of them or none. */
static int vs_watch(const struct vs_entries *entries, unsigned int count)
{
	unsigned int n;

	for (n = 0; n < count; n++) {
		int error = vs_watch_one(&entries[n]);

		if (error) {
			vs_end_watch(entries, n);
			return error;
		}
	}
	return 0;
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

static void notrace vs_stored(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			      struct ftrace_regs *regs)
{
	vs_message_read((const struct msg_msg *)ftrace_regs_get_argument(regs, 1));
}

static void notrace vs_copied(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			      struct ftrace_regs *regs)
{
	vs_message_copied((const struct msg_msg *)ftrace_regs_get_argument(regs, 1));
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

static struct ftrace_ops vs_stored_ops = VS_OPS(vs_stored);
static struct ftrace_ops vs_copied_ops = VS_OPS(vs_copied);
static struct ftrace_ops vs_dropped_ops = VS_OPS(vs_dropped);

/* UDP's own, and that of all others: unix sockets, raw and packet sockets, ping. */
static const char *const vs_freed_names[] = { "skb_consume_udp", "skb_free_datagram" };
static const struct vs_entries vs_taken_entries[] = {
	VS_ENTRIES(vs_freed_ops, vs_freed_names),
};

int vs_taken_watch(void)
{
	return vs_watch(vs_taken_entries, ARRAY_SIZE(vs_taken_entries));
}

void vs_taken_end(void)
{
	vs_end_watch(vs_taken_entries, ARRAY_SIZE(vs_taken_entries));
}

/* Of all sockets whose messages are made in one go, and of spliced pages. */
static const char *const vs_filled_names[] = { "skb_copy_datagram_from_iter",
					       "skb_splice_from_iter" };
static const char *const vs_actor_names[] = { "unix_stream_read_actor" };
static const struct vs_entries vs_stream_entries[] = {
	VS_ENTRIES(vs_read_ops, vs_actor_names),
	VS_ENTRIES(vs_filled_ops, vs_filled_names),
};

int vs_streams_watch(void)
{
	return vs_watch(vs_stream_entries, ARRAY_SIZE(vs_stream_entries));
}

void vs_streams_end(void)
{
	vs_end_watch(vs_stream_entries, ARRAY_SIZE(vs_stream_entries));
}

static const char *const vs_stored_names[] = { "store_msg" };
/* Of MSG_COPY: the reader makes the message into which another one is copied. */
static const char *const vs_copied_names[] = { "copy_msg" };
static const char *const vs_dropped_names[] = { "free_msg" };
static const struct vs_entries vs_queue_entries[] = {
	VS_ENTRIES(vs_dropped_ops, vs_dropped_names),
	VS_ENTRIES(vs_stored_ops, vs_stored_names),
	VS_ENTRIES(vs_copied_ops, vs_copied_names),
};

int vs_queues_watch(void)
{
	if (!IS_ENABLED(CONFIG_SYSVIPC) && !IS_ENABLED(CONFIG_POSIX_MQUEUE))
		return 0;
	return vs_watch(vs_queue_entries, ARRAY_SIZE(vs_queue_entries));
}

void vs_queues_end(void)
{
	if (IS_ENABLED(CONFIG_SYSVIPC) || IS_ENABLED(CONFIG_POSIX_MQUEUE))
		vs_end_watch(vs_queue_entries, ARRAY_SIZE(vs_queue_entries));
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

static const char *const vs_splice_names[] = { "do_splice" };
/* Of vmsplice(), whose own function is no more than a part of the system call. */
static const char *const vs_empty_names[] = { "__splice_from_pipe" };
static const struct vs_entries vs_reads_entries[] = {
	VS_ENTRIES(vs_reads_ops, vs_read_names),
	VS_ENTRIES(vs_splices_ops, vs_splice_names),
	VS_ENTRIES(vs_empties_ops, vs_empty_names),
};

int vs_reads_watch(void)
{
	return vs_watch(vs_reads_entries, ARRAY_SIZE(vs_reads_entries));
}

void vs_reads_end(void)
{
	vs_end_watch(vs_reads_entries, ARRAY_SIZE(vs_reads_entries));
}
