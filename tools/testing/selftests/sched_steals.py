#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=4
# limit: 120
"""scx_vs: tasks that may run on some of the CPUs, which idle CPUs among these take over. In real
time, see sched_cpus.py.
"""

import os

import cpu
import vs


def _on(cpus):
    """A job: spins on any of these CPUs."""

    def job():
        os.sched_setaffinity(0, cpus)
        while True:
            pass

    return job


@cpu.scheduled
def capped(dev):
    """A capped service whose tasks may run on two of four CPUs gets its cap, not more"""
    a = cpu.service(dev, "a", cpu_cap=300)
    with cpu.spinning(dev, (a, 4, {"job": _on({0, 1})})):
        cpu.near(cpu.used(dev, [a], 5), [0.3], 0.06, "CPUs")


@cpu.scheduled
def beside(dev):
    """Waiting tasks of a capped service do not keep an idle CPU from taking another service's task
    that waits behind them
    """
    a, b = cpu.service(dev, "a", cpu_cap=10), cpu.service(dev, "b", cpu_weight=100)
    with cpu.spinning(dev, (b, 2, {"job": _on({0, 1})}), (a, 4, {"job": _on({0, 1})})):
        vs.within(cpu.used(dev, [b], 5)[0], 1.5, 2.1, "CPUs")


vs.main()
