// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Servers that know for which tenant they work:  server IDIOM ADDRESS S A B C
 *
 * S, A, B and C are the ids of the server's and the tenants' services. Each idiom is a function at
 * the end of this file. It calls begin() when it has a request in hand, which checks whether the
 * thread's tag agrees; the tag is checked again before the reply, and own() checks it during work
 * that is no request. Checking is a call of bpf(2), which makes no socket call and does not sleep.
 * Counts are in memory that all of a server's processes share, without locks: a thread that waited
 * for a lock would end its work.
 *
 * The server waits for a line on its standard input: until then it can be placed. Then it prints
 * "ready". For each further line it prints its counts as a line of JSON. At the end of its input it
 * ends with all its processes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../../uapi/vs_hint.h"
#include "message.h"

#define TENANTS	 3
#define THREADS	 4
#define EXAMPLES 8
#define MANY	 64
#define US	 1000
#define RESTART	 20 /* requests that a worker serves before it starts another in its place */

/* The CPU time of a request of each tenant, and of a stretch of the server's own. */
static const long burnt[TENANTS] = { 200 * US, 500 * US, 300 * US }, burnt_own = 100 * US;

enum verdict { RIGHT, HOME, WRONG };

static struct {
	struct {
		unsigned long served, verdict[3];
		long cpu;
	} of[TENANTS];
	struct {
		unsigned long done, wrong;
		long cpu;
	} own;
	unsigned long examples;
	struct {
		char knew; /* the tenant, or '-': none */
		char at[31];
		uint16_t home, current;
	} example[EXAMPLES];
} *all;

static uint16_t server_id, ids[TENANTS];
static int tags; /* the map */
static struct place place;

#define add(counter, amount) __atomic_add_fetch(&(counter), amount, __ATOMIC_RELAXED)

/* A task's tag, laid out as struct vs_tag of the module. */
struct tag {
	uint16_t home, current, message, served;
	uint64_t work, since, sends, open;
	uint8_t replied, sending, reserved[6];
};

/* Reads the calling thread's tag. */
static struct tag tag(void)
{
	static __thread pid_t known;
	static __thread int self;
	struct tag value = {};
	union bpf_attr lookup = {
		.map_fd = tags,
		.key = (uintptr_t)&self,
		.value = (uintptr_t)&value,
	};

	if (known != gettid()) {
		/* PIDFD_THREAD: of the thread, not its process */
		self = must(syscall(SYS_pidfd_open, gettid(), O_EXCL));
		known = gettid();
	}
	must(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &lookup, sizeof(lookup)));
	return value;
}

/*
 * Compares the tag with the caller's knowledge: it works for `tenant`, or (-1) for no tenant.
 * After a reply the kernel leaves the question open until it knows more; its answer shows in the
 * CPU time.
 */
static enum verdict judge(int tenant, const char *at)
{
	struct tag has = tag();
	unsigned long number;

	if (tenant >= 0 && has.current == ids[tenant])
		return RIGHT;
	if (has.current == server_id || (tenant < 0 && has.replied))
		return HOME;
	number = add(all->examples, 1) - 1;
	if (number < EXAMPLES) {
		all->example[number].knew = tenant < 0 ? '-' : 'a' + tenant;
		strncpy(all->example[number].at, at, sizeof(all->example[number].at) - 1);
		all->example[number].home = has.home;
		all->example[number].current = has.current;
	}
	return WRONG;
}

