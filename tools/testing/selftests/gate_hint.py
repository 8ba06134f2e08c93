#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
"""Gate hint: a server says which connection a thread of its works for."""

import errno
import fcntl
import os
import queue
import select
import socket
import threading
import time

import gates
import vs
from server import Server

import uapi

DEVICE = "/dev/vshint"
SERVES, DONE = 0xB601, 0xB602
BY_SOCKET = [uapi.VS_REF(1)]


class Hint:
    """The device, open as any process can open it."""

    def __init__(self):
        self.fd = os.open(DEVICE, os.O_RDONLY | os.O_CLOEXEC)

    def serves(self, sock):
        return fcntl.ioctl(self.fd, SERVES, sock.fileno())

    def done(self):
        return fcntl.ioctl(self.fd, DONE, 0)


def told(dev, **rule):
    """A server whose hints are believed, and the device."""
    server = Server(dev, "a", "b")
    dev.add("hint", [server.s], BY_SOCKET, **rule)
    return server, Hint()


@gates.case
def turns(dev):
    """A thread that serves several connections in turns works for each client as it says"""
    server, hint = told(dev)
    for _ in range(3):
        for n, conn in enumerate(server.conns):
            vs.eq(hint.serves(conn), 1, "the answer")
            server.is_at_work(n, f"turn {n}")
    vs.eq(hint.done(), 0, "the answer")
    server.is_home("done")
    found = {id: list(dev.stat(id).ends)[uapi.VS_END_HINT] for id in server.ids}
    vs.eq(found, {server.ids[0]: 3, server.ids[1]: 3}, "ends by hint")
    vs.eq(dev.stat(server.ids[0]).hits[uapi.VS_GATE_HINT] > 0, True, "counted")


@gates.case
def pool(dev):
    """A pool whose workers are handed requests through memory works for the clients, although the
    thread that reads them is not bound
    """
    server, hint = told(dev)
    jobs, seen = queue.SimpleQueue(), queue.SimpleQueue()

    def worker():
        while (conn := jobs.get()) is not None:
            conn.recv(99)
            hint.serves(conn)
            seen.put(gates.tag())
            conn.send(b"reply")
            hint.done()
            seen.put(gates.tag())

    workers = [threading.Thread(target=worker) for _ in range(3)]
    for one in workers:
        one.start()
    for turn in range(12):
        n = turn % 2
        server.peers[n].send(b"request")
        jobs.put(server.conns[n])
        vs.eq(seen.get(), (server.s, server.ids[n]), f"turn {turn}")
        vs.eq(seen.get(), (server.s, server.s), f"turn {turn}, done")
        server.is_home("the thread that hands on")
    for _ in workers:
        jobs.put(None)
    for one in workers:
        one.join()


@gates.case
def ends(dev):
    """Work that a hint began ends as all work does"""
    server, hint = told(dev)
    loop = select.epoll()
    hint.serves(server.conns[0])
    loop.poll(0.01)
    server.is_home("a wait")
    hint.serves(server.conns[0])
    server.conns[0].send(b"reply")
    time.sleep(0.01)
    server.is_home("a sleep after the reply")
    hint.serves(server.conns[0])
    server.peers[1].send(b"request")
    server.conns[1].recv(9)
    server.is_home("a receipt that no rule binds")
    hint.serves(server.conns[0])
    server.conns[0].close()
    server.is_home("a close")
    hint.serves(server.conns[1])
    vs.eq(vs.in_child(gates.tag), str((server.s, server.s)), "a child has none of it")


@gates.case
def unbound(dev):
    """A hint that no rule believes ends work, and begins none: of another server, of another
    property, of a socket of nobody's
    """
    server, hint = told(dev, proto="tcp")
    dev.add("recv", [server.s], BY_SOCKET)
    one, _other = socket.socketpair()
    server.serve(0)
    vs.eq(hint.serves(one), 0, "a unix socket")
    server.is_home("a unix socket")
    gates.enter(dev, server.ids[1])
    vs.eq(hint.serves(server.conns[0]), 0, "a server without a rule")
    vs.eq(gates.tag(), (server.ids[1], server.ids[1]), "a server without a rule")
    gates.enter(dev, vs.ROOT)
    vs.eq(hint.serves(server.conns[0]), 0, "of root's")
    vs.eq(gates.tag(), (vs.ROOT, vs.ROOT), "of root's")


@gates.case
def unprivileged(dev):
    """Every process may say so, and name only what it has: of other descriptors it gets an error,
    and changes nothing
    """
    server, _hint = told(dev)
    os.setegid(65534)
    os.seteuid(65534)
    hint = Hint()
    answer = hint.serves(server.conns[0])
    os.seteuid(0)
    vs.eq(answer, 1, "as nobody")
    server.is_at_work(0, "as nobody")
    pipe = os.pipe()
    for request, argument, wanted in (
        (SERVES, pipe[0], errno.ENOTSOCK),
        (SERVES, 999, errno.EBADF),
        (SERVES, 2**64 - 1, errno.EBADF),
        (SERVES, 1 << 31, errno.EBADF),
        (SERVES, 1 << 32 | server.conns[1].fileno(), errno.EBADF),
        (DONE, 1, errno.EINVAL),
        (0xB603, 0, errno.ENOTTY),
    ):
        what = f"request {request:x} of {argument}"
        vs.eq(vs.ioctl(hint.fd, request, argument), wanted, what)
        server.is_at_work(0, f"after {what}")


@vs.gated
def detached(dev):
    """Without the gate a hint is no error, and changes nothing; `down` takes the gate off"""

    def case():
        server, hint = told(dev)
        dev.add("recv", [server.s], BY_SOCKET)
        server.serve(0)
        dev.call("GATE", gate=uapi.VS_GATE_HINT, on=0)
        vs.eq(hint.serves(server.conns[1]), 0, "off")
        server.is_at_work(0, "off")
        dev.call("GATE", gate=uapi.VS_GATE_HINT, on=1)
        vs.eq(hint.serves(server.conns[1]), 1, "on")

    vs.in_child(case)
    vs.eq("hint" in vs.vsctl("status"), True, "status names it")
    vs.vsctl("down")
    vs.eq(bool(dev.info().features & uapi.VS_FEATURE_HINT), False, "after down")


vs.main()
