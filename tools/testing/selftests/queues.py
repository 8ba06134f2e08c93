#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Messages in System V and POSIX queues: a receiver works for the tenant of each, by the rules of
`recv` and `send`.
"""

import collections
import ctypes
import errno
import os
import struct

import gates
import vs
from proxy import Apart

import uapi

BY_MESSAGE = [uapi.VS_REF(2)]
GIVES = [vs.ANY, vs.ANY, uapi.VS_REF(0)]
SIZE = 64
IPC_NOWAIT, MSG_COPY, MSG_NOERROR = 0o4000, 0o40000, 0o10000


class SystemV:
    """A System V queue."""

    def __init__(self):
        self.number = vs.libc("msgget", 0, 0o1600)
        self.memory = ctypes.create_string_buffer(8 + SIZE)

    def send(self, data):
        struct.pack_into("q", self.memory, 0, 1)
        self.memory[8 : 8 + len(data)] = data
        vs.libc("msgsnd", self.number, self.memory, ctypes.c_size_t(len(data)), 0)

    def receive(self, size=SIZE, flags=0):
        got = vs.libc(
            "msgrcv", self.number, self.memory, ctypes.c_size_t(size), ctypes.c_long(0), flags
        )
        return self.memory[8 : 8 + got]

    def remove(self):
        vs.libc("msgctl", self.number, 0, None)


class Posix:
    """A POSIX queue of ten messages."""

    count = 0

    def __init__(self):
        Posix.count += 1
        self.name = f"/vs{os.getpid()}-{self.count}".encode()
        attributes = struct.pack("8q", 0, 10, SIZE, 0, 0, 0, 0, 0)
        self.fd = vs.libc("mq_open", self.name, os.O_RDWR | os.O_CREAT, 0o600, attributes)
        self.memory = ctypes.create_string_buffer(SIZE)

    def send(self, data):
        vs.libc("mq_send", self.fd, data, ctypes.c_size_t(len(data)), 0)

    def receive(self, size=SIZE):
        got = vs.libc("mq_receive", self.fd, self.memory, ctypes.c_size_t(size), None)
        return self.memory[:got]

    def remove(self):
        vs.libc("mq_unlink", self.name)
        os.close(self.fd)


def each(function):
    """Makes a case of each kind of queue."""

    def of(kind):
        def case(dev):
            queue = kind()
            try:
                function(dev, queue)
            finally:
                try:
                    queue.remove()
                except OSError:
                    pass  # the case has removed it

        case.__name__ = f"{function.__name__}_{kind.__name__}"
        case.__doc__ = f"{vs.title(function).rstrip('.')} ({kind.__name__})"
        gates.case(case)

    for kind in SystemV, Posix:
        of(kind)


def sender(dev, id, job):
    """A child of service `id` that does the job; returns its pid."""
    pid = os.fork()
    if not pid:
        vs.dies_with_parent()
        try:
            gates.enter(dev, id)
            job()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def sends(dev, id, queue, data):
    """A child of service `id` sends this, and is gone when this returns."""
    vs.eq(os.waitpid(sender(dev, id, lambda: queue.send(data)), 0)[1], 0, "a sender")


@each
def clients(dev, queue):
    """A server works for the client of each message, which waits in the queue or is handed to it"""
    ids, srv = [dev.create(name) for name in "abc"], dev.create("srv")
    dev.add("recv", [srv], BY_MESSAGE)
    each_sends = 200

    def job(id):
        for _ in range(each_sends):
            queue.send(struct.pack("I", id))

    children = [sender(dev, id, lambda id=id: job(id)) for id in ids]
    gates.enter(dev, srv)
    found = collections.Counter()
    for _ in range(each_sends * len(ids)):
        asker = struct.unpack("I", queue.receive())[0]
        found[asker, gates.tag()] += 1
    for child in children:
        vs.eq(os.waitpid(child, 0)[1], 0, "a client")
    vs.eq(found, {(id, (srv, id)): each_sends for id in ids}, "(sender, receiver's tag): messages")


@each
def handed_on(dev, queue):
    """A worker to which a server hands requests works for their tenants, if a rule of `send` gives
    them the messages; else for the server
    """
    server = Apart(dev, "a", "b", name="s")
    dev.add("recv", [server.s], BY_MESSAGE)
    answers = os.pipe()

    def work():
        for _ in range(12):
            number = queue.receive()[0]
            os.write(answers[1], struct.pack("III", number, *gates.tag()))

    pid = sender(dev, server.s, work)
    for turn in range(12):
        n = turn % 2
        if turn == 6:
            dev.add("send", [server.s], GIVES, proto="queue")
        server.serve(n)
        queue.send(bytes([n]))
        server.is_at_work(n, "the server after it has handed on")
        said = struct.unpack("III", os.read(answers[0], 12))
        vs.eq(said, (n, server.s, server.s if turn < 6 else server.ids[n]), f"turn {turn}")
    vs.eq(os.waitpid(pid, 0)[1], 0, "the worker")


@each
def after_the_reply(dev, queue):
    """What a server sends after its reply is its own, also where a rule hands on"""
    server = Apart(dev, "a", "b", name="s")
    dev.add("recv", [server.s], BY_MESSAGE)
    dev.add("send", [server.s], GIVES, proto="queue")
    reader = dev.create("reader")
    dev.add("recv", [reader], BY_MESSAGE)
    server.serve(0)
    server.conns[0].send(b"reply")
    queue.send(b"log")
    gates.enter(dev, reader)
    queue.receive()
    vs.eq(gates.tag(), (reader, server.s), "the reader of the log")


@each
def by_protocol(dev, queue):
    """A rule that asks for a protocol binds by that alone"""
    a, srv = dev.create("a"), dev.create("srv")
    number = dev.add("recv", [srv], BY_MESSAGE, proto="tcp")
    gates.enter(dev, srv)
    sends(dev, a, queue, b"one")
    queue.receive()
    vs.eq(gates.tag(), (srv, srv), "by a rule of TCP")
    dev.delete(number)
    dev.add("recv", [srv], BY_MESSAGE, proto="queue")
    sends(dev, a, queue, b"two")
    queue.receive()
    vs.eq(gates.tag(), (srv, a), "by a rule of queues")


@each
def nobodys(dev, queue):
    """A message of nobody's, and one of a service that has gone, bind nobody, and are counted"""
    a, srv = dev.create("a"), dev.create("srv")
    dev.add("recv", [srv], BY_MESSAGE)
    sends(dev, vs.ROOT, queue, b"root's")
    sends(dev, a, queue, b"a's")
    dev.destroy(a)
    for n in range(50):
        dev.create(f"new{n}")
    gates.enter(dev, srv)
    for what in "root's", "a service's that has gone":
        queue.receive()
        vs.eq(gates.tag(), (srv, srv), what)
    vs.eq(dev.stat(srv).unattributed, 2, "unattributed")


