#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 240
"""The CPU time after a reply: the tenant's if more of the reply follows, else the server's own. A
server of service `s` with a client of `a` and one of `b`.
"""

import os
import select
import socket
import time

import cpu
import gates
import vs
from server import Server, server_jobs

import uapi

BY_SOCKET, BY_MESSAGE = [uapi.VS_REF(1)], [uapi.VS_REF(2)]
SPIN = 8 * cpu.SLOT  # seconds
NEAR = 0.4  # of a spin: the time that forks, system calls and Python take beside it


def serving(dev):
    """A server that works for its clients, and its epoll instance."""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)
    loop = select.epoll()
    for conn in server.conns:
        loop.register(conn, select.EPOLLIN)
    return server, loop


def charged(dev, server, function):
    """Runs function() and returns the charges for it: seconds of s, of a and of b."""
    ids = [server.s, *server.ids]
    before = [dev.stat(id).cpu_ns for id in ids]
    function()
    # To read a file, which makes the kernel update the caller's own figure, is not enough: a
    # context switch is needed.
    time.sleep(0.01)
    return [(dev.stat(id).cpu_ns - was) / 1e9 for id, was in zip(ids, before)]


def is_charged(dev, server, function, wanted, what):
    """Checks how many spins are charged to s, a and b."""
    cpu.near([one / SPIN for one in charged(dev, server, function)], wanted, NEAR, what)


def reply(server, n=0):
    server.conns[n].send(b"part")


@gates.case
def parts(dev):
    """A server's work between the parts of a reply is charged to the client"""
    server, loop = serving(dev)

    def streams():
        server.serve(0)
        for _ in range(3):
            cpu.spin(SPIN)
            reply(server)
        loop.poll(0.01)

    is_charged(dev, server, streams, [0, 3, 0], "three parts")


@gates.case
def own(dev):
    """A server's work after the last part of a reply is its own, whatever ends the work"""
    server, loop = serving(dev)
    server.listener.settimeout(0.01)

    def accept():
        try:
            server.listener.accept()
        except TimeoutError:
            pass

    def receive(n):
        server.peers[n].send(b"request")
        server.conns[n].recv(99)

    def placed():
        # the process is placed in another service, and back
        for id in server.ids[1], server.s:
            dev.place(os.getpid(), id)

    for what, end in (
        ("a wait for events", lambda: loop.poll(0.01)),
        ("a wait for a connection", accept),
        ("a sleep", lambda: time.sleep(0.01)),
        ("a receipt of another's", lambda: receive(1)),
        ("a receipt of the same tenant's", lambda: receive(0)),
        ("a reply to another", lambda: reply(server, 1)),
        ("an administrator", placed),
    ):

        def serves(end=end):
            server.serve_and_go_on(SPIN)
            end()
            loop.poll(0.01)

        is_charged(dev, server, serves, [2, 1, 0], what)


@gates.case
def exits(dev):
    """The work of a child after its reply is the server's own, if the child ends, or closes the
    connection by which the work came
    """
    server, _loop = serving(dev)

    def child():
        if os.fork():
            os.wait()
            return
        server.serve_and_go_on(SPIN)
        os._exit(0)

    is_charged(dev, server, child, [2, 1, 0], "an exit")

    def closes():
        server.serve_and_go_on(SPIN)
        server.conns[0].close()

    is_charged(dev, server, closes, [2, 1, 0], "a close")


@gates.case
def others(dev):
    """A reply to another client ends the work; with a rule of send it is work for its receiver,
    until it is sent
    """
    server, loop = serving(dev)

    def late():
        for n in 0, 1:
            server.serve(n)
            cpu.spin(SPIN)
        for n in 0, 1:
            reply(server, n)
            cpu.spin(SPIN)
        loop.poll(0.01)

    is_charged(dev, server, late, [2, 1, 1], "without a rule")
    server.serve(1)
    reply(server, 0)
    server.is_home("after the reply to a")
    dev.add("send", [server.s], BY_SOCKET)
    is_charged(dev, server, late, [2, 1, 1], "with a rule")
    server.serve(1)
    reply(server, 0)
    server.is_home("after the reply to a, by a rule")
    reply(server, 1)
    server.is_home("without a request")


@gates.case
def question(dev):
    """A request to another server, by a connection of its own, is part of the work whatever a rule
    of send says of it
    """
    server, _loop = serving(dev)
    dev.add("send", [server.s], BY_SOCKET)
    gates.enter(dev, vs.ROOT)
    back = gates.listener()
    gates.enter(dev, server.s)
    up = socket.create_connection(back.getsockname())
    server.serve(0)
    up.send(b"question")
    server.is_at_work(0, "after the question")


@gates.case
def datagrams(dev):
    """After the reply to a datagram, a message by the same socket can be for any client: the work
    for it is the server's own, unless a rule says otherwise
    """
    server = Server(dev, "a", "b")
    sock = gates.listener(socket.AF_INET, socket.SOCK_DGRAM)
    dev.add("recv", [server.s], BY_MESSAGE)
    peers = [gates.client(dev, id, sock, socket.SOCK_DGRAM) for id in server.ids]
    gates.enter(dev, server.s)
    peers[0].send(b"request")
    sock.recv(9)
    sock.sendto(b"reply", peers[0].getsockname())
    server.is_at_work(0, "after the reply")
    sock.sendto(b"news", peers[1].getsockname())
    server.is_home("after a datagram to another")


@gates.case
def exact(dev):
    """All CPU time is charged, to the nanosecond, while servers preempt each other"""
    cpu.exact(dev, *server_jobs(dev))


vs.main()
