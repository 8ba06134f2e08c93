/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Obeys vs.ko's verdict: a gate binds the running task. There is no
 * policy here, and one order that matters: settle(), then write.
 *
 * settle() charges the time up to now to the VS the task has worked for, unless that
 * is open. If the task is preempted between the two, the context switch settles again
 * with the tag still unchanged: no time is lost, and the time between settling and
 * writing is the old VS's if the task was switched out there, else the new one's.
 *
 * A tag that is open ceases to be so first, then close_reply() charges what it has kept.
 */
#ifndef _VS_VERDICT_BPF_H
#define _VS_VERDICT_BPF_H

#include "tag.bpf.h"
#include "settle.bpf.h"

/* The errno that a refused system call fails with, negative, or 0. */
static __always_inline int verdict_error(__u64 verdict)
{
	return -(int)(verdict >> VS_VERDICT_ERRNO & 0xfff);
}

static __always_inline __u16 verdict_cur(__u64 verdict)
{
	return verdict >> VS_VERDICT_CUR;
}

static __always_inline __u16 verdict_message(__u64 verdict)
{
	return verdict >> VS_VERDICT_MESSAGE;
}

static __always_inline __u16 verdict_home(__u64 verdict)
{
	return verdict >> VS_VERDICT_HOME;
}

/*
 * Makes the tag of a task, running or not, say `home` and `cur`; VS_UNCHANGED:
 * that one stays; VS_GOES_HOME, as `cur`: the home that the tag says by then. The word is replaced
 * as a whole, so that its writer knows what it said before, and references are neither
 * lost nor dropped twice. False: one of the services has just gone, or others were quicker each
 * time.
 */
static __always_inline bool tag_write(struct task_struct *task, struct vs_tag *tag, __u16 home,
				      __u16 cur)
{
	int attempt;

	for (attempt = 0; attempt < 8; attempt++) {
		struct vs_tag old = { .both = *(volatile __u32 *)&tag->both }, new = old;

		if (home != VS_UNCHANGED)
			new.home = home;
		if (cur == VS_GOES_HOME)
			new.cur = new.home;
		else if (cur != VS_UNCHANGED)
			new.cur = cur;
		if (new.both == old.both)
			return true;
		if (!vs_tag_hold(old.both, new.both))
			return false;
		/* Also where only the home changes: time that is open is the old one's. */
		settle(task, tag);
		if (__sync_val_compare_and_swap(&tag->both, old.both, new.both) == old.both) {
			vs_tag_replaced(old.both, new.both);
			return true;
		}
		vs_tag_release(old.both, new.both);
	}
	return false;
}

#define PF_IO_WORKER 0x00000010 /* a thread of an io_uring */

/*
 * Binds the running task as the verdict says. `tag` is its tag or NULL; `work` is
 * the way by which the work came that it has from now on, 0: none is known.
 * Without memory for a tag the task stays what it is: root's.
 */
static __always_inline void bind(struct vs_tag *tag, __u64 verdict, __u64 work)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u16 cur = verdict_cur(verdict), home = verdict_home(verdict);
	__u32 was;
	bool open;

	if (cur == VS_UNCHANGED && home == VS_UNCHANGED)
		return;
	if (task->flags & PF_IO_WORKER && home == VS_UNCHANGED)
		return; /* it does others' calls in turn, and none of their work */
	if (!tag) {
		tag = tag_made(task);
		if (!tag)
			return;
	}
	if (cur == VS_HAS_REPLIED) {
		settle(task, tag);
		tag->replied = 1;
		return;
	}
	was = tag->both;
	open = tag->replied;
	if (open)
		settle(task, tag);
	if (cur == VS_GOES_ON) {
		tag->replied = 0;
		close_reply(tag, tag->cur, tag->cur);
		return;
	}
	/* First: a tick that comes in between looks at the age of the work that it finds. */
	tag->since = bpf_jiffies64();
	if (!tag_write(task, tag, home, cur)) {
		/* It has just gone. Its work is not that of the one before. */
		cur = VS_GOES_HOME;
		if (home != VS_UNCHANGED || !tag_write(task, tag, VS_UNCHANGED, cur))
			return;
	}
	tag->sending = tag->told = 0;
	tag->number++;
	if (open) {
		tag->replied = 0;
		close_reply(tag, was >> 16, was & 0xffff);
	}
	if (cur == VS_UNCHANGED)
		return;
	if (cur == VS_GOES_HOME || cur == tag->home) {
		tag->work = 0;
	} else {
		tag->served = cur;
		tag->work = work;
	}
}

/* For hooks that can refuse: 0 after binding, or the negative errno. */
static __always_inline int obey(struct vs_tag *tag, __u64 verdict)
{
	int error = verdict_error(verdict);

	if (!error)
		bind(tag, verdict, 0);
	return error;
}

/* Kernel threads and their sockets are not tagged. */
static __always_inline bool is_kthread(void)
{
	return bpf_get_current_task_btf()->flags & 0x00200000; /* PF_KTHREAD */
}

#endif /* _VS_VERDICT_BPF_H */
