#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
# module: no
"""Work in hand ends at its age limit, where nothing else ends it."""

import os
import time

import gates
import vs

import uapi

BY_SOCKET = [uapi.VS_REF(1)]


def at_work(dev):
    """Makes the caller a task of `s` that has received a request of a client of `a`; returns the
    two ids, and both ends of the connection.
    """
    a, s = dev.create("a"), dev.create("s")
    dev.add("recv", [s], BY_SOCKET)
    gates.enter(dev, s)
    server = gates.listener()
    peer = gates.client(dev, a, server)
    gates.enter(dev, s)
    conn = server.accept()[0]
    peer.send(b"request")
    conn.recv(9)
    vs.eq(gates.tag(), (s, a), "at work")
    return a, s, peer, conn


def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def aged(dev):
    a, s, peer, conn = at_work(dev)
    for _ in range(4):
        spin(0.6)
        vs.eq(gates.tag(), (s, a), "younger than the limit")
        peer.send(b"more")
        conn.recv(9)
    time.sleep(2.1)
    spin(0.1)
    vs.eq(gates.tag(), (s, s), "older, although it slept")
    vs.eq(list(dev.stat(a).ends)[uapi.VS_END_AGE], 1, "counted")


def ageless(dev):
    a, s, _peer, _conn = at_work(dev)
    spin(3)
    vs.eq(gates.tag(), (s, a), "without a limit")


def loaded(parameter, function):
    """Runs function() with the module loaded with these parameters and its gates attached."""
    module = os.environ.get("VS_MODULE", "/vs/build/module/vs.ko")
    vs.run("insmod", module, parameter)
    try:
        vs.vsctl("up", "--no-sched")
        device = vs.Device()
        try:
            vs.in_child(lambda: function(device))
        finally:
            device.close()
        vs.vsctl("down")
    finally:
        vs.run("rmmod", "vs")


@vs.test
def limited():
    """Work ends two seconds after the last receipt, asleep or not; each receipt restarts the age"""
    loaded("work_age=2", aged)


@vs.test
def unlimited():
    """With work_age=0 work never ends by age"""
    loaded("work_age=0", ageless)


vs.main()
