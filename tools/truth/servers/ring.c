// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * An io_uring that accepts, receives and sends. Completions are taken in rounds; the replies to a
 * round's requests, and the receipts that follow them, are submitted at its end.
 */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "../servers.h"

#define ENTRIES 256
#define FILES	1024

static int ring;
static char *rings; /* both, in one piece of memory */
static struct io_uring_params is;
static struct io_uring_sqe *submissions;
static unsigned int submitted;
static struct message requests[FILES]; /* by descriptor */

#define at(offset) ((unsigned int *)(rings + (offset)))

static void opens(void)
{
	size_t sq, cq;

	ring = must(syscall(SYS_io_uring_setup, ENTRIES, &is));
	sq = is.sq_off.array + is.sq_entries * sizeof(unsigned int);
	cq = is.cq_off.cqes + is.cq_entries * sizeof(struct io_uring_cqe);
	rings = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		     ring, IORING_OFF_SQ_RING);
	submissions = mmap(NULL, is.sq_entries * sizeof(*submissions), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	if (!(is.features & IORING_FEAT_SINGLE_MMAP) || rings == MAP_FAILED ||
	    submissions == MAP_FAILED)
		abort();
}

/* Adds an operation; the kernel reads it when the caller enters the ring. */
static struct io_uring_sqe *add(int operation, int fd)
{
	unsigned int *tail = at(is.sq_off.tail), index = *tail & *at(is.sq_off.ring_mask);

	submissions[index] = (struct io_uring_sqe){
		.opcode = operation,
		.fd = fd,
		.user_data = (uint64_t)operation << 32 | fd,
	};
	at(is.sq_off.array)[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (++submitted > ENTRIES)
		abort();
	return &submissions[index];
}

static struct io_uring_sqe *add_message(int operation, int fd)
{
	struct io_uring_sqe *one = add(operation, fd);

	one->addr = (uintptr_t)&requests[fd];
	one->len = sizeof(requests[fd]);
	return one;
}

static void completed(int operation, int fd, int result)
{
	struct turn turn;

	if (result < 0) {
		fprintf(stderr, "operation %d: %s\n", operation, strerror(-result));
		_exit(1);
	}
	switch (operation) {
	case IORING_OP_ACCEPT:
		if (result >= FILES)
			abort();
		add_message(IORING_OP_RECV, result);
		add(IORING_OP_ACCEPT, fd);
		break;
	case IORING_OP_RECV:
		if (!result) {
			close(fd);
			break;
		}
		tell(fd);
		turn = work(&requests[fd]);
		/* the next receipt begins when the reply, from the same memory, is sent */
		add_message(IORING_OP_SEND, fd)->flags = IOSQE_IO_LINK;
		add_message(IORING_OP_RECV, fd);
		finish(&turn);
		tell(-1);
		break;
	}
}

static void serves(int listener)
{
	opens();
	add(IORING_OP_ACCEPT, listener);
	for (;;) {
		unsigned int *head = at(is.cq_off.head), count = submitted;

		submitted = 0;
		must(syscall(SYS_io_uring_enter, ring, count, 1, IORING_ENTER_GETEVENTS, NULL, 0));
		while (*head != __atomic_load_n(at(is.cq_off.tail), __ATOMIC_ACQUIRE)) {
			struct io_uring_cqe *all = (void *)(rings + is.cq_off.cqes);
			struct io_uring_cqe one = all[*head & *at(is.cq_off.ring_mask)];

			__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
			completed(one.user_data >> 32, (int)one.user_data, one.res);
		}
	}
}

void io_uring(int listener)
{
	serves(listener);
}

/* The ring receives only when the server asks for completions. */
void io_uring_deferred(int listener)
{
	is.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	serves(listener);
}
