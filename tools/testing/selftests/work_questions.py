#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""Questions to other servers: what comes by a socket that the server opened as a client belongs to
the work in hand only if that work has asked.
"""

import errno
import fcntl
import os
import pathlib
import select
import socket
import struct
import termios
import threading

import gates
import vs
from server import Server

import uapi

INET, UNIX = socket.AF_INET, socket.AF_UNIX
BY_SOCKET = [uapi.VS_REF(1)]
SERVES = 0xB601
ROUNDS = 5


class Other:
    """Another server, in no service, as a thread that answers each question with its words. Its
    socket has an address, so that it is a server's.
    """

    def __init__(self, kind="tcp"):
        self.kind = kind
        family = UNIX if kind.startswith("unix") else INET
        self.type = socket.SOCK_DGRAM if kind in ("udp", "unix-dgram") else socket.SOCK_STREAM
        self.family = family
        self.listener = socket.socket(family, self.type)
        self.listener.bind("" if family == UNIX else ("127.0.0.1", 0))
        if self.type == socket.SOCK_STREAM:
            self.listener.listen()

    def connection(self):
        """A connection of the caller's, and the other end."""
        own = socket.socket(self.family, self.type)
        if self.kind == "unix-dgram":
            own.bind("")  # else it cannot be answered
        own.connect(self.listener.getsockname())
        ends = []
        if self.type == socket.SOCK_STREAM:
            elsewhere(lambda: ends.append(self.listener.accept()[0]))
            return own, ends[0]
        return own, _Datagrams(self.listener)


class _Datagrams:
    """The answering end of a datagram socket."""

    def __init__(self, sock):
        self.sock, self.peer = sock, None

    def recv(self, size):
        words, self.peer = self.sock.recvfrom(size)
        return words

    def send(self, words):
        self.sock.sendto(words, self.peer)


def proxy(dev, *names, rules=True):
    """A server that is bound by what it receives."""
    server = Server(dev, *names)
    if rules:
        dev.add("recv", [server.s], BY_SOCKET)
    return server


def elsewhere(action):
    """Runs an action of the other server's in a thread of its own: the calling thread receives
    nothing meanwhile. The thread is at home where the server is, and receives as it would.
    """
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def answers(end, words=b"answer"):
    def action():
        end.recv(99)
        end.send(words)

    elsewhere(action)


@gates.case
def belongs(dev):
    """The answer to a question of the work in hand ends nothing, by whatever protocol"""
    server = proxy(dev, "a", "b")
    for kind in ("tcp", "udp", "unix-stream"):
        own, end = Other(kind).connection()
        for turn in range(ROUNDS):
            n = turn % 2
            server.serve(n)
            own.send(b"question")
            answers(end)
            vs.eq(own.recv(99), b"answer", kind)
            server.is_at_work(n, f"{kind}, turn {turn}")
            server.conns[n].send(b"reply")


@gates.case
def in_parts(dev):
    """An answer that is received in parts, or waited for, belongs to the work in all its parts"""
    server = proxy(dev, "a")
    own, end = Other().connection()
    server.serve(0)
    own.send(b"question")
    answers(end, b"x" * 3000)
    for part in range(3):
        own.recv(1000)
        server.is_at_work(0, f"part {part}")
    own.send(b"another")
    late = threading.Timer(0.05, lambda: (end.recv(99), end.send(b"late")))
    late.start()
    own.recv(99)
    server.is_at_work(0, "waited for")
    late.join()


@gates.case
def several_servers(dev):
    """A task that asks several servers before it reads what they answer works on for its tenant"""
    server = proxy(dev, "a")
    pairs = [Other().connection() for _ in range(6)]
    server.serve(0)
    for own, _ in pairs:
        own.send(b"question")
    for n, (own, end) in enumerate(reversed(pairs)):
        answers(end)
        own.recv(99)
        server.is_at_work(0, f"answer {n}")


@gates.case
def greeting(dev):
    """The first words of a server to which the task connects in the course of its work belong to
    the work, although the task has sent nothing
    """
    server = proxy(dev, "a", "b")
    server.serve(0)
    own, end = Other().connection()
    elsewhere(lambda: end.send(b"welcome"))
    own.recv(99)
    server.is_at_work(0, "the greeting")
    # and not to the next one's
    elsewhere(lambda: end.send(b"news"))
    server.serve(1)
    own.recv(99)
    server.is_home("the next one's")


