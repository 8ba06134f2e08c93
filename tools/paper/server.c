// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The single-threaded server of Figure 12:  server PORT SEED ACCOUNT
 *
 * It accepts a connection, reads the one request that comes by it, is busy for 0 to 10 ms of CPU
 * time, uniform at random by SEED, tenant and number of the request, sends the reply and closes the
 * connection. It knows nothing of VS.
 *
 * The file ACCOUNT says for whom it has worked, for others to map: all CPU time from before an
 * accept to before the next one is that of the tenant whose connection the accept has returned.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "work.h"

#define BUSY_NS 10000000

/*
 * Two states, of which `valid` says the one that holds: so another process, which this one cannot
 * see, never finds a state half written. tools/paper/src/account.rs reads it.
 */
static struct account {
	uint64_t valid; /* 0 or 1 */
	struct state {
		int64_t spent[2]; /* CPU ns for a and for b, of the requests that are done */
		int64_t since;	  /* CPU ns of the process when the present round began */
		int64_t now; /* the tenant of the present round: 0 or 1, or -1 before the accept */
	} state[2];
} *account;

static void becomes(struct state state)
{
	uint64_t other = !account->valid;

	account->state[other] = state;
	__atomic_store_n(&account->valid, other, __ATOMIC_SEQ_CST);
}

static void busy(int64_t ns)
{
	int64_t until = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	do
		for (int i = 0; i < 2000; i++)
			asm volatile("");
	while (now(CLOCK_THREAD_CPUTIME_ID) < until);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct state state = { .now = -1 };
	uint64_t seed;
	int listener, file, on = 1;

	if (argc != 4)
		errx(2, "server PORT SEED ACCOUNT");
	address.sin_port = htons(atoi(argv[1]));
	seed = strtoull(argv[2], NULL, 10);
	file = must(open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0644));
	must(ftruncate(file, sizeof(*account)));
	account = mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (account == MAP_FAILED)
		err(1, "%s", argv[3]);
	becomes(state);
	listener = must(socket(AF_INET, SOCK_STREAM, 0));
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	must(listen(listener, 1024)); /* room for all clients: no SYN is dropped */
	for (;;) {
		int connection = must(accept(listener, NULL, NULL));
		struct request request;
		int64_t after;

		if (recv(connection, &request, sizeof(request), MSG_WAITALL) == sizeof(request)) {
			state.now = request.tenant == 'b';
			becomes(state);
			busy(drawn(seed, request.tenant, request.number) % BUSY_NS);
			send(connection, &request, sizeof(request), MSG_NOSIGNAL);
		}
		must(close(connection));
		after = now(CLOCK_THREAD_CPUTIME_ID);
		if (state.now >= 0)
			state.spent[state.now] += after - state.since;
		state.since = after;
		state.now = -1;
		becomes(state);
	}
}
