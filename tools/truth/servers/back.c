// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Pools whose workers do not reply: a loop hands requests over, and finishes those that come back,
 * by a pipe or by an eventfd beside a queue, in the same rounds as new requests.
 *
 * The queues are in shared memory, so the workers can be processes.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include "../servers.h"

struct job {
	struct item item;
	struct turn turn;
};

static struct queue {
	pthread_mutex_t lock;
	struct job jobs[MANY]; /* more than the clients have connections */
	unsigned int first, last;
} *todo, *done;

static sem_t *filled; /* how many are to do */
static int back[2];   /* the pipe, or the eventfd twice */

static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static struct queue *queue(void)
{
	struct queue *queue = shared(sizeof(*queue));
	pthread_mutexattr_t how;

	pthread_mutexattr_init(&how);
	pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&queue->lock, &how);
	return queue;
}

static void put(struct queue *queue, const struct job *job)
{
	pthread_mutex_lock(&queue->lock);
	queue->jobs[queue->last++ % MANY] = *job;
	pthread_mutex_unlock(&queue->lock);
}

static struct job get(struct queue *queue)
{
	struct job job;

	pthread_mutex_lock(&queue->lock);
	job = queue->jobs[queue->first++ % MANY];
	pthread_mutex_unlock(&queue->lock);
	return job;
}

/* Does the middle half of a job. */
static struct job done_by_worker(void)
{
	struct job job;

	must(sem_wait(filled));
	job = get(todo);
	tell(job.item.fd);
	again(&job.turn);
	look(&job.turn, "in the worker");
	burn(burnt[job.turn.tenant] / 2);
	look(&job.turn, "at the worker's end");
	leave(&job.turn);
	tell(-1);
	return job;
}

static void *pipe_worker(void *unused)
{
	for (;;) {
		struct job job = done_by_worker();

		must(write(back[1], &job, sizeof(job)));
	}
	return unused;
}

static void *event_worker(void *unused)
{
	const uint64_t one = 1;

	for (;;) {
		struct job job = done_by_worker();

		put(done, &job);
		must(write(back[1], &one, sizeof(one)));
	}
	return unused;
}

static void reply(struct job *job)
{
	tell(job->item.fd);
	again(&job->turn);
	look(&job->turn, "when it came back");
	burn(burnt[job->turn.tenant] / 4);
	look(&job->turn, "before the reply");
	must(send(job->item.fd, &job->item.request, sizeof(job->item.request), MSG_NOSIGNAL));
	finish(&job->turn);
	tell(-1);
}

static bool hand_over(int fd)
{
	struct job job = { .item.fd = fd };
	struct turn rest; /* once it is handed over, a worker has it */

	if (!take(fd, &job.item.request, 1))
		return false;
	tell(fd);
	job.turn = begin(&job.item.request);
	burn(burnt[job.turn.tenant] / 4);
	look(&job.turn, "before the hand-off");
	leave(&job.turn);
	rest = (struct turn){ .tenant = job.turn.tenant };
	again(&rest);
	put(todo, &job);
	must(sem_post(filled));
	finish_part(&rest);
	tell(-1);
	return true;
}

static bool pipe_serves(int fd)
{
	struct job jobs[THREADS];

	if (fd != back[0])
		return hand_over(fd);
	/* each was written by one call, so the pipe has whole ones */
	for (size_t i = 0, size = must(read(fd, jobs, sizeof(jobs))); i < size / sizeof(*jobs); i++)
		reply(&jobs[i]);
	return true;
}

static bool event_serves(int fd)
{
	uint64_t count;

	if (fd != back[0])
		return hand_over(fd);
	must(read(fd, &count, sizeof(count)));
	while (count--) {
		struct job job = get(done);

		reply(&job);
	}
	return true;
}

/* Requests are handed over and come back, and a timer goes off between them. */
static int timer;

static bool event_or_timer_serves(int fd)
{
	uint64_t count;

	if (fd != timer)
		return event_serves(fd);
	must(read(timer, &count, sizeof(count)));
	own("own work at a timer");
	return true;
}

static void prepare(void)
{
	todo = queue();
	done = queue();
	filled = shared(sizeof(*filled));
	must(sem_init(filled, 1, 0));
}

void back_pipe(int listener)
{
	prepare();
	must(pipe(back));
	for (int i = 0; i < THREADS; i++)
		start(pipe_worker, NULL);
	watch(back[0]);
	loop(listener, MANY, pipe_serves, NULL, NULL);
}

static void by_event(int listener, bool (*serves)(int fd))
{
	prepare();
	back[0] = back[1] = must(eventfd(0, 0));
	for (int i = 0; i < THREADS; i++)
		start(event_worker, NULL);
	watch(back[0]);
	loop(listener, MANY, serves, NULL, NULL);
}

void back_event(int listener)
{
	by_event(listener, event_serves);
}

void back_timer(int listener)
{
	const struct timespec often = { .tv_nsec = 2000 * US };
	struct itimerspec when = { .it_interval = often, .it_value = often };

	timer = must(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	must(timerfd_settime(timer, 0, &when, NULL));
	watch(timer);
	by_event(listener, event_or_timer_serves);
}

void back_processes(int listener)
{
	prepare();
	back[0] = back[1] = must(eventfd(0, 0));
	for (int i = 0; i < THREADS; i++)
		if (!must(fork()))
			event_worker(NULL);
	watch(back[0]);
	loop(listener, MANY, event_serves, NULL, NULL);
}
