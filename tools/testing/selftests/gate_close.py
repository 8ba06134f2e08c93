#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gate close: work ends when the connection by which it came is closed, not before, and not by the
close of another one.
"""

import os
import socket

import gates
import vs

import uapi

KINDS = (
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET6, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_SEQPACKET),
)


def at_work(dev, id, pg, family, kind):
    """Both ends of a connection of a client of `id` on which pg has received a request; the caller
    works on it.
    """
    server = gates.listener(family, kind)
    peer = gates.client(dev, id, server, kind)
    gates.enter(dev, pg)
    conn = server.accept()[0]
    peer.send(b"x")
    conn.recv(9)
    vs.eq(gates.tag(), (pg, id), f"{family} {kind}: at work")
    return peer, conn


@gates.case
def work_ends(dev):
    """A task that closes the connection its work came by is home again"""
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], [vs.REF(1)])
    for family, kind in KINDS:
        peer, conn = at_work(dev, a, pg, family, kind)
        conn.close()
        vs.eq(gates.tag(), (pg, pg), f"{family} {kind}: closed")
        peer.close()


@gates.case
def another_socket(dev):
    """Closing another socket, or a file, ends no work"""
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], [vs.REF(1)])
    for family, kind in KINDS:
        other = socket.socket(family, kind)
        peer, conn = at_work(dev, a, pg, family, kind)
        other.close()
        os.close(os.open("/dev/null", os.O_RDONLY))
        vs.eq(gates.tag(), (pg, a), f"{family} {kind}: still at work")
        conn.close()
        peer.close()


@gates.case
def last_reference(dev):
    """A duplicate keeps the connection, and the work, until it is closed too"""
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], [vs.REF(1)])
    peer, conn = at_work(dev, a, pg, *KINDS[0])
    copy = os.dup(conn.fileno())
    conn.close()
    vs.eq(gates.tag(), (pg, a), "one of two closed")
    os.close(copy)
    vs.eq(gates.tag(), (pg, pg), "both closed")
    peer.close()


@gates.case
def hits(dev):
    """The gate counts the sockets that each service closes"""
    a = dev.create("a")
    gates.enter(dev, a)
    before = dev.stat(a).hits[uapi.VS_GATE_CLOSE]
    for _ in range(7):
        socket.socket().close()
    vs.eq(dev.stat(a).hits[uapi.VS_GATE_CLOSE] - before, 7)


vs.main()
