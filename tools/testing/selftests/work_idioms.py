#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""Work in hand in the idioms of servers: a server of service `s` and clients of `a` and `b`.
Nothing is placed once a server runs, and no state is reset between its steps.
"""

import ctypes
import errno
import os
import select
import signal
import socket
import threading
import time

import gates
import vs
from server import Server

import uapi

INET, UNIX = socket.AF_INET, socket.AF_UNIX
STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
BY_SOCKET, BY_MESSAGE = [uapi.VS_REF(1)], [uapi.VS_REF(2)]


@gates.case
def event_loop(dev):
    """An event loop that finds several clients ready works for each in its turn, in every round"""
    for family in (INET, UNIX):
        names = [f"{name}{family}" for name in "abc"]
        server = Server(dev, *names, family=family, name=f"s{family}")
        dev.add("recv", [server.s], BY_SOCKET)
        loop = select.epoll()
        for conn in server.conns:
            loop.register(conn, select.EPOLLIN)
        for _ in range(5):
            for peer in server.peers:
                peer.send(b"request")
            ready = {fd for fd, _ in loop.poll(1, 1)} | {fd for fd, _ in loop.poll(1)}
            vs.eq(len(ready), 3, "all are ready")
            server.is_home("before the round")
            for n, conn in enumerate(server.conns):
                conn.recv(99)
                server.is_at_work(n, f"turn {n}")
                conn.send(b"reply")
        loop.poll(0.01)
        server.is_home("after the last round")


@gates.case
def unbound_receipt(dev):
    """A request that no rule binds is the server's own, although a tenant's came just before"""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], [server.ids[0]], peer_port=server.peers[0].getsockname()[1])
    server.serve(0)
    server.peers[1].send(b"request")
    server.conns[1].recv(99)
    server.is_home("b's request")


@gates.case
def datagrams(dev):
    """Datagrams received one after the other, without a wait between, are each their sender's; an
    unknown sender's and an empty one's are the server's own
    """
    s, a, b = (dev.create(name) for name in ("s", "a", "b"))
    dev.add("recv", [s], BY_MESSAGE)
    for family in (INET, UNIX):
        gates.enter(dev, s)
        server = gates.listener(family, DGRAM)
        senders = {id: gates.client(dev, id, server, DGRAM) for id in (a, b, vs.ROOT)}
        order = [a, b, b, vs.ROOT, a, vs.ROOT, b]
        for id in order:
            senders[id].send(b"x")
        senders[a].send(b"")
        gates.enter(dev, s)
        for id in order:
            server.recv(99)
            vs.eq(gates.tag(), (s, id or s), f"{family}")
        server.recv(99)
        vs.eq(gates.tag(), (s, a), f"{family}: an empty datagram is one, too")


class _Message(ctypes.Structure):
    """struct mmsghdr of one buffer."""

    _fields_ = [
        ("name", ctypes.c_uint64),
        ("namelen", ctypes.c_uint64),
        ("iov", ctypes.c_uint64),
        ("iovlen", ctypes.c_uint64),
        ("control", ctypes.c_uint64),
        ("controllen", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("len", ctypes.c_uint64),
    ]


def receive_many(sock, count):
    """Calls recvmmsg() for so many messages; returns how many came."""
    buffers = [ctypes.create_string_buffer(99) for _ in range(count)]
    vectors = (ctypes.c_uint64 * (2 * count))(
        *(word for one in buffers for word in (ctypes.addressof(one), 99))
    )
    messages = (_Message * count)()
    for n, message in enumerate(messages):
        message.iov, message.iovlen = ctypes.addressof(vectors) + 16 * n, 1
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(299, sock.fileno(), messages, count, socket.MSG_DONTWAIT, None)


@gates.case
def batches(dev):
    """Of datagrams that one call fetches together none becomes the work in hand; one alone does,
    and so do bytes that recvmmsg() fetches from a connection
    """
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_MESSAGE)
    gates.enter(dev, server.s)
    sock = gates.listener(INET, DGRAM)
    senders = [gates.client(dev, id, sock, DGRAM) for id in server.ids]
    gates.enter(dev, server.s)
    for sender in senders:
        sender.send(b"x")
    server.serve(0)
    before = dev.stat(server.s).unattributed
    vs.eq(receive_many(sock, 5), 2, "datagrams")
    server.is_home("two together")
    vs.eq(dev.stat(server.s).unattributed - before, 2, "unattributed")
    senders[1].send(b"x")
    vs.eq(receive_many(sock, 1), 1, "datagrams")
    server.is_at_work(1, "one")
    server.peers[0].send(b"request")
    vs.eq(receive_many(server.conns[0], 3), 1, "messages")
    server.is_at_work(0, "of a connection")


def threads_home(function):
    """Runs function() in a new thread that lives on; returns its result, and a function that ends
    the thread.
    """
    done, result, ready = threading.Event(), [], threading.Event()

    def body():
        result.append(function())
        ready.set()
        done.wait()

    thread = threading.Thread(target=body)
    thread.start()
    ready.wait()
    return result[0], lambda: (done.set(), thread.join())


@gates.case
def pool(dev):
    """A thread that a pool makes during work is at home in the server's service, and works for the
    client whose request it reads
    """
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)
    server.serve(0)

    def worker():
        before = gates.tag()
        server.peers[1].send(b"request")
        server.conns[1].recv(99)
        return before, gates.tag()

    tags, end = threads_home(worker)
    end()
    vs.eq(tags, ((server.s, server.s), (server.s, server.ids[1])))
    server.is_at_work(0, "the thread that made it")


@gates.case
def helpers(dev):
    """A background save, and a worker restarted after an accept, are at home in the server's
    service; a rule of fork hands the work on
    """
    server = Server(dev, "a")
    dev.add("recv", [server.s], BY_SOCKET)
    dev.add("accept", [server.s], BY_SOCKET)
    server.serve(0)
    vs.eq(vs.in_child(gates.tag), str((server.s, server.s)), "a background save")
    gates.enter(dev, vs.ROOT)
    peer = gates.client(dev, server.ids[0], server.listener)
    gates.enter(dev, server.s)
    conn = server.listener.accept()[0]
    server.is_at_work(0, "accepted")
    vs.eq(vs.in_child(gates.tag), str((server.s, server.s)), "a worker")

    number = dev.add("fork", [server.s], [vs.ANY, vs.ANY, vs.REF(0)])

    def serve():
        first = gates.tag()
        conn.close()
        still = gates.tag()
        return first, still

    vs.eq(
        vs.in_child(serve),
        str(((server.s, server.ids[0]),) * 2),
        "handed on; the parent has the connection, too",
    )
    dev.delete(number)
    dev.add("fork", [server.s, vs.ANY, server.ids[0]], [vs.ANY, server.ids[0]])
    vs.eq(vs.in_child(gates.tag), str((server.ids[0],) * 2), "by what the caller works on")
    server.is_at_work(0, "the parent")
    conn.close()
    server.is_home("closed")
    vs.eq(vs.in_child(gates.tag), str((server.s, server.s)), "without work")
    peer.close()


@gates.case
def limits(dev):
    """A tenant at its limits makes none of the server's own forks and sockets fail, only those that
    a rule makes for it
    """
    server = Server(dev, "a")
    a = server.ids[0]
    dev.add("recv", [server.s], BY_SOCKET)
    for name in ("tasks_max", "sockets_max"):
        dev.detach(a, name)
        dev.set(a, name, 1)
    server.serve(0)
    vs.eq(vs.in_child(gates.tag), str((server.s, server.s)), "fork")
    for one in socket.socket(), *socket.socketpair():
        vs.eq(gates.vs_of(one), server.s, "socket")
        one.close()
    dev.add("socket", [server.s], [vs.ANY, vs.REF(0)])
    try:
        socket.socket()
        raise AssertionError("a socket was made for a")
    except OSError as error:
        vs.eq(error.errno, errno.ENOBUFS, "errno")


def _full_pipe():
    reader, writer = os.pipe()
    os.write(writer, bytes(1 << 16))
    timer = threading.Timer(0.05, lambda: os.read(reader, 1 << 16))
    timer.start()
    os.write(writer, b"x")


def _futex():
    threading.Event().wait(0.05)


@gates.case
def sleeps(dev):
    """After the reply work ends with the first sleep, in any call; before the reply a sleep belongs
    to the work
    """
    server = Server(dev, "a")
    dev.add("recv", [server.s], BY_SOCKET)
    child = os.fork
    for name, sleep in (
        ("nanosleep", lambda: time.sleep(0.05)),
        ("a futex", _futex),
        ("a full pipe", _full_pipe),
        ("waitpid", lambda: os.waitpid(child() or (time.sleep(0.05), os._exit(0)), 0)),
        ("a signal", lambda: signal_wait(0.05)),
    ):
        server.serve(0, name)
        sleep()
        server.is_at_work(0, f"{name}, before the reply")
        server.conns[0].send(b"reply")
        server.is_at_work(0, f"{name}, after the reply")
        sleep()
        server.is_home(f"{name}, after the reply")


def signal_wait(seconds):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.sigwait({signal.SIGALRM})


@gates.case
def slow_client(dev):
    """A reply for which the client is slow is still work while it is sent, and after the first part
    of it
    """
    server = Server(dev, "a")
    dev.add("recv", [server.s], BY_SOCKET)
    server.serve(0)
    peer, conn, tid = server.peers[0], server.conns[0], threading.get_native_id()
    reader, writer = os.pipe()
    # a process: between two calls a thread of Python sleeps for the interpreter's lock
    if not os.fork():
        time.sleep(0.1)
        os.write(writer, str(gates.tag(tid)).encode())
        left = 8 << 20
        while left:
            left -= len(peer.recv(1 << 20))
        os._exit(0)
    conn.sendall(bytes(4 << 20))
    conn.sendall(bytes(4 << 20))
    server.is_at_work(0, "sent")
    vs.eq(os.read(reader, 99).decode(), str((server.s, server.ids[0])), "while it waits")
    os.wait()


@gates.case
def upstream(dev):
    """A server's request to another server is part of the work: neither the answer nor the wait for
    it changes the work, and the connection is the server's own
    """
    server = Server(dev, "a")
    dev.add("recv", [server.s], BY_SOCKET)
    gates.enter(dev, vs.ROOT)
    upstream_id = dev.create("u")
    gates.enter(dev, upstream_id)
    back = gates.listener()
    gates.enter(dev, server.s)
    answered = []

    def other():
        """The other server."""
        sock, _ = back.accept()
        sock.recv(99)
        time.sleep(0.05)
        sock.send(b"answer")
        answered.append(sock)

    thread = threading.Thread(target=other)
    thread.start()
    server.serve(0)
    sock = socket.create_connection(back.getsockname())
    vs.eq(gates.vs_of(sock), server.s, "the connection")
    sock.send(b"question")
    server.peers[0].send(b"request")
    server.conns[0].recv(99)
    sock.recv(99)
    server.is_at_work(0, "after the answer")
    thread.join()


@gates.case
def nobodys(dev):
    """A connection that belongs to no service becomes its acceptor's home's, whatever the acceptor
    worked on
    """
    server = Server(dev, "a")
    dev.add("recv", [server.s], BY_SOCKET)
    gates.enter(dev, vs.ROOT)
    peer = gates.client(dev, vs.ROOT, server.listener)
    gates.enter(dev, server.s)
    server.serve(0)
    server.listener.setblocking(False)
    conn = server.listener.accept()[0]
    vs.eq(gates.vs_of(conn), server.s, "the connection")
    server.is_home("the acceptor: what comes next is not a's")
    del peer


@gates.case
def spliced(dev):
    """Bytes that are spliced from another client's connection are the server's own, and so is its
    work afterwards
    """
    for family in (INET, UNIX):
        names = [f"{name}{family}" for name in "ab"]
        server = Server(dev, *names, family=family, name=f"s{family}")
        dev.add("recv", [server.s], BY_SOCKET)
        reader, writer = os.pipe()
        for n in 1, 0:
            server.serve(0)
            server.peers[n].send(b"bytes")
            vs.eq(os.splice(server.conns[n].fileno(), writer, 99), 5, "spliced")
            server.is_home(f"family {family}, client {n}")
        os.close(reader)
        os.close(writer)
    server.serve(0)
    server.conns[0].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    server.is_at_work(0, "another option")


@gates.case
def mapped(dev):
    """Bytes that are mapped from a connection (TCP_ZEROCOPY_RECEIVE) are the server's own"""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)
    server.serve(0)
    server.peers[1].send(b"bytes")
    try:
        server.conns[1].getsockopt(socket.IPPROTO_TCP, 35, 64)
    except OSError:
        pass  # nothing is mapped at address 0, but the request alone counts
    server.is_home("asked for b's bytes")


