/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The idioms, a family a file in servers/. Each gets the listener, or the datagram socket, and does
 * not return.
 */
#ifndef SERVERS_H
#define SERVERS_H

#include "serve.h"

/* servers/process.c */
void one(int fd);
void fork_each(int fd);
void prefork(int fd);

/* servers/threads.c */
void threads_read(int fd);
void thread_cache(int fd);

/* servers/pool.c */
void pool_futex(int fd);
void pool_pipe(int fd);
void pool_unix(int fd);
void pool_stream(int fd);
void pool_eventfd(int fd);
void pool_sysv(int fd);
void pool_mq(int fd);

/* servers/back.c */
void back_pipe(int fd);
void back_event(int fd);
void back_timer(int fd);
void back_processes(int fd);

/* servers/events.c */
void epoll_1(int fd);
void epoll_2(int fd);
void epoll_64(int fd);
void epoll_before(int fd);
void epoll_after(int fd);
void epoll_timer(int fd);
void epoll_empty(int fd);
void sleep_after(int fd);
void parts(int fd);
void in_turns(int fd);
void late(int fd);

/* servers/datagrams.c */
void datagrams(int fd);
void datagrams_3(int fd);
void datagrams_many(int fd);

/* servers/passing.c */
void passing(int fd);

/* servers/proxy.c */
void splice_proxy(int fd);

/* servers/asking.c */
void asking(int fd);
void asking_two(int fd);
void asking_two_kept(int fd);
void asking_two_messages(int fd);

/* servers/async.c */
void async_tcp(int fd);
void async_unix(int fd);
void few_tcp(int fd);
void few_unix(int fd);
void multiplexed_tcp(int fd);
void multiplexed_unix(int fd);

/* servers/ring.c */
void io_uring(int fd);
void io_uring_deferred(int fd);

#endif
