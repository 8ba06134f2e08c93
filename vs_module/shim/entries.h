/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sees what must not be missed at the entry of functions of the kernel: datagrams
 * that a receive has taken off a socket's queue, where they are freed; messages
 * that are put into unix streams and read from them, where they are copied; and
 * reads from pipes and the like. It uses ftrace and no BPF program: the kernel
 * leaves out a BPF program that is under way already on the CPU because a task was
 * preempted inside it. ftrace guards against recursion per task, if at all.
 */
#ifndef _VS_ENTRIES_H
#define _VS_ENTRIES_H

#include <linux/types.h>

struct msg_msg;
struct sk_buff;
struct sock;

/*
 * vs_taken_watch() begins, vs_taken_end() ends; when the latter returns,
 * vs_taken() does not run any more. One caller at a time; may sleep. -ENOENT:
 * this kernel has no such functions.
 */
int vs_taken_watch(void);
void vs_taken_end(void);

/*
 * The running task has received `skb` by `sk`, or looked at it; both stay for the
 * call. Task context, or softirq for a packet that the kernel itself frees.
 */
void vs_taken(const struct sock *sk, const struct sk_buff *skb);

/*
 * Begins, or ends: then vs_filled() and vs_read() do not run any more when this
 * returns. One at a time; may sleep. -ENOENT: this kernel has no such functions.
 */
int vs_streams_watch(void);
void vs_streams_end(void);

/* `skb`, which nobody else has yet, is about to be filled for the socket that owns it. */
void vs_filled(struct sk_buff *skb);

/* The running task is about to read from `skb`, which is in the queue of a unix stream. */
void vs_read(const struct sk_buff *skb);

/*
 * Begins, or ends: then the three functions below do not run any more when this returns. One at a
 * time; may sleep. -ENOENT: this kernel lacks one of the functions.
 */
int vs_queues_watch(void);
void vs_queues_end(void);

/*
 * The running task is about to read a message that it has taken from a System V or POSIX queue; or
 * it only looks, and is about to copy one into a message that it has made for that; or a message is
 * about to be freed. In a system call, preemption off; the second one under the queue's lock.
 */
void vs_message_read(const struct msg_msg *msg);
void vs_message_copied(const struct msg_msg *copy);
void vs_message_freed(const struct msg_msg *msg);

/*
 * Begins, or ends: then vs_gate_read() does not run any more when this returns. One at a time; may
 * sleep. -ENOENT: this kernel lacks one of the functions, and the log names it.
 */
int vs_reads_watch(void);
void vs_reads_end(void);

/*
 * The running task is about to read from a pipe or the like, or to take a message from a queue. In
 * its system call, io_uring's worker or a kernel thread; no spinlock held, interrupts on.
 */
void vs_gate_read(void);

#endif /* _VS_ENTRIES_H */