static void burn(long ns)
{
	long end = now(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

/* A request in hand. */
struct turn {
	int tenant;
	long begun;
	enum verdict verdict;
};

/* Says for which connection the thread works, or (-1) that it is done, if it is to give hints. */
static int hint = -1;

static void tell(int fd)
{
	if (hint >= 0)
		must(fd < 0 ? ioctl(hint, VS_HINT_DONE, 0) : ioctl(hint, VS_HINT_SERVES, fd));
}

static struct turn begin(const struct message *request)
{
	struct turn turn = {
		.tenant = request->tenant - 'a',
		.begun = now(CLOCK_THREAD_CPUTIME_ID),
	};

	turn.verdict = judge(turn.tenant, "after the receipt");
	return turn;
}

static void look(struct turn *turn, const char *at)
{
	enum verdict verdict = judge(turn->tenant, at);

	if (verdict > turn->verdict)
		turn->verdict = verdict;
}

/* The CPU time that the calling thread has counted for requests, and the tenant of the last one. */
static __thread long counted;
static __thread int last_tenant;

static void finish(struct turn *turn)
{
	long spent = now(CLOCK_THREAD_CPUTIME_ID) - turn->begun;

	counted += spent;
	last_tenant = turn->tenant;
	add(all->of[turn->tenant].cpu, spent);
	add(all->of[turn->tenant].verdict[turn->verdict], 1);
	add(all->of[turn->tenant].served, 1);
}

/* Works on a request, and checks the tag again. */
static struct turn work(const struct message *request)
{
	struct turn turn = begin(request);

	burn(burnt[turn.tenant]);
	look(&turn, "before the reply");
	return turn;
}

/* Serves a request that came by a connection. */
static void serve(int fd, const struct message *request)
{
	struct turn turn;

	tell(fd);
	turn = work(request);
	must(send(fd, request, sizeof(*request), MSG_NOSIGNAL));
	finish(&turn);
	tell(-1);
}

/* Works on something that is no tenant's request. */
static void own(const char *at)
{
	long begun = now(CLOCK_THREAD_CPUTIME_ID);
	enum verdict first = judge(-1, at), second;

	burn(burnt_own);
	second = judge(-1, at);
	add(all->own.done, 1);
	add(all->own.cpu, now(CLOCK_THREAD_CPUTIME_ID) - begun);
	if (first == WRONG || second == WRONG)
		add(all->own.wrong, 1);
}

/* Reads the whole requests that a connection has; 0: its client has closed it. */
static int take(int fd, struct message *requests, int room)
{
	ssize_t size = must(recv(fd, requests, room * sizeof(*requests), 0));

	if (size % sizeof(*requests)) {
		fprintf(stderr, "a request in pieces\n");
		_exit(1);
	}
	return size / sizeof(*requests);
}

/* Reads and serves the requests that a connection has; false: its client has closed it. */
static bool serve_some(int fd)
{
	struct message requests[MANY];
	int count = take(fd, requests, MANY);

	for (int i = 0; i < count; i++)
		serve(fd, &requests[i]);
	return count;
}

static void serve_connection(int fd)
{
	while (serve_some(fd))
		;
	close(fd);
}

static int take_connection(int listener)
{
	return must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

static void start(void *(*body)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, argument))
		abort();
}

/* A queue behind a futex, of connections or of requests that have been read from them. */
struct item {
	int fd;
	struct message request;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct item items[1024];
	unsigned int first, last, waiting;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER };

#define ITEMS (sizeof(queue.items) / sizeof(queue.items[0]))

static void push(struct item item)
{
	pthread_mutex_lock(&queue.lock);
	queue.items[queue.last++ % ITEMS] = item;
	pthread_cond_signal(&queue.filled);
	pthread_mutex_unlock(&queue.lock);
}

static struct item pop(void)
{
	struct item item;

	pthread_mutex_lock(&queue.lock);
	queue.waiting++;
	while (queue.first == queue.last)
		pthread_cond_wait(&queue.filled, &queue.lock);
	queue.waiting--;
	item = queue.items[queue.first++ % ITEMS];
	pthread_mutex_unlock(&queue.lock);
	return item;
}

/*
 * The loop of an event-driven server: `at_once` events a round at most. It calls `serves`
 * for each connection with an event (which returns false if it is closed), and `before` and
 * `after` around a round.
 */
static void loop(int listener, int at_once, bool (*serves)(int fd), void (*before)(void),
		 void (*after)(void))
{
	struct epoll_event events[MANY], event = { .events = EPOLLIN, .data.fd = listener };
	int poll = must(epoll_create1(EPOLL_CLOEXEC));

	must(epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event));
	for (;;) {
		int count = must(epoll_wait(poll, events, at_once, -1));

		if (before)
			before();
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				event.data.fd = take_connection(listener);
				must(epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event));
			} else if (!serves(fd)) {
				close(fd);
			}
		}
		if (after)
			after();
	}
}

/* == The idioms. Each gets the listener, or the datagram socket, and does not return. == */