@gates.case
def anothers(dev):
    """An event loop that asks by kept connections: an answer for one tenant that it takes after the
    next tenant's request is not the next tenant's
    """
    server = proxy(dev, "a", "b")
    pairs = [Other().connection() for _ in range(2)]
    for turn in range(ROUNDS):
        for n, (own, _) in enumerate(pairs):
            server.serve(n)
            own.send(b"question")
        # no reply and no wait: b is in hand
        answers(pairs[0][1])
        pairs[0][0].recv(99)
        server.is_home(f"turn {turn}: a's answer")
        server.serve(0)
        answers(pairs[1][1])
        pairs[1][0].recv(99)
        server.is_home(f"turn {turn}: b's answer")


@gates.case
def by_rule(dev):
    """With a rule that gives a kept connection to the tenant for whom it is used, the task works
    for the tenant of each answer
    """
    server = proxy(dev, "a", "b")
    other = Other()
    pairs = [other.connection() for _ in range(2)]
    port = other.listener.getsockname()[1]
    dev.add("send", [server.s], [vs.ANY, uapi.VS_REF(0)], peer_port=port)
    for turn in range(ROUNDS):
        for n, (own, _) in enumerate(pairs):
            n ^= turn % 2
            server.serve(n)
            own.send(b"question")
            vs.eq(gates.vs_of(own), server.ids[n], "the connection")
        for n, (own, end) in enumerate(pairs):
            n ^= turn % 2
            answers(end)
            own.recv(99)
            server.is_at_work(n, f"turn {turn}: answer {n}")


@gates.case
def multiplexed(dev):
    """Where questions of several tenants are open on one connection, no answer is charged to one of
    them, now or later
    """
    server = proxy(dev, "a", "b")
    own, end = Other().connection()
    for n in (0, 1):
        server.serve(n)
        own.send(b"question %d" % n)
    for turn in range(ROUNDS):
        server.is_at_work(turn % 2 ^ 1, "before the answer")
        answers(end)
        own.recv(99)
        server.is_home(f"answer {turn}")
        server.serve(turn % 2)
        own.send(b"question")


@gates.case
def connects_again(dev):
    """To connect a socket that is connected already fails, and asks nothing"""
    server = proxy(dev, "a", "b")
    other = Other()
    own, end = other.connection()
    server.serve(0)
    own.send(b"question")
    server.serve(1)
    vs.eq(own.connect_ex(other.listener.getsockname()), errno.EISCONN, "connect()")
    answers(end)
    own.recv(99)
    server.is_home("a's answer")


@gates.case
def homes_own(dev):
    """What the server has asked for itself, and what it has not asked for, is its own"""
    server = proxy(dev, "a")
    own, end = Other().connection()
    elsewhere(lambda: end.send(b"news"))
    server.serve(0)
    own.recv(99)
    server.is_home("not asked for")
    gates.enter(dev, server.s)
    own.send(b"question")
    answers(end)
    server.serve(0)
    own.recv(99)
    server.is_home("asked at home")
    # both are open
    own.send(b"at home")
    server.serve(0)
    own.send(b"question")
    answers(end)
    own.recv(99)
    server.is_home("asked at home and at work")


@gates.case
def accepted(dev):
    """So it is where connections alone bring work, by a rule of `accept`"""
    server = proxy(dev, "a", rules=False)
    dev.add("accept", [server.s], BY_SOCKET)
    for answered in (True, False):
        own, end = Other().connection()
        own.send(b"at home")
        if answered:
            answers(end)
            own.recv(99)
        peer = gates.client(dev, server.ids[0], server.listener)
        gates.enter(dev, server.s)
        conn = server.listener.accept()[0]
        server.is_at_work(0, "accepted")
        own.send(b"question")
        answers(end)
        own.recv(99)
        if answered:
            server.is_at_work(0, "the answer")
        else:
            server.is_home("asked at home and at work")
        peer.close()
        conn.close()


@gates.case
def after_reply(dev):
    """What the task asks after its reply is not the work's: it cannot be told whose it is"""
    server = proxy(dev, "a")
    own, end = Other().connection()
    server.serve(0)
    server.conns[0].send(b"reply")
    own.send(b"question")
    answers(end)
    server.serve(0)
    own.recv(99)
    server.is_home("the next request is in hand")


