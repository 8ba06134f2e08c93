// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A tenant's client:  client ADDRESS TENANT REQUESTS CONNECTIONS EACH DEPTH SEED
 *
 * It waits for a line on its standard input: until then it can be placed. Then it asks REQUESTS
 * times, in rounds: it sends DEPTH requests in one segment by each of some of its CONNECTIONS, and
 * then waits for the replies. A connection is closed after EACH requests, and made anew. SEED
 * determines at random how many of them a round uses, and how long the pauses are. At the end it
 * prints "done", and waits for the end of its standard input.
 */
#include "message.h"

#define ROOM	 64
#define PAUSE_US 1000

static struct place server;

static int connected(void)
{
	int fd = must(socket(server.any.sa_family, server.type, 0));

	if (server.type == SOCK_DGRAM && server.any.sa_family == AF_UNIX)
		/* the kernel chooses a name, for the reply */
		must(bind(fd, &server.any, sizeof(sa_family_t)));
	must(connect(fd, &server.any, server.size));
	return fd;
}

static void expect(int fd, struct message *wanted, int count)
{
	struct message got[ROOM];
	size_t size = count * sizeof(*got), have = 0;

	while (have < size) {
		ssize_t part = must(recv(fd, (char *)got + have, size - have, 0));

		if (!part) {
			fprintf(stderr, "the server has closed the connection\n");
			exit(1);
		}
		have += part;
	}
	if (memcmp(got, wanted, size)) {
		fprintf(stderr, "the reply is to another request\n");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	char line[8], *tenant = argv[2];
	int fds[ROOM], used[ROOM], count, each, depth, left;
	unsigned int seed;

	if (argc != 8)
		return 2;
	server = place_of(argv[1]);
	left = atoi(argv[3]);
	count = atoi(argv[4]);
	each = atoi(argv[5]);
	depth = atoi(argv[6]);
	seed = atoi(argv[7]) + *tenant;
	if (count > ROOM || depth > ROOM)
		return 2;
	for (int i = 0; i < count; i++)
		fds[i] = -1;
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	while (left) {
		int some = 1 + rand_r(&seed) % count, first = rand_r(&seed) % count;
		int asked[ROOM] = {};
		struct message request[ROOM] = {};

		for (int i = 0; i < depth; i++) {
			request[i].tenant = *tenant;
			snprintf(request[i].text, sizeof(request[i].text), "%d.%d", left, i);
		}
		for (int n = 0; n < some && left; n++) {
			int i = (first + n) % count;

			if (fds[i] < 0) {
				fds[i] = connected();
				used[i] = 0;
			}
			asked[i] = depth < left ? depth : left;
			left -= asked[i];
			must(send(fds[i], request, asked[i] * sizeof(*request), 0));
		}
		for (int i = 0; i < count; i++) {
			if (!asked[i])
				continue;
			expect(fds[i], request, asked[i]);
			used[i] += asked[i];
			if (used[i] >= each) {
				close(fds[i]);
				fds[i] = -1;
			}
		}
		usleep(rand_r(&seed) % PAUSE_US);
	}
	/* from here on a server that serves one connection at a time can serve others */
	for (int i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	puts("done");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
