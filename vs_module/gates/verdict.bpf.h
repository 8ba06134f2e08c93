/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a gate does with vs.ko's verdict: it binds the running task. There is no
 * policy here, and one order that matters: settle(), then write.
 *
 * settle() charges the time up to now to the VS the task has worked for. If the
 * task is preempted between the two, the context switch settles again with the
 * tag still unchanged, so no time is lost and none is charged to the new VS too
 * early; after the write all that follows is the new VS's.
 */
#ifndef _VS_VERDICT_BPF_H
#define _VS_VERDICT_BPF_H

#include "tag.bpf.h"
#include "settle.bpf.h"

/* What a refused system call fails with: a negative errno, or 0. */
static __always_inline int verdict_error(__u64 verdict)
{
	return -(int)(verdict >> VS_VERDICT_ERRNO & 0x7fff);
}

/*
 * Binds the running task as the verdict says. `tag` is its tag or NULL, `work`
 * the cookie of the socket the work came by, 0 if the work ended or came
 * otherwise. Returns false if there was no memory for a tag: nothing changed.
 */
static __always_inline bool bind(struct vs_tag *tag, __u64 verdict, __u64 work)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u16 cur = verdict >> VS_VERDICT_CUR, home = verdict >> VS_VERDICT_HOME;

	if (cur == VS_UNCHANGED && home == VS_UNCHANGED)
		return true;
	if (!tag) {
		tag = tag_made(task);
		if (!tag)
			return false;
	}
	if (cur != VS_UNCHANGED) {
		if (cur != tag->cur) {
			settle(task, tag->cur);
			WRITE_ONCE(tag->cur, cur);
		}
		tag->work = cur == tag->home ? 0 : work;
	}
	if (home != VS_UNCHANGED)
		WRITE_ONCE(tag->home, home);
	return true;
}

#endif /* _VS_VERDICT_BPF_H */