static void one(int listener)
{
	for (;;)
		serve_connection(take_connection(listener));
}

static void fork_each(int listener)
{
	for (;;) {
		int fd = take_connection(listener);

		if (!must(fork())) {
			close(listener);
			counted = 0;
			serve_connection(fd);
			/* the process serves this tenant alone, from its beginning on */
			add(all->of[last_tenant].cpu, now(CLOCK_THREAD_CPUTIME_ID) - counted);
			_exit(0);
		}
		close(fd);
		own("the parent, after the fork");
	}
}

/*
 * A worker that has served enough starts another one during a request, and ends after that request.
 */
static void prefork_worker(int listener)
{
	int served = 0;

	for (;;) {
		int fd = take_connection(listener);
		struct message request;

		while (take(fd, &request, 1)) {
			struct turn turn = begin(&request);

			burn(burnt[turn.tenant] / 2);
			if (++served == RESTART && !must(fork())) {
				close(fd);
				own("a worker that was made at work");
				served = 0;
				goto next;
			}
			burn(burnt[turn.tenant] / 2);
			look(&turn, "before the reply");
			must(send(fd, &request, sizeof(request), MSG_NOSIGNAL));
			finish(&turn);
		}
		close(fd);
		if (served >= RESTART)
			_exit(0);
next:;
	}
}

static void prefork(int listener)
{
	for (int i = 1; i < THREADS; i++)
		if (!must(fork()))
			prefork_worker(listener);
	prefork_worker(listener);
}

static void *connections_thread(void *unused)
{
	for (;;)
		serve_connection(pop().fd);
	return unused;
}

static void threads_read(int listener)
{
	for (int i = 0; i < THREADS; i++)
		start(connections_thread, NULL);
	for (;;)
		push((struct item){ .fd = take_connection(listener) });
}

static void *cached_thread(void *fd)
{
	serve_connection((long)fd);
	return connections_thread(NULL);
}

/*
 * Starts a thread for a connection if none is idle; the thread waits for other connections
 * afterwards.
 */
static void thread_cache(int listener)
{
	for (;;) {
		long fd = take_connection(listener);

		if (__atomic_load_n(&queue.waiting, __ATOMIC_RELAXED))
			push((struct item){ .fd = fd });
		else
			start(cached_thread, (void *)fd);
	}
}

/* A pool: the loop reads requests and hands them to threads, which reply. */
static int hand[2], event;

static void *futex_worker(void *unused)
{
	for (;;) {
		struct item item = pop();

		serve(item.fd, &item.request);
	}
	return unused;
}

static void *hand_worker(void *unused)
{
	struct item item;

	for (;;) {
		must(read(hand[0], &item, sizeof(item)));
		serve(item.fd, &item.request);
	}
	return unused;
}

/* The eventfd counts the items of the queue, so no thread waits for the futex. */
static void *event_worker(void *unused)
{
	uint64_t number;

	for (;;) {
		must(read(event, &number, sizeof(number)));
		struct item item = pop();

		serve(item.fd, &item.request);
	}
	return unused;
}

static bool hand_over(int fd, void (*give)(struct item))
{
	struct item item = { .fd = fd };
	int count = take(fd, &item.request, 1);

	if (count)
		give(item);
	return count;
}

static void give_hand(struct item item)
{
	must(write(hand[1], &item, sizeof(item)));
}

static void give_event(struct item item)
{
	uint64_t number = 1;

	push(item);
	must(write(event, &number, sizeof(number)));
}

static bool to_futex(int fd)
{
	return hand_over(fd, push);
}

static bool to_hand(int fd)
{
	return hand_over(fd, give_hand);
}

static bool to_event(int fd)
{
	return hand_over(fd, give_event);
}

static void pool(int listener, void *(*worker)(void *), bool (*serves)(int))
{
	for (int i = 0; i < THREADS; i++)
		start(worker, NULL);
	loop(listener, MANY, serves, NULL, NULL);
}

static void pool_futex(int listener)
{
	pool(listener, futex_worker, to_futex);
}

static void pool_pipe(int listener)
{
	must(pipe(hand));
	pool(listener, hand_worker, to_hand);
}

static void pool_unix(int listener)
{
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, hand));
	pool(listener, hand_worker, to_hand);
}

