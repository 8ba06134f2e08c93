/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task's tag: its home, and the VS that it works for. It lives in task local
 * storage, which dies with the task and is read without locks, also by the
 * scheduler, which shares the map. A task without storage is at home in root
 * and works for root, so on a machine with few tagged tasks the others cost no
 * memory.
 */
#ifndef _VS_TAG_BPF_H
#define _VS_TAG_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../kfuncs.h"

#define VS_ROOT 0

/* BTF has no macros */
#define AF_UNIX 1
#define AF_INET 2

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct vs_tag);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} vs_tags SEC(".maps");

/*
 * The task's tag, or NULL: root. Most tasks have no storage at all, which a look at the task
 * tells without a call.
 */
static __always_inline struct vs_tag *tag_of(struct task_struct *task)
{
	return task->bpf_storage ? bpf_task_storage_get(&vs_tags, task, NULL, 0) : NULL;
}

/* The task's tag, which is made if it has none; NULL only without memory. */
static __always_inline struct vs_tag *tag_made(struct task_struct *task)
{
	struct vs_tag root = { .number = bpf_get_prandom_u32() };

	return bpf_task_storage_get(&vs_tags, task, &root, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* The tag's home and current VS, in the form that kfuncs take. */
static __always_inline __u32 who(const struct vs_tag *tag)
{
	return tag ? tag->both : VS_WHO(VS_ROOT, VS_ROOT);
}

#endif /* _VS_TAG_BPF_H */
