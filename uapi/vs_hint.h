/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Virtual Services: the interface of /dev/vshint.
 *
 * A server tells by it for which of its connections the calling thread works. It
 * has no need to where the thread itself reads the request, for then the gates see
 * it; but where requests are handed to other threads through memory, or where one
 * thread runs many user-level threads in turns, only the server knows.
 *
 * Every process may open the device, and no right is needed. It is believed where
 * a rule of the gate `hint` says so for the service that the caller is at home in;
 * otherwise the calls change nothing but that work in hand ends. They are calls of
 * the thread: each thread speaks for itself, and all can share one descriptor.
 *
 * Both return 1 if the thread works for another service than its own home from
 * then on, 0 if it works for its home. The gate not attached, both return 0 and do
 * nothing. ENOTTY: another request.
 */
#ifndef _UAPI_VS_HINT_H
#define _UAPI_VS_HINT_H

#include <linux/ioctl.h>

#define VS_HINT_MAGIC 0xB6

/*
 * ioctl(hint, VS_HINT_SERVES, fd): from here on the thread serves the connection
 * that is open as fd, as if it had received a request there. Its work before is
 * done. EBADF: fd is not open; ENOTSOCK: it is no socket.
 */
#define VS_HINT_SERVES _IO(VS_HINT_MAGIC, 1)

/*
 * ioctl(hint, VS_HINT_DONE, 0): the thread has done with its work in hand, and is
 * at home. EINVAL: the argument is not 0.
 */
#define VS_HINT_DONE _IO(VS_HINT_MAGIC, 2)

#endif /* _UAPI_VS_HINT_H */