static void pool_stream(int listener)
{
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, hand));
	pool(listener, hand_worker, to_hand);
}

static void pool_eventfd(int listener)
{
	event = must(eventfd(0, EFD_SEMAPHORE));
	pool(listener, event_worker, to_event);
}

static void epoll_1(int listener)
{
	loop(listener, 1, serve_some, NULL, NULL);
}

static void epoll_2(int listener)
{
	loop(listener, 2, serve_some, NULL, NULL);
}

static void epoll_64(int listener)
{
	loop(listener, MANY, serve_some, NULL, NULL);
}

static void after_wait(void)
{
	own("own work after the wait");
}

static void epoll_before(int listener)
{
	loop(listener, MANY, serve_some, after_wait, NULL);
}

static void after_round(void)
{
	own("own work before the wait");
}

static void epoll_after(int listener)
{
	loop(listener, MANY, serve_some, NULL, after_round);
}

/* Returns how often the calling thread has slept. */
static long sleeps(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw;
}

static bool serve_and_sleep(int fd)
{
	struct timespec pause = { .tv_nsec = 200 * US };
	bool served = serve_some(fd);
	long slept = sleeps();

	if (served) {
		nanosleep(&pause, NULL);
		/* the timer can go off before the thread is off the CPU: then it has not slept */
		if (sleeps() > slept)
			own("after the reply and a sleep");
	}
	return served;
}

static void sleep_after(int listener)
{
	loop(listener, MANY, serve_and_sleep, NULL, NULL);
}

/* Replies in parts, and works on each part after the one before it was sent. */
static bool serve_in_parts(int fd)
{
	const int parts = 4;
	struct message request;
	struct turn turn;

	if (!take(fd, &request, 1))
		return false;
	turn = begin(&request);
	for (int i = 0; i < parts; i++) {
		burn(burnt[turn.tenant] / parts);
		look(&turn, i ? "between the parts" : "before the reply");
		must(send(fd, (char *)&request + i * sizeof(request) / parts,
			  sizeof(request) / parts, MSG_NOSIGNAL));
	}
	finish(&turn);
	return true;
}

static void parts(int listener)
{
	loop(listener, MANY, serve_in_parts, NULL, after_round);
}

/* The requests of a round are all read first, then worked on in turns, then answered. */
static struct item slices[MANY];
static int nr_slices;

static bool keep(int fd)
{
	struct item item = { .fd = fd };
	int count = take(fd, &item.request, 1);

	if (count)
		slices[nr_slices++] = item;
	return count;
}

static void work_in_turns(void)
{
	struct turn turns[MANY];
	long used[MANY] = {}, from;

	for (int half = 0; half < 2; half++)
		for (int i = 0; i < nr_slices; i++) {
			from = now(CLOCK_THREAD_CPUTIME_ID);
			tell(slices[i].fd);
			if (half)
				look(&turns[i], "in turns");
			else
				turns[i] = begin(&slices[i].request);
			burn(burnt[turns[i].tenant] / 2);
			used[i] += now(CLOCK_THREAD_CPUTIME_ID) - from;
		}
	for (int i = 0; i < nr_slices; i++) {
		tell(slices[i].fd);
		turns[i].begun = now(CLOCK_THREAD_CPUTIME_ID) - used[i];
		must(send(slices[i].fd, &slices[i].request, sizeof(struct message), MSG_NOSIGNAL));
		finish(&turns[i]);
	}
	nr_slices = 0;
	tell(-1);
}

static void in_turns(int listener)
{
	loop(listener, MANY, keep, NULL, work_in_turns);
}

/* The requests of a round are worked on as they are read, and answered at its end. */
static bool work_now(int fd)
{
	struct item item = { .fd = fd };
	struct turn turn;
	int count = take(fd, &item.request, 1);

	if (count) {
		turn = work(&item.request);
		add(all->of[turn.tenant].cpu, now(CLOCK_THREAD_CPUTIME_ID) - turn.begun);
		add(all->of[turn.tenant].verdict[turn.verdict], 1);
		slices[nr_slices++] = item;
	}
	return count;
}

