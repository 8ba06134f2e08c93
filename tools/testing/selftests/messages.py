#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
"""Messages of several tenants on one connection: a proxy serves clients of `a` and `b`, and asks
one server for both by a unix stream or a TCP connection that it keeps.
"""

import functools
import os
import select
import signal
import socket

import gates
import vs
from proxy import BY_MESSAGE, GIVES, PROTO, Apart, Proxy


def proxied(function, **how):
    """Marks a case with a proxy, which gives its messages away unless said otherwise: a case for
    each kind of connection.
    """

    def of(family):
        def run(dev):
            proxy = Proxy(dev, family=family, **how)
            try:
                function(dev, proxy)
            finally:
                os.kill(proxy.server, signal.SIGKILL)
                os.waitpid(proxy.server, 0)

        run.__name__ = function.__name__
        run.__doc__ = f"{vs.title(function).rstrip('.')} ({family.name})"
        gates.case(run)

    for family in PROTO:
        of(family)
    return function


@proxied
def kept(_dev, proxy):
    """The server works for the tenant of each question, and the proxy for that of each answer"""
    for turn in range(6):
        n = turn % 2
        proxy.asks(n)
        vs.eq(proxy.reads(99, answers=True), proxy.ids[n], f"turn {turn}")
        select.select([proxy.up], [], [])
        proxy.is_home("while it waits for the answer")
        proxy.up.recv(99)
        proxy.is_at_work(n, "the answer")


@proxied
def parts(_dev, proxy):
    """A question that is read in parts, or was looked at before, is still its tenant's"""
    for n in 0, 1, 0:
        proxy.asks(n, b"x" * 50)
    for n in 0, 1, 0:
        for part in 20, 20, 10:
            vs.eq(proxy.reads(part), proxy.ids[n], f"{part} bytes")


@proxied
def together(dev, proxy):
    """Questions of several tenants that one receive fetches are nobody's in particular: the
    server's own, and counted; those of one tenant are this tenant's
    """
    for n in 0, 1:
        proxy.asks(n, b"xy")
    vs.eq(proxy.reads(99), proxy.back, "of two tenants")
    vs.eq(dev.stat(proxy.back).unattributed, 1, "unattributed")
    for _ in range(2):
        proxy.asks(1, b"xy")
    vs.eq(proxy.reads(99), proxy.ids[1], "of one")
    proxy.asks(0, b"xy")
    select.select([proxy.up], [], [], 0.01)
    proxy.up.send(b"own")
    vs.eq(proxy.reads(99), proxy.back, "of a tenant and the proxy itself")
    proxy.asks(0, b"xyz")
    proxy.asks(1, b"xyz")
    vs.eq(proxy.reads(4), proxy.back, "one and a part of the next")
    vs.eq(proxy.reads(2), proxy.ids[1], "its rest")


@proxied
def answers_together(_dev, proxy):
    """Answers to several tenants that one receive fetches are not those of the one in hand"""
    proxy.asks(0)
    vs.eq(proxy.reads(99, answers=True), proxy.ids[0], "a's question")
    select.select([proxy.up], [], [], 0)
    proxy.up.recv(2)
    proxy.is_at_work(0, "a part of the answer")
    proxy.asks(1)
    vs.eq(proxy.reads(99, answers=True), proxy.ids[1], "b's question")
    vs.eq(proxy.up.recv(99), b"sweranswer", "the answers")
    proxy.is_home("the rest of it, and b's")


@proxied
def large(_dev, proxy):
    """A question of many segments is its tenant's to the last byte"""
    proxy.up.setblocking(False)
    for n in 0, 1:
        proxy.serve(n)
        sent = proxy.up.send(bytes(100_000))
        vs.eq(sent > 50_000, True, "sent")
        while sent > 0:
            vs.eq(proxy.reads(99), proxy.ids[n], "a part")
            sent -= 99


@functools.partial(proxied, gives=False)
def without(dev, proxy):
    """Without a rule that gives messages away, all on a connection is its owner's"""
    for n in 0, 1:
        proxy.asks(n)
        vs.eq(proxy.reads(99), proxy.s, "the proxy's connection")
    number = dev.add("send", [proxy.s], GIVES)
    proxy.asks(1)
    vs.eq(proxy.reads(99), proxy.ids[1], "with a rule of all protocols")
    proxy.asks(0)
    dev.delete(number)
    proxy.serve(1)
    proxy.up.send(b"question")
    vs.eq(proxy.reads(8), proxy.s, "nobody looks any more")


@proxied
def gone(dev, proxy):
    """A message of a service that has gone is not another's"""
    a = proxy.ids[0]
    proxy.asks(0)
    select.select([proxy.up], [], [], 0.01)
    proxy.peers[0].close()
    proxy.conns[0].close()
    vs.until(lambda: (dev.stat(a).tasks, dev.stat(a).sockets) == (0, 0), what="a is empty")
    dev.destroy(a)
    for n in range(50):
        dev.create(f"new{n}")
    vs.eq(proxy.reads(99), proxy.back, "a message of nobody's")


def handing(dev, kind):
    """A thread hands requests of `a` and `b` by a pair of sockets to a worker."""
    server = Apart(dev, "a", "b", name="s")
    dev.add("recv", [server.s], BY_MESSAGE)
    dev.add("send", [server.s], GIVES)
    ours, theirs = socket.socketpair(type=kind)

    def worker():
        for turn in range(6):
            number = theirs.recv(1)[0]
            vs.eq(gates.tag(), (server.s, server.ids[number]), f"turn {turn}")
            theirs.send(b"done")
        return "right"

    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        vs.dies_with_parent()
        try:
            os.write(writer, worker().encode())
        except AssertionError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    for turn in range(6):
        n = turn % 2
        server.serve(n)
        ours.send(bytes([n]))
        server.is_at_work(n, "the thread that hands on")
        select.select([ours], [], [])
        ours.recv(9)
    vs.eq(os.read(reader, 999).decode(), "right", "the worker")
    os.waitpid(child, 0)


@gates.case
def by_stream(dev):
    """The worker of a pool that is handed requests by a unix stream works for their tenants"""
    handing(dev, socket.SOCK_STREAM)


@gates.case
def by_datagrams(dev):
    """So does one that is handed them as unix datagrams"""
    handing(dev, socket.SOCK_DGRAM)


vs.main()
