/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tags of messages that wait in System V and POSIX queues, by the message's
 * address: the kernel's own structure has no room for one. An entry goes with its
 * message.
 */
#ifndef _VS_MESSAGES_H
#define _VS_MESSAGES_H

#include <linux/types.h>

struct msg_msg;

/* Makes the table, or frees it with all tags; nobody uses it before and after. May sleep. */
int vs_messages_init(void);
void vs_messages_exit(void);

/*
 * Gives a new message its tag, in memory that is charged to the running task's group. Without
 * memory it has none. Task context, preemption on; no lock held.
 */
void vs_message_tag(const struct msg_msg *msg, u32 tag);

/* The tag of a message; 0: it has none. The caller has the message. Any context but NMI. */
u32 vs_message_tag_of(const struct msg_msg *msg);

/* Takes the tag off a message: it is about to be freed, or nobody's. Any context but NMI. */
void vs_message_gone(const struct msg_msg *msg);

#endif /* _VS_MESSAGES_H */
