#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 300
"""A CPU comes and goes while services with shares and caps work: charges stay exact, and the
scheduler comes back.
"""

import os
import pathlib
import select

import cpu
import vs
from threads import Thread

ROUNDS = int(os.environ.get("VS_ROUNDS", 1))
CPU1 = pathlib.Path("/sys/devices/system/cpu/cpu1/online")


class Flag:
    """An event that forked children can set and see, too."""

    def __init__(self):
        self.reader, self.writer = os.pipe()

    def set(self):
        os.write(self.writer, b"x")

    def wait(self, seconds=0):
        return bool(select.select([self.reader], [], [], seconds)[0])


class Plugging(Thread):
    """Takes CPU 1 away and gives it back, several times, and brings the scheduler up each time. In
    a with block.
    """

    def __init__(self, begin, done):
        super().__init__(self._plug, begin, done)

    @staticmethod
    def _plug(begin, done):
        try:
            vs.eq(begin.wait(30 * vs.SLOWNESS), True, "work has begun")
            for _ in range(ROUNDS):
                for online in "0", "1":
                    CPU1.write_text(online, encoding="ascii")
                    vs.until(lambda: cpu.scheduler() is None, 30, "the scheduler ends")
                    vs.vsctl("up")
        finally:
            done.set()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        try:
            self.end()
        finally:
            CPU1.write_text("1", encoding="ascii")


@cpu.scheduled
def charges(dev):
    """CPU 1 goes and comes under load: charges equal the kernel's count, to the nanosecond"""
    parent = cpu.service(dev, "parent", cpu_weight=300)
    ids = [
        cpu.service(dev, "a", parent, cpu_weight=100),
        cpu.service(dev, "capped", parent, cpu_cap=400),
    ]
    begin, done = Flag(), Flag()

    def works():
        # `vsctl up` must not wait for the tasks while only the kernel's own scheduler runs
        os.nice(19)
        while not done.wait():
            cpu.spin(0.05)

    def changes():
        os.nice(19)
        while not done.wait():
            cpu.alternate(dev, ids[0], ids[1], 0.2, last=ids[0])

    def pinned():
        os.sched_setaffinity(0, {1})
        begin.set()
        works()

    with Plugging(begin, done):
        cpu.exact(dev, ids, works, works, pinned, changes)


@cpu.scheduled
def shares(dev):
    """After CPUs went and came, the scheduler shares by weight, and caps hold"""
    ids = [cpu.service(dev, "heavy", cpu_weight=300), cpu.service(dev, "light", cpu_weight=100)]
    capped = cpu.service(dev, "capped", cpu_cap=400)
    vs.vsctl("up")
    with cpu.spinning(dev, *((id, 3) for id in ids)):
        cpu.near(cpu.shares(dev, ids, 5), [75, 25], 1.5, "percent")
    with cpu.spinning(dev, (capped, 2)):
        # a cap bounds from above; a busy host takes its part, so there is no bound from below
        # (sched_shares.py has virtual time)
        vs.within(cpu.used(dev, [capped], 5)[0], 0.2, 0.42, "CPUs of one with a cap of 40 %")


vs.main()
