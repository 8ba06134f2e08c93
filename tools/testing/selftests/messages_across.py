#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Messages of several tenants on one TCP connection between containers, or from a container to the
host.
"""

import contextlib
import os
import select
import signal
import socket

import containers
import gates
import netns
import vs
from proxy import Proxy


@contextlib.contextmanager
def between(dev, topology, **how):
    """A proxy and the server that it asks, by this way."""
    with contextlib.ExitStack() as stack:
        proxy = Proxy(dev, family=socket.AF_INET, way=topology(stack), **how)
        try:
            yield proxy
        finally:
            end(proxy)


def end(proxy):
    """Ends the server and the connection."""
    os.kill(proxy.server, signal.SIGKILL)
    os.waitpid(proxy.server, 0)
    proxy.up.close()


def each(function):
    """Makes a case of each way."""

    def of(topology):
        def case(dev):
            with between(dev, topology) as proxy:
                function(dev, proxy)

        case.__name__ = f"{function.__name__}_{topology.__name__}"
        case.__doc__ = f"{vs.title(function).rstrip('.')}: {vs.title(topology)}"
        gates.case(case)

    for topology in containers.WAYS:
        of(topology)


@each
def kept(_dev, proxy):
    """The server works for the tenant of each question, and the proxy for that of each answer"""
    for turn in range(20):
        n = turn % 2
        proxy.asks(n)
        vs.eq(proxy.reads(99, answers=True), proxy.ids[n], f"turn {turn}")
        select.select([proxy.up], [], [])
        proxy.up.recv(99)
        proxy.is_at_work(n, "the answer")


@each
def large(_dev, proxy):
    """A question of many segments is its tenant's to the last byte"""
    proxy.up.setblocking(False)
    for n in 0, 1:
        proxy.serve(n)
        sent = proxy.up.send(bytes(30_000))
        while sent > 0:
            sent -= 99
            vs.eq(proxy.reads(99), proxy.ids[n], "a part")


@gates.case
def addresses_twice(dev):
    """Connections between two pairs of containers that have the same addresses and ports do not get
    each other's messages
    """
    with contextlib.ExitStack() as stack:
        proxies = []
        for names in "ab", "cd":
            one, two = (stack.enter_context(containers.Container(f"vs-{name}")) for name in names)
            netns.link(one, two)
            way = one, two, "10.77.0.2", "10.77.0.2", containers.PORT
            proxy = Proxy(dev, family=socket.AF_INET, way=way, names=names)
            stack.callback(end, proxy)
            proxies.append(proxy)
        for turn in range(8):
            asking = proxies[turn % 2], proxies[1 - turn % 2]
            for proxy in asking:
                gates.enter(dev, proxy.s)
                proxy.asks(turn // 2 % 2)
            for proxy in asking:
                vs.eq(proxy.reads(99), proxy.ids[turn // 2 % 2], f"turn {turn}")


vs.main()