@gates.case
def ends(dev):
    """Each end of work is counted by its cause, for the service that was worked for"""
    server = Server(dev, "a", "b")
    a, b = server.ids
    dev.add("recv", [server.s], BY_SOCKET)
    loop = select.epoll()
    server.serve(0)
    server.serve(1)  # receipt
    server.serve(1)  # more of the same: its work goes on
    loop.poll(0.01)  # wait
    server.serve(0)
    server.conns[0].send(b"reply")
    time.sleep(0.01)  # sleep
    server.serve(0)
    server.conns[1].send(b"news")  # reply
    server.serve(0)
    server.conns[0].close()  # close
    ways = [name.removeprefix("VS_END_") for name in uapi.enums["vs_end"]]
    found = {id: {way for way, count in zip(ways, dev.stat(id).ends) if count} for id in (a, b)}
    vs.eq(found, {a: {"RECEIPT", "CLOSE", "SLEEP", "REPLY"}, b: {"WAIT"}}, "by reason")
    vs.eq(sum(sum(dev.stat(id).ends) for id in (a, b)), 5, "ends")


@gates.case
def same_tenant(dev):
    """Work for a tenant that came by one connection, and then by another connection of the same
    tenant, ends with the second
    """
    server = Server(dev, "a")
    dev.add("recv", [server.s], BY_SOCKET)
    gates.enter(dev, vs.ROOT)
    peer = gates.client(dev, server.ids[0], server.listener)
    gates.enter(dev, server.s)
    conn = server.listener.accept()[0]
    server.serve(0)
    peer.send(b"request")
    conn.recv(99)
    server.conns[0].close()
    server.is_at_work(0, "the first was closed")
    conn.close()
    server.is_home("the second was closed")


vs.main()
