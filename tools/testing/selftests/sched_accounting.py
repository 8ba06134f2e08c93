#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 480
"""The accounting's figures under scx_vs are the same as under the default scheduler."""

import os

import cpu
import vs
from server import server_jobs


@cpu.scheduled
def switching(dev):
    """Charges for tasks that wait for each other at every turn equal the kernel's count"""
    cpu.exact(dev, [cpu.service(dev, "a", cpu_weight=100)], *cpu.ping_pong(3000))


@cpu.scheduled
def preempted(dev):
    """Charges for tasks that are preempted all the time equal the kernel's count"""
    ids = [cpu.service(dev, "a", cpu_weight=100), cpu.service(dev, "b", cpu_weight=100)]
    with cpu.spinning(dev, (ids[1], 2)):
        cpu.exact(dev, ids[:1], *[lambda: cpu.spin(0.7)] * 4)


@cpu.scheduled
def both(dev):
    """Charges for tasks that wait for each other and are preempted equal the kernel's count"""
    ids = [cpu.service(dev, "a", cpu_weight=100)]
    cpu.exact(dev, ids, *[lambda: cpu.spin(0.7)] * 2, *cpu.ping_pong(2000), *cpu.ping_pong(2000))


@cpu.scheduled
def changing(dev):
    """Charges of all services together for tasks that change their service equal the kernel's
    count
    """
    ids = [cpu.service(dev, "a", cpu_weight=100), cpu.service(dev, "b", cpu_weight=300)]
    cpu.exact(dev, ids, *[lambda: cpu.alternate(dev, *ids, 1, ids[0])] * 3)


@cpu.scheduled
def serving(dev):
    """Charges for servers, whose time after each reply is charged late, equal the kernel's count"""
    vs.in_child(lambda: cpu.exact(dev, *server_jobs(dev)))


@cpu.scheduled
def placed(dev):
    """So are tasks that another CPU places all the time while they run"""
    ids = [cpu.service(dev, "a", cpu_weight=100), cpu.service(dev, "b", cpu_weight=300)]
    reader, writer = os.pipe()

    def spins():
        os.write(writer, b"%d\n" % os.getpid())
        cpu.spin(1)

    def places():
        pids = []
        while len(pids) < 2:
            pids += [int(line) for line in os.read(reader, 99).split()]
        for turn in range(3000):
            for pid in pids:
                dev.place(pid, ids[turn % 2])

    cpu.exact(dev, ids, spins, spins, places)


@cpu.scheduled
def alone(dev):
    """A task that changes its VS every few ms is charged within 2 % of the true time"""
    vs.in_child(lambda: cpu.alternating(dev, 0))


@cpu.scheduled
def crowded(dev):
    """A task that changes its VS every few ms is charged within 2 % of the true time among others,
    too
    """
    vs.in_child(lambda: cpu.alternating(dev, 3))


vs.main()
