#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
"""Placing tasks and sockets, and tags under pressure: nothing is lost or counted twice."""

import errno
import os
import socket
import threading
import time

import gates
import vs

import uapi


@vs.test
def without_gates(dev):
    """Without gates there are no tags, and the end of a task or socket would not be seen:
    ENOTCONN
    """
    a = dev.create("a")
    with socket.socket() as sock:
        vs.refused(errno.ENOTCONN, "NO_GATES", dev.place_socket, sock, a)
        vs.eq(gates.vs_of(sock), vs.ROOT, "the socket")
    vs.refused(errno.ENOTCONN, "NO_GATES", dev.place, os.getpid(), a)
    vs.eq((dev.stat(a).tasks, dev.stat(a).sockets), (0, 0), "tasks, sockets")


@gates.case
def process(dev):
    """Placing a process places all its threads, and with VS_PLACE_THREAD one"""
    a, b = dev.create("a"), dev.create("b")
    stop, tids = threading.Event(), []
    threads = [
        threading.Thread(target=lambda: (tids.append(threading.get_native_id()), stop.wait()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    vs.until(lambda: len(tids) == 3)
    dev.place(os.getpid(), a)
    vs.eq([gates.tag(tid) for tid in [*tids, os.getpid()]], [(a, a)] * 4)
    vs.eq(dev.stat(a).tasks, 4)
    gates.enter(dev, b)
    vs.eq(
        (gates.tag(), gates.tag(tids[0]), dev.stat(a).tasks, dev.stat(b).tasks),
        ((b, b), (a, a), 3, 1),
    )
    stop.set()
    for thread in threads:
        thread.join()


@gates.case
def refusals(dev):
    """A descriptor that is no pidfd or no socket is refused, and so is an unknown service or a task
    that has exited
    """
    a = dev.create("a")
    with open("/dev/null", encoding="ascii") as null:
        for fd in (-1, 9999, null.fileno(), dev.fd):
            vs.refused(errno.EBADF, "FD", dev.call, "PLACE_TASK", pidfd=fd, id=a)
            vs.refused(errno.EBADF, "FD", dev.call, "PLACE_SOCKET", fd=fd, id=a)
    vs.refused(errno.ENOENT, "NO_SERVICE", dev.place, os.getpid(), a + 1)
    pid = os.fork()
    if not pid:
        os._exit(0)
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    vs.refused(errno.ESRCH, "NO_TASK", dev.call, "PLACE_TASK", pidfd=pidfd, id=a)
    os.close(pidfd)


@gates.case
def sockets(dev):
    """A placed socket belongs to the service; placed in root again, it belongs to no service"""
    a = dev.create("a")
    for sock in (socket.socket(), socket.socket(socket.AF_UNIX)):
        dev.place_socket(sock, a)
        vs.eq((gates.vs_of(sock), dev.stat(a).sockets), (a, 1))
        dev.place_socket(sock, vs.ROOT)
        vs.eq((gates.vs_of(sock), dev.stat(a).sockets), (vs.ROOT, 0))


@gates.case
def destroyed(dev):
    """A service with tasks or sockets is not destroyed; with an heir, these are the heir's, old
    tags included
    """
    a, b = dev.create("a"), dev.create("b")
    gates.enter(dev, a)
    sock = socket.socket()
    vs.refused(errno.EBUSY, "HAS_TASKS", dev.destroy, a)
    dev.destroy(a, move_to=b)
    vs.eq((dev.stat(b).tasks, dev.stat(b).sockets), (1, 1), "taken over")
    vs.eq(vs.in_child(gates.tag), str((b, b)), "a child")
    sock.close()
    gates.enter(dev, vs.ROOT)
    gates.gone(dev, b)


@gates.case
def storm(dev):
    """Threads work for several services in turns while they are placed and services move: all
    counts end at zero
    """
    ids = [dev.create(f"s{n}") for n in range(6)]
    server = gates.listener(kind=socket.SOCK_DGRAM)
    dev.add("recv", [vs.ANY], [uapi.VS_REF(2)], proto="udp")
    senders = [gates.client(dev, id, server, socket.SOCK_DGRAM) for id in ids]
    stop, tids = time.monotonic() + 5, []

    def work(n):
        tids.append(threading.get_native_id())
        mine = gates.listener(kind=socket.SOCK_DGRAM)
        while time.monotonic() < stop:
            for id in ids:
                gates.enter(dev, ids[n])
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                    dev.place_socket(out, id)
                    out.sendto(b"x", mine.getsockname())
                mine.recv(9)
                if n % 2:
                    os.waitpid(os.spawnv(os.P_NOWAIT, "/bin/true", ["true"]), 0)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    vs.until(lambda: len(tids) == 4)
    turn = 0
    while time.monotonic() < stop:
        dev.place(os.getpid(), ids[turn % len(ids)])
        turn += 1
    for thread in threads:
        thread.join()
    if turn < 10:
        raise AssertionError(f"only {turn} placements")
    for sender in senders:
        sender.close()
    gates.enter(dev, vs.ROOT)
    gates.gone(dev, *ids)
    # a service whose id a tag still carried could not be destroyed and made anew
    for id in ids:
        dev.destroy(id)


vs.main()
