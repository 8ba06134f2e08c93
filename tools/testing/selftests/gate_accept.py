#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gate accept: the connection is its client's, and by rule the acceptor works for that client."""

import errno
import os
import select
import socket

import gates
import vs

import uapi

INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
KINDS = (INET, STREAM), (INET6, STREAM), (UNIX, STREAM), (UNIX, SEQPACKET)
SCTP = 132
TO_CLIENT = [uapi.VS_REF(1)]


def server_of(dev, pg, family=INET, kind=STREAM):
    """A listening socket of service pg."""
    gates.enter(dev, pg)
    server = gates.listener(family, kind)
    gates.enter(dev, vs.ROOT)
    return server


@gates.case
def clients(dev):
    """An accepted connection belongs to its client's service, in every protocol; the listener's VS
    does not matter
    """
    a, b, pg = (dev.create(name) for name in ("a", "b", "pg"))
    for family, kind in KINDS:
        server = server_of(dev, pg, family, kind)
        vs.eq(gates.vs_of(server), pg, "listener")
        for id in (a, b):
            peer = gates.client(dev, id, server, kind)
            conn = server.accept()[0]
            vs.eq((gates.vs_of(peer), gates.vs_of(conn)), (id, id), f"{family} {kind}")
            vs.eq(gates.tag(), (0, 0), "the acceptor, without a rule")


@gates.case
def unclassified(dev):
    """A connection that belongs to no service becomes its acceptor's"""
    pg = dev.create("pg")
    for family, kind in KINDS:
        server = server_of(dev, pg, family, kind)
        peer = gates.client(dev, vs.ROOT, server, kind)
        gates.enter(dev, pg)
        conn = server.accept()[0]
        vs.eq(
            (gates.vs_of(peer), gates.vs_of(conn), gates.tag()),
            (vs.ROOT, pg, (pg, pg)),
            f"{family} {kind}",
        )


@gates.case
def bound(dev):
    """accept task=pg => task=conn: the acceptor works for the client until it asks for the next
    one
    """
    a, b, pg = (dev.create(name) for name in ("a", "b", "pg"))
    dev.add("accept", [pg], TO_CLIENT)
    for family, kind in KINDS:
        server = server_of(dev, pg, family, kind)
        peers = [gates.client(dev, id, server, kind) for id in (a, b)]
        gates.enter(dev, pg)
        conns = []
        for id in (a, b):
            conns.append(server.accept()[0])
            vs.eq(gates.tag(), (pg, id), f"{family} {kind}")
        conns[0].close()
        vs.eq(gates.tag(), (pg, b), "another connection was closed")
        conns[1].close()
        vs.eq(gates.tag(), (pg, pg), "the connection was closed")
        del peers


@gates.case
def unattributed(dev):
    """By that rule, an unclassified client leaves the acceptor at home, and is counted"""
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("accept", [vs.ANY], TO_CLIENT)
    server = server_of(dev, pg)
    peers = [gates.client(dev, id, server) for id in (a, vs.ROOT)]
    gates.enter(dev, pg)
    conn = server.accept()[0]
    vs.eq((gates.tag(), dev.stat(pg).unattributed), ((pg, a), 0))
    other = server.accept()[0]
    vs.eq((gates.tag(), gates.vs_of(other), dev.stat(pg).unattributed), ((pg, pg), pg, 1))
    del conn, peers


@gates.case
def postmaster(dev):
    """fork task=pg => child=task: a worker forked for a connection is at home with its client, and
    stays there; the parent goes home when it polls
    """
    a, b, pg = (dev.create(name) for name in ("a", "b", "pg"))
    dev.add("accept", [pg], TO_CLIENT)
    dev.add("fork", [pg], [vs.ANY, vs.REF(0)])
    server = server_of(dev, pg)
    peers = [gates.client(dev, id, server) for id in (a, b)]
    gates.enter(dev, pg)
    for id in (a, b):
        select.select([server], [], [])
        vs.eq(gates.tag(), (pg, pg), "waiting")
        conn = server.accept()[0]

        def serve(conn=conn, id=id):
            server.close()
            vs.eq(gates.tag(), (id, id), "the worker")
            poll = select.epoll()
            poll.register(conn, select.EPOLLIN)
            poll.poll(0.01)
            vs.eq(gates.tag(), (id, id), "the worker after waiting")

        vs.in_child(serve)
        conn.close()
    del peers