@gates.case
def handed_on(dev):
    """What rules hand on of a task's work is its tenant's until the reply, and then its own:
    sockets, connections, children, and by whom another server is asked
    """
    server = proxy(dev, "a", "b")
    other = Other()
    kept, _ = other.connection()
    dev.add("socket", [server.s], [vs.ANY, uapi.VS_REF(0)])
    dev.add("connect", [server.s], [vs.ANY, uapi.VS_REF(0)])
    dev.add("socketpair", [server.s], [vs.ANY, uapi.VS_REF(0), uapi.VS_REF(0)])
    port = other.listener.getsockname()[1]
    dev.add("send", [server.s], [vs.ANY, uapi.VS_REF(0)], peer_port=port)
    dev.add("fork", [server.s], [vs.ANY, uapi.VS_REF(0)])

    def made():
        """As whose the task makes something of each kind."""
        new = socket.socket()
        before = gates.vs_of(new)
        new.connect(other.listener.getsockname())
        pair = socket.socketpair()
        kept.send(b"question")
        reader, writer = os.pipe()
        if not os.fork():
            os.write(writer, b"%d" % gates.tag()[0])
            os._exit(0)
        select.select([reader], [], [], 0)
        # a read would end the work
        vs.until(lambda: struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0])
        made = before, *map(gates.vs_of, (new, *pair, kept))
        return made, reader

    for n in (0, 1):
        server.serve(n)
        found, reader = made()
        vs.eq(set(found), {server.ids[n]}, "in the course of the work")
        vs.eq(int(os.read(reader, 9)), server.ids[n], "the child")
        server.serve(n)
        server.conns[n].send(b"part")
        found, reader = made()
        vs.eq(set(found), {server.s}, "after the reply")
        vs.eq(int(os.read(reader, 9)), server.s, "the child, after the reply")
        os.wait()
        os.wait()


@gates.case
def next_work(dev):
    """An answer to a question of an earlier request is not the next one's, even of the same client,
    if the task has been home meanwhile
    """
    server = proxy(dev, "a")
    own, end = Other().connection()
    server.serve(0)
    own.send(b"question")
    select.epoll().poll(0.01)
    server.is_home("waits")
    answers(end)
    server.serve(0)
    own.recv(99)
    server.is_home("an earlier question's")


@gates.case
def another_thread(dev):
    """A thread does not take the answer to another thread's question for its own, whichever tenants
    they work for
    """
    server = proxy(dev, "a", "b")
    own, end = Other().connection()

    def asks():
        server.serve(0)
        own.send(b"question")

    elsewhere(asks)
    answers(end)
    server.serve(1)
    own.recv(99)
    server.is_home("the other thread's answer")


@gates.case
def told(dev):
    """Where the server says for whom it works, that holds for all that it receives as a client"""
    server = proxy(dev, "a", "b", rules=False)
    dev.add("hint", [server.s], BY_SOCKET)
    hint = os.open("/dev/vshint", os.O_RDONLY | os.O_CLOEXEC)
    own, end = Other().connection()
    for turn in range(ROUNDS):
        n = turn % 2
        fcntl.ioctl(hint, SERVES, server.conns[n].fileno())
        own.send(b"question")
        answers(end)
        fcntl.ioctl(hint, SERVES, server.conns[1 - n].fileno())
        fcntl.ioctl(hint, SERVES, server.conns[n].fileno())
        own.recv(99)
        server.is_at_work(n, f"turn {turn}")
    os.close(hint)


def sleeps(tid):
    """Whether a thread of this process sleeps."""
    stat = pathlib.Path(f"/proc/self/task/{tid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "S"


@gates.case
def waits(dev):
    """A task that waits for what its work has not asked for goes home"""
    server = proxy(dev, "a")
    own, end = Other().connection()
    asked, other = Other().connection()
    reader, writer = os.pipe()
    ids = f"{server.s} {server.ids[0]}", f"{server.s} {server.s}"
    for sock, ours, what in ((asked, ids[0], "asked"), (own, ids[1], "not asked")):
        server.serve(0)
        if sock is asked:
            sock.send(b"question")
        tid = threading.get_native_id()

        def look(peer=other if sock is asked else end, tid=tid):
            vs.until(lambda: sleeps(tid), 10, "the task waits")
            os.write(writer, b"%d %d" % gates.tag(tid))
            peer.send(b"answer")

        looker = threading.Thread(target=look)
        looker.start()
        sock.recv(99)
        looker.join()
        vs.eq(os.read(reader, 99).decode(), ours, what)


vs.main()
