#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 240
"""scx_vs ends cleanly: accounting goes on, the cause can be read, and it can be started again."""

import pathlib
import time

import cpu
import vs

CPU1 = pathlib.Path("/sys/devices/system/cpu/cpu1/online")


@vs.test
def hotplug(dev):
    """A CPU goes: the default scheduler takes over, services are charged, `vsctl status` tells the
    cause
    """
    vs.vsctl("up")
    try:
        vs.eq(cpu.scheduler(), "vs", "scheduler")
        a = cpu.service(dev, "a", cpu_weight=200)
        CPU1.write_text("0", encoding="ascii")
        vs.until(lambda: cpu.scheduler() is None, 20, "the scheduler ends")
        with cpu.spinning(dev, (a, 1)):
            vs.within(cpu.used(dev, [a], 2)[0], 0.5, 1.1, "CPUs by the default scheduler")
        said = vs.vsctl("status")
        if "hotplug" not in said and "cpu 1" not in said:
            raise AssertionError(f"status does not say why: {said}")
    finally:
        CPU1.write_text("1", encoding="ascii")
        vs.vsctl("down")


@cpu.scheduled
def again(dev):
    """After a CPU has gone and come, scx_vs can be started again, and shares"""
    ids = [cpu.service(dev, "a", cpu_weight=300), cpu.service(dev, "b", cpu_weight=100)]
    with cpu.spinning(dev, *((id, 3) for id in ids)):
        cpu.near(cpu.shares(dev, ids, 5), [75, 25], 1.5, "percent")


@vs.test
def loaded(dev):
    """scx_vs ends while tasks of many services run and wait, and none is lost"""
    vs.vsctl("up")
    ids = [cpu.service(dev, f"s{n}", cpu_weight=1 + n) for n in range(12)]
    with cpu.spinning(dev, *((id, 1) for id in ids)) as pids:
        vs.eq(cpu.scheduler(), "vs", "scheduler")
        # vsctl down waits for its turn among the spinning tasks, and says that this test has the
        # device open
        vs.run("vsctl", "down")
        vs.eq(cpu.scheduler(), None, "scheduler")
        was = [cpu.runtime(pid) for pid in pids]
        time.sleep(4)
        vs.eq(
            [pid for pid, start in zip(pids, was) if cpu.runtime(pid) == start],
            [],
            "tasks that did not run",
        )


vs.main()