static void answer_late(void)
{
	for (int i = 0; i < nr_slices; i++) {
		int tenant = slices[i].request.tenant - 'a';
		long begun = now(CLOCK_THREAD_CPUTIME_ID);

		must(send(slices[i].fd, &slices[i].request, sizeof(struct message), MSG_NOSIGNAL));
		add(all->of[tenant].cpu, now(CLOCK_THREAD_CPUTIME_ID) - begun);
		add(all->of[tenant].served, 1);
	}
	nr_slices = 0;
	own("own work after the late replies");
}

static void late(int listener)
{
	loop(listener, MANY, work_now, NULL, answer_late);
}

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

static void datagrams(int fd)
{
	datagrams_thread((void *)(long)fd);
}

static void datagrams_3(int fd)
{
	start(datagrams_thread, (void *)(long)fd);
	start(datagrams_thread, (void *)(long)fd);
	datagrams(fd);
}

/* Several datagrams are fetched by one call, then served one after the other. */
static void datagrams_many(int fd)
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

/* A process accepts, and passes the connection to another that reads the requests. */
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

static void passing(int listener)
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

/*
 * A proxy: it reads the head of a request, splices the rest on to a server behind it, and the
 * answer back to the client.
 */
#define HEAD 4

static int behind, spliced[2];

static void *echo(void *fd)
{
	struct message message;

	while (must(recv((long)fd, &message, sizeof(message), MSG_WAITALL)))
		must(send((long)fd, &message, sizeof(message), MSG_NOSIGNAL));
	return NULL;
}

static void splice_all(int from, int to, size_t size)
{
	while (size)
		size -= must(splice(from, NULL, to, NULL, size, 0));
}

static bool proxy(int fd)
{
	struct message message;
	struct turn turn;

	if (!must(recv(fd, &message, HEAD, MSG_WAITALL)))
		return false;
	turn = begin(&message);
	burn(burnt[turn.tenant] / 2);
	splice_all(fd, spliced[1], sizeof(message) - HEAD);
	look(&turn, "after the splice");
	burn(burnt[turn.tenant] / 2);
	must(send(behind, &message, HEAD, MSG_MORE));
	splice_all(spliced[0], behind, sizeof(message) - HEAD);
	splice_all(behind, spliced[1], sizeof(message));
	look(&turn, "before the reply");
	splice_all(spliced[0], fd, sizeof(message));
	finish(&turn);
	return true;
}

/* The server behind another server. */
static struct sockaddr_in address_behind = { .sin_family = AF_INET };

static int listening_behind(void)
{
	socklen_t size = sizeof(address_behind);
	int fd = must(socket(AF_INET, SOCK_STREAM, 0));

	address_behind.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(fd, (void *)&address_behind, size));
	must(listen(fd, MANY));
	must(getsockname(fd, (void *)&address_behind, &size));
	return fd;
}

static int connected_behind(void)
{
	int fd = must(socket(AF_INET, SOCK_STREAM, 0));

	must(connect(fd, (void *)&address_behind, sizeof(address_behind)));
	return fd;
}

static void splice_proxy(int listener)
{
	int other = listening_behind();

	behind = connected_behind();
	start(echo, (void *)(long)take_connection(other));
	must(pipe(spliced));
	loop(listener, MANY, proxy, NULL, NULL);
}

/*
 * A server that asks another server for each request, by a connection of its own. The answer
 * has the verdict of the other server: the request counts as right if both are right.
 */
static void answer(int listener)
{
	for (;;) {
		int fd = take_connection(listener);
		struct message message;

		while (take(fd, &message, 1)) {
			struct turn turn = work(&message);

			message.text[0] = turn.verdict;
			must(send(fd, &message, sizeof(message), MSG_NOSIGNAL));
			add(all->of[turn.tenant].cpu, now(CLOCK_THREAD_CPUTIME_ID) - turn.begun);
		}
		close(fd);
	}
}

static bool ask_behind(int fd)
{
	struct message request, reply;
	struct turn turn;
	int other;

	if (!take(fd, &request, 1))
		return false;
	turn = work(&request);
	other = connected_behind();
	must(send(other, &request, sizeof(request), 0));
	must(recv(other, &reply, sizeof(reply), MSG_WAITALL));
	close(other);
	if (reply.text[0] > (int)turn.verdict)
		turn.verdict = reply.text[0];
	look(&turn, "after the other server's answer");
	must(send(fd, &request, sizeof(request), MSG_NOSIGNAL));
	finish(&turn);
	return true;
}

