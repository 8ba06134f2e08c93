#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 180
"""CPU accounting: a task that changes its VS while it runs is charged to each for its own time,
with any scheduler.
"""

import time

import cpu
import vs


@vs.gated
def default(dev):
    """Under the default scheduler charges are within 2 % of the true time, alone and in a crowd"""
    for crowd in (0, 3):
        vs.in_child(lambda crowd=crowd: cpu.alternating(dev, crowd))
        dev.apply(prune=True)


@vs.gated
def counted(dev):
    """Charges for tasks that preempt each other, wait for each other and change their service equal
    the kernel's count
    """
    ids = [dev.create("a"), dev.create("b")]
    cpu.exact(
        dev,
        ids,
        *[lambda: cpu.alternate(dev, *ids, 1, ids[0])] * 2,
        *cpu.ping_pong(500),
        *cpu.ping_pong(500),
    )


@vs.gated
def sums(dev):
    """A service's charges equal the kernel's count for its tasks"""
    a = cpu.service(dev, "a")
    with cpu.spinning(dev, (a, 3)) as pids:
        counted, charged = [], []
        for _ in range(2):
            # to read one figure takes time, so the other is read before and after it
            first = sum(map(cpu.runtime, pids))
            charged.append(dev.stat(a).cpu_ns / 1e9)
            counted.append((first, sum(map(cpu.runtime, pids))))
            time.sleep(4)
        # each charge may be a tick old on each CPU
        vs.within(
            charged[1] - charged[0],
            counted[1][0] - counted[0][1] - 0.03,
            counted[1][1] - counted[0][0] + 0.03,
            "charged seconds",
        )


vs.main()
