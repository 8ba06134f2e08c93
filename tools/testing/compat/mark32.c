// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sets a mark as a 32-bit program does, whose system calls no cgroup/setsockopt program sees:
 *
 *	mark32 set FD MARK	setsockopt(SO_MARK) on an inherited socket
 *	mark32 send FD MARK	sends "x" by a connected one, with the mark in a control message
 *
 * Any 64-bit process can call the kernel in this way. Its arguments must lie below 4 GiB, so
 * the program must be linked statically and at a fixed address. Exit status: 0, or the errno.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SETSOCKOPT = 366, SENDMSG = 370 }; /* numbers of i386 */

static uint32_t mark;
static char payload[] = "x";

/* struct iovec, msghdr and cmsghdr of a 32-bit program */
static struct {
	uint32_t base, len;
} vector;
static struct {
	uint32_t len;
	int32_t level, type;
	uint32_t mark;
} control;
static struct {
	uint32_t name, namelen, iov, iovlen, control, controllen, flags;
} message;

static uint32_t address(const void *object)
{
	return (uint32_t)(uintptr_t)object;
}

static int call32(int number, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e)
{
	int result;

	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}

int main(int argc, char **argv)
{
	int fd, result;

	if (argc != 4)
		return 255;
	fd = atoi(argv[2]);
	mark = strtoul(argv[3], NULL, 0);
	if (!strcmp(argv[1], "set")) {
		result = call32(SETSOCKOPT, fd, SOL_SOCKET, SO_MARK, address(&mark), sizeof(mark));
	} else {
		vector.base = address(payload);
		vector.len = 1;
		control.len = sizeof(control);
		control.level = SOL_SOCKET;
		control.type = SO_MARK;
		control.mark = mark;
		message.iov = address(&vector);
		message.iovlen = 1;
		message.control = address(&control);
		message.controllen = sizeof(control);
		result = call32(SENDMSG, fd, address(&message), 0, 0, 0);
	}
	return result < 0 ? -result : 0;
}