static void asking(int listener)
{
	int other = listening_behind();

	if (!must(fork()))
		answer(other);
	loop(listener, MANY, ask_behind, NULL, NULL);
}

static const struct {
	const char *name;
	void (*body)(int fd);
} idioms[] = {
	{ "one", one },
	{ "fork", fork_each },
	{ "prefork", prefork },
	{ "threads-read", threads_read },
	{ "pool-futex", pool_futex },
	{ "pool-pipe", pool_pipe },
	{ "pool-eventfd", pool_eventfd },
	{ "pool-unix", pool_unix },
	{ "pool-stream", pool_stream },
	{ "thread-cache", thread_cache },
	{ "epoll-1", epoll_1 },
	{ "epoll-2", epoll_2 },
	{ "epoll-64", epoll_64 },
	{ "epoll-before", epoll_before },
	{ "epoll-after", epoll_after },
	{ "sleep-after", sleep_after },
	{ "parts", parts },
	{ "late", late },
	{ "in-turns", in_turns },
	{ "datagrams", datagrams },
	{ "datagrams-3", datagrams_3 },
	{ "recvmmsg", datagrams_many },
	{ "passing", passing },
	{ "splice", splice_proxy },
	{ "asking", asking },
};

static int listening(void)
{
	int fd = must(socket(place.any.sa_family, place.type | SOCK_CLOEXEC, 0)), on = 1;

	if (place.any.sa_family == AF_UNIX)
		unlink(place.local.sun_path);
	else
		must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	must(bind(fd, &place.any, place.size));
	if (place.type == SOCK_STREAM)
		must(listen(fd, 128));
	return fd;
}

static void report(void)
{
	unsigned long served = 0, verdict[3] = {}, count = all->examples;

	printf("{\"cpu\": [%ld, %ld, %ld], ", all->of[0].cpu, all->of[1].cpu, all->of[2].cpu);
	for (int i = 0; i < TENANTS; i++) {
		served += all->of[i].served;
		for (int j = 0; j < 3; j++)
			verdict[j] += all->of[i].verdict[j];
	}
	printf("\"served\": %lu, \"right\": %lu, \"home\": %lu, \"wrong\": %lu, ", served,
	       verdict[RIGHT], verdict[HOME], verdict[WRONG]);
	printf("\"own\": %lu, \"own_cpu\": %ld, \"own_wrong\": %lu, \"examples\": [", all->own.done,
	       all->own.cpu, all->own.wrong);
	for (unsigned long i = 0; i < count && i < EXAMPLES; i++)
		printf("%s{\"knew\": \"%c\", \"at\": \"%s\", \"home\": %u, \"current\": %u}",
		       i ? ", " : "", all->example[i].knew, all->example[i].at,
		       all->example[i].home, all->example[i].current);
	puts("]}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const char path[] = "/sys/fs/bpf/vs/vs_tags";
	union bpf_attr pinned = { .pathname = (uintptr_t)path, .file_flags = BPF_F_RDONLY };
	void (*body)(int fd) = NULL;
	char line[8];
	int fd;

	for (size_t i = 0; argc == 7 && i < sizeof(idioms) / sizeof(idioms[0]); i++)
		if (!strcmp(idioms[i].name, argv[1]))
			body = idioms[i].body;
	if (!body)
		return 2;
	if (getenv("HINTS"))
		hint = must(open("/dev/vshint", O_RDONLY | O_CLOEXEC));
	place = place_of(argv[2]);
	server_id = atoi(argv[3]);
	for (int i = 0; i < TENANTS; i++)
		ids[i] = atoi(argv[4 + i]);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return 1;
	tags = must(syscall(SYS_bpf, BPF_OBJ_GET, &pinned, sizeof(pinned)));
	/* the server's processes end with it and leave no zombies, which would count as tasks */
	must(setpgid(0, 0));
	must(prctl(PR_SET_CHILD_SUBREAPER, 1));
	signal(SIGCHLD, SIG_IGN);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	fd = listening();
	if (!must(fork()))
		body(fd);
	close(fd);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		report();
	kill(0, SIGKILL);
	return 0;
}
