/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sees each datagram that a receive has taken off a socket's queue, at the entry
 * of the functions that free it. By ftrace, and not by a BPF program there: the
 * kernel leaves out a BPF program that is under way already on the CPU, where a
 * task was preempted in the midst of it. What ftrace guards against is kept for
 * each task.
 */
#ifndef _VS_TAKEN_H
#define _VS_TAKEN_H

#include <linux/types.h>

struct sk_buff;
struct sock;

/*
 * Begins, or ends: then vs_taken() does not run any more when this returns. One
 * at a time; may sleep. -ENOENT: this kernel has no such functions.
 */
int vs_taken_watch(void);
void vs_taken_end(void);

/*
 * The running task has received `skb`, or looked at it, by `sk`; both stay for the
 * call. Task context, but for what the kernel frees itself (softirq).
 */
void vs_taken(const struct sock *sk, const struct sk_buff *skb);

#endif /* _VS_TAKEN_H */
