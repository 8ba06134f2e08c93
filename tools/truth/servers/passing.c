// SPDX-License-Identifier: MIT OR Apache-2.0
/* A process accepts, and passes the connection to another that reads the requests. */
#include "../servers.h"

static void passed_worker(int way)
{
	for (;;) {
		char byte, room[CMSG_SPACE(sizeof(int))];
		struct iovec part = { &byte, 1 };
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = room,
			.msg_controllen = sizeof(room),
		};
		int fd;

		if (!must(recvmsg(way, &message, 0)))
			_exit(0);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		serve_connection(fd);
	}
}

void passing(int listener)
{
	int ways[2];

	/* all workers read from one end */
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, ways));
	for (int i = 0; i < THREADS; i++)
		if (!must(fork()))
			passed_worker(ways[0]);
	for (;;) {
		int fd = take_connection(listener);
		char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {};
		struct iovec part = { &byte, 1 };
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = room,
			.msg_controllen = sizeof(room),
		};
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);

		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
		must(sendmsg(ways[1], &message, 0));
		close(fd);
	}
}
