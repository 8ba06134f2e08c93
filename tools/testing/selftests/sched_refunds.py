#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 300
"""scx_vs: what a server runs after a reply, and turns out to be its own, is nobody's credit. One
CPU, in virtual time.
"""

import time

import cpu
import gates
import vs
from server import Server

import uapi

OWN = 3  # seconds


def _replied(dev, end, **attributes):
    """A server of `s` replies to `a`, which has these attributes of its own, does work of its own
    for long, and ends the work by end(). Returns the ids of `a` and `b`.
    """

    def child():
        server = Server(dev, "a", "b")
        a, b = server.ids
        for id in (server.s, a, b):
            dev.detach(id, "cpu_weight")
        for attribute, value in attributes.items():
            dev.detach(a, attribute)
            dev.set(a, attribute, value)
        dev.add("recv", [server.s], [uapi.VS_REF(1)])
        server.serve(0)
        server.conns[0].send(b"reply")
        cpu.spin(OWN)
        end()
        return f"{a} {b}"

    return map(int, vs.in_child(child).split())


def _takes_turns(dev, id, other):
    """Checks that a service has no more than another one since the first of its tasks began."""
    with cpu.spinning(dev, (other, 1)):
        before = [dev.stat(one).cpu_ns for one in (id, other)]
        with cpu.spinning(dev, (id, 1)):
            time.sleep(1)
            had = [(dev.stat(one).cpu_ns - was) / 1e9 for one, was in zip((id, other), before)]
    print("# {:.3f} s beside {:.3f} s".format(*had), flush=True)
    vs.within(had[0] / sum(had), 0.4, 0.6, "its part")


@cpu.scheduled
def replies(dev):
    """A tenant that has been replied to takes turns with others"""
    a, b = _replied(dev, lambda: time.sleep(0.01))
    _takes_turns(dev, a, b)


@cpu.scheduled
def placed(dev):
    """So does the service in which the server is placed then"""
    other = cpu.service(dev, "other", cpu_weight=100)
    _a, b = _replied(dev, lambda: gates.enter(dev, other))
    _takes_turns(dev, other, b)


@cpu.scheduled
def capped(dev):
    """Of its cap a tenant has as much as if the server had not worked"""
    a, _b = _replied(dev, lambda: time.sleep(0.01), cpu_cap=500)
    time.sleep(0.2)
    before = dev.stat(a).cpu_ns
    with cpu.spinning(dev, (a, 2)):
        began = time.monotonic()
        time.sleep(1)
        had, took = (dev.stat(a).cpu_ns - before) / 1e9, time.monotonic() - began
    # beside its cap, what a bucket holds, and while it was warmed up
    print(f"# {had:.3f} s in {took + cpu.WARM_UP:.3f} s", flush=True)
    vs.within(had / (took + cpu.WARM_UP), 0.45, 0.6, "CPUs of a")


vs.main()
