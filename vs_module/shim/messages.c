// SPDX-License-Identifier: GPL-2.0
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "messages.h"

struct vs_message {
	struct rhash_head node;
	unsigned long msg; /* its address, only compared */
	u32 tag;
	struct rcu_head rcu;
};

static const struct rhashtable_params vs_messages_params = {
	.key_len = sizeof(unsigned long),
	.key_offset = offsetof(struct vs_message, msg),
	.head_offset = offsetof(struct vs_message, node),
	.automatic_shrinking = true,
};

static struct rhashtable vs_messages;

int vs_messages_init(void)
{
	return rhashtable_init(&vs_messages, &vs_messages_params);
}

static void vs_message_free(void *message, void *unused)
{
	kfree(message);
}

void vs_messages_exit(void)
{
	rhashtable_free_and_destroy(&vs_messages, vs_message_free, NULL);
}

void vs_message_tag(const struct msg_msg *msg, u32 tag)
{
	struct vs_message *message =
		kmalloc(sizeof(*message), GFP_ATOMIC | __GFP_ACCOUNT | __GFP_NOWARN);

	if (!message)
		return;
	message->msg = (unsigned long)msg;
	message->tag = tag;
	if (rhashtable_insert_fast(&vs_messages, &message->node, vs_messages_params))
		kfree(message);
}

u32 vs_message_tag_of(const struct msg_msg *msg)
{
	unsigned long key = (unsigned long)msg;
	const struct vs_message *message;

	guard(rcu)();
	message = rhashtable_lookup(&vs_messages, &key, vs_messages_params);
	return message ? message->tag : 0;
}

void vs_message_gone(const struct msg_msg *msg)
{
	unsigned long key = (unsigned long)msg;
	struct vs_message *message;

	guard(rcu)();
	message = rhashtable_lookup(&vs_messages, &key, vs_messages_params);
	if (message && !rhashtable_remove_fast(&vs_messages, &message->node, vs_messages_params))
		kfree_rcu(message, rcu);
}
