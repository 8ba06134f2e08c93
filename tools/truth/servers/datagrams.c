// SPDX-License-Identifier: MIT OR Apache-2.0
/* Servers of datagrams. */
#define _GNU_SOURCE
#include "../servers.h"

static void *datagrams_thread(void *fd)
{
	for (;;) {
		struct message request;
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		struct turn turn;

		must(recvfrom((long)fd, &request, sizeof(request), 0, (void *)&from, &size));
		turn = work(&request);
		must(sendto((long)fd, &request, sizeof(request), 0, (void *)&from, size));
		finish(&turn);
	}
	return NULL;
}

void datagrams(int fd)
{
	datagrams_thread((void *)(long)fd);
}

void datagrams_3(int fd)
{
	start(datagrams_thread, (void *)(long)fd);
	start(datagrams_thread, (void *)(long)fd);
	datagrams(fd);
}

/* Several datagrams are fetched by one call, then served one after the other. */
void datagrams_many(int fd)
{
	struct message requests[MANY];
	struct sockaddr_storage from[MANY];
	struct iovec parts[MANY];
	struct mmsghdr messages[MANY];

	for (;;) {
		int count;

		for (int i = 0; i < MANY; i++) {
			parts[i] = (struct iovec){ &requests[i], sizeof(requests[i]) };
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &from[i],
				.msg_namelen = sizeof(from[i]),
				.msg_iov = &parts[i],
				.msg_iovlen = 1,
			};
		}
		count = must(recvmmsg(fd, messages, MANY, MSG_WAITFORONE, NULL));
		for (int i = 0; i < count; i++) {
			struct turn turn = work(&requests[i]);

			must(sendmsg(fd, &messages[i].msg_hdr, 0));
			finish(&turn);
		}
	}
}