@gates.case
def ruled(dev):
    """Rules by protocol, port, address and path of the connection"""
    a, b, c, d = (dev.create(name) for name in "abcd")
    dev.add("accept", [vs.ANY], [b], local_port=7001, proto="tcp")
    dev.add("accept", [vs.ANY], [c], peer="::1")
    dev.add("accept", [vs.ANY], [d], unix="/tmp/vs-test/*")
    os.makedirs("/tmp/vs-test", exist_ok=True)
    for server, wanted in (
        (gates.listener(address=("127.0.0.1", 7001)), b),
        (gates.listener(address=("127.0.0.1", 7002)), 0),
        (gates.listener(INET6), c),
        (gates.listener(UNIX, address=f"/tmp/vs-test/{os.getpid()}"), d),
        (gates.listener(UNIX), 0),
    ):
        peer = gates.client(dev, a, server)
        conn = server.accept()[0]
        vs.eq(gates.tag(), (0, wanted), str(server.getsockname()))
        gates.enter(dev, vs.ROOT)
        del peer, conn


@gates.case
def counted(dev):
    """Connections count for their client's service from the handshake on, accepted or not"""
    a = dev.create("a")
    for family, kind in KINDS:
        server = gates.listener(family, kind)
        peer = gates.client(dev, a, server, kind)
        vs.until(lambda: dev.stat(a).sockets == 2, what=f"{family} {kind}: both ends")
        server.accept()[0].close()
        peer.close()
        vs.until(lambda: dev.stat(a).sockets == 0, what=f"{family} {kind}: both gone")


@gates.case
def limited(dev):
    """At its limit a client gets no connection: with unix sockets connect fails, TCP does not
    answer
    """
    a = dev.create("a")
    dev.detach(a, "sockets_max")
    dev.set(a, "sockets_max", 1)
    for family, kind, wanted in (
        (UNIX, STREAM, errno.ENOBUFS),
        (UNIX, SEQPACKET, errno.ENOBUFS),
        (INET, STREAM, errno.EAGAIN),
    ):
        server = gates.listener(family, kind)
        gates.enter(dev, a)
        sock = socket.socket(family, kind)
        if family == INET:
            # how long connect() waits
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, (1).to_bytes(8, "little") + bytes(8)
            )
        try:
            sock.connect(server.getsockname())
            raise AssertionError("connected")
        except OSError as error:
            vs.eq(error.errno, errno.EINPROGRESS if wanted == errno.EAGAIN else wanted, "errno")
        gates.enter(dev, vs.ROOT)
        sock.close()
        vs.until(lambda: dev.stat(a).sockets == 0, what="nothing left")


def copied(name, protocol):
    """Makes a case of a protocol whose sockets the kernel copies by itself."""

    def case(dev):
        if protocol == SCTP:
            vs.run("modprobe", "sctp")
        try:
            socket.socket(INET, STREAM, protocol).close()
        except OSError as error:
            vs.skip(f"no {name}: {error}")
        a, b = dev.create("a"), dev.create("b")
        vs.in_child(lambda: connect(dev, a, b))
        gates.gone(dev, a, b)

    def made(dev, id):
        gates.enter(dev, id)
        sock = socket.socket(INET, STREAM, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    def connect(dev, a, b):
        with made(dev, a) as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            own = dev.stat(a).sockets
            vs.within(own, 1, 2, "sockets of the listener")
            for _ in range(5):
                with made(dev, b) as client:
                    client.connect(server.getsockname())
                    gates.enter(dev, a)
                    with server.accept()[0] as connection:
                        client.sendall(b"x")
                        vs.eq(connection.recv(2), b"x", "what was sent")
                        vs.within(
                            dev.stat(b).sockets,
                            1,
                            20,
                            "both ends, with their ways, and what was closed just now",
                        )
            vs.until(lambda: dev.stat(a).sockets == own, 20, "the listener alone is left")
        vs.until(
            lambda: (dev.stat(a).sockets, dev.stat(b).sockets) == (0, 0), 20, "no socket is left"
        )
        gates.enter(dev, vs.ROOT)

    case.__doc__ = (
        f"Sockets of {name}, which the kernel copies without asking anybody,"
        " are counted as often as they come and go"
    )
    vs.gated(case)


copied("MPTCP", 262)
copied("SCTP", SCTP)
vs.main()
