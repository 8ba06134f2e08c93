#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 240
"""The accounting's figures under scx_vs: the same as by the default scheduler."""

import cpu
import vs
from server import server_jobs


@cpu.scheduled
def switching(dev):
    """Tasks that wait for each other at every turn are charged what the kernel has counted"""
    cpu.exact(dev, [cpu.service(dev, "a", cpu_weight=100)], *cpu.ping_pong(3000))


@cpu.scheduled
def preempted(dev):
    """So are tasks that are preempted all the time"""
    ids = [cpu.service(dev, "a", cpu_weight=100), cpu.service(dev, "b", cpu_weight=100)]
    with cpu.spinning(dev, (ids[1], 2)):
        cpu.exact(dev, ids[:1], *[lambda: cpu.spin(0.7)] * 4)


@cpu.scheduled
def both(dev):
    """So are tasks that do both"""
    ids = [cpu.service(dev, "a", cpu_weight=100)]
    cpu.exact(dev, ids, *[lambda: cpu.spin(0.7)] * 2, *cpu.ping_pong(2000), *cpu.ping_pong(2000))


@cpu.scheduled
def changing(dev):
    """So are, by all services together, tasks that change their service"""
    ids = [cpu.service(dev, "a", cpu_weight=100), cpu.service(dev, "b", cpu_weight=300)]
    cpu.exact(dev, ids, *[lambda: cpu.alternate(dev, *ids, 1, ids[0])] * 3)


@cpu.scheduled
def serving(dev):
    """So are servers, for which it is open after each reply whose their time is"""
    vs.in_child(lambda: cpu.exact(dev, *server_jobs(dev)))


@cpu.scheduled
def alone(dev):
    """A task that changes its VS every few ms is charged within 2 % of the true time"""
    vs.in_child(lambda: cpu.alternating(dev, 0))


@cpu.scheduled
def crowded(dev):
    """So it is among others"""
    vs.in_child(lambda: cpu.alternating(dev, 3))


vs.main()
