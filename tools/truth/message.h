/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Shared by servers and clients of `make truth`: the form of a request, and addresses of servers.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A request, and its reply. The first byte tells the server the tenant: 'a', 'b' or 'c'. */
struct message {
	char tenant;
	char text[15];
};

#define must(call)                                                                     \
	({                                                                             \
		__typeof__(call) result_ = (call);                                     \
		if (result_ < 0) {                                                     \
			fprintf(stderr, "%s:%d: %m: %s\n", __FILE__, __LINE__, #call); \
			_exit(1);                                                      \
		}                                                                      \
		result_;                                                               \
	})

/* Returns the time of a clock in nanoseconds. */
static inline long now(clockid_t clock)
{
	struct timespec time;

	must(clock_gettime(clock, &time));
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

struct place {
	int type; /* SOCK_STREAM or SOCK_DGRAM */
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in inet;
		struct sockaddr_un local;
	};
};

/* Reads tcp:HOST:PORT, udp:HOST:PORT, stream:PATH or dgram:PATH. */
static inline struct place place_of(const char *text)
{
	const char *rest = strchr(text, ':') + 1, *port = strrchr(text, ':') + 1;
	struct place place = {
		.type = *text == 'u' || *text == 'd' ? SOCK_DGRAM : SOCK_STREAM,
	};

	if (*text == 't' || *text == 'u') {
		char host[64] = "";

		strncpy(host, rest, port - rest - 1);
		place.size = sizeof(place.inet);
		place.inet.sin_family = AF_INET;
		place.inet.sin_port = htons(atoi(port));
		inet_pton(AF_INET, host, &place.inet.sin_addr);
	} else {
		place.size = sizeof(place.local);
		place.local.sun_family = AF_UNIX;
		strncpy(place.local.sun_path, rest, sizeof(place.local.sun_path) - 1);
	}
	return place;
}

#endif