@each
def without_room(dev, queue):
    """A receive that fails ends the work in hand, and brings none"""
    server = Apart(dev, "a", "b", name="s")
    dev.add("recv", [server.s], BY_MESSAGE)
    sends(dev, server.ids[1], queue, b"x" * SIZE)
    server.serve(0)
    try:
        queue.receive(SIZE - 1)
        vs.eq("received", "refused")
    except OSError as error:
        vs.eq(error.errno in (errno.E2BIG, errno.EMSGSIZE), True, str(error))
    server.is_home("after a receive that failed")
    vs.eq(queue.receive(), b"x" * SIZE)
    server.is_at_work(1, "the message")


@each
def removed(dev, queue):
    """A task that removes a queue with messages in it is bound to none of them, nor is the next
    queue's reader
    """
    a, srv = dev.create("a"), dev.create("srv")
    dev.add("recv", [srv], BY_MESSAGE)
    gates.enter(dev, srv)
    sends(dev, a, queue, b"one")
    sends(dev, a, queue, b"two")
    queue.remove()
    vs.eq(gates.tag(), (srv, srv), "the remover")
    again = type(queue)()
    for _ in range(8):
        sends(dev, vs.ROOT, again, b"x")
        again.receive()
        vs.eq(gates.tag(), (srv, srv), "messages where those were")
    again.remove()


@each
def taken_down(dev, queue):
    """A message from before `vsctl down` is nobody's afterwards"""
    a, srv = dev.create("a"), dev.create("srv")
    dev.add("recv", [srv], BY_MESSAGE)
    sends(dev, a, queue, b"before")
    vs.vsctl("down")
    vs.vsctl("up", "--no-sched")
    sends(dev, a, queue, b"after")
    gates.enter(dev, srv)
    for wanted in srv, a:
        queue.receive()
        vs.eq(gates.tag(), (srv, wanted))


@gates.case
def copies(dev):
    """A look at a System V queue with MSG_COPY binds to nobody, and takes nothing"""
    queue = SystemV()
    a, srv = dev.create("a"), dev.create("srv")
    dev.add("recv", [srv], BY_MESSAGE)
    sends(dev, a, queue, b"message")
    gates.enter(dev, srv)
    for _ in range(3):
        vs.eq(queue.receive(flags=MSG_COPY | IPC_NOWAIT), b"message", "a copy")
        vs.eq(gates.tag(), (srv, srv), "after a look")
    vs.eq(queue.receive(3, MSG_NOERROR), b"mes", "a part")
    vs.eq(gates.tag(), (srv, a), "after a receive that cuts the message")
    queue.remove()


@gates.case
def copies_of_others(dev):
    """A look with MSG_COPY binds to nobody, also where a rule gives away the messages that the task
    sends itself
    """
    queue = SystemV()
    a, z, srv = (dev.create(name) for name in ("a", "z", "srv"))
    dev.add("recv", [srv], BY_MESSAGE)
    dev.add("send", [srv], [vs.ANY, vs.ANY, z], proto="queue")
    sends(dev, a, queue, b"message")
    gates.enter(dev, srv)
    vs.eq(queue.receive(flags=MSG_COPY | IPC_NOWAIT), b"message", "a copy")
    vs.eq(gates.tag(), (srv, srv), "after a look")
    queue.remove()


vs.main()
