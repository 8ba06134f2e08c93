#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 240
# expect: sched_ext: BPF scheduler "vs" disabled \(runnable task stall\)
"""The kernel ejects scx_vs: by its watchdog, because a task does not get to run, and by the
administrator's key.

The stall is a real one. A real-time task keeps a CPU to itself for good, with the kernel's deadline
server turned off, and a task waits that may run nowhere else.
"""

import contextlib
import mmap
import os
import pathlib
import re
import time

import cpu
import vs

SERVER = pathlib.Path("/sys/kernel/debug/sched/ext_server/cpu1/runtime")
# seconds, .timeout_ms of scx_vs; it looks twice as often, so that it may take half as much again
WATCHDOG = 30
SLACK = 15 + (10 if vs.SLOWNESS == 1 else 240)  # and some until all tasks have begun and ended


def status(*words):
    """Checks that `vsctl status` says that the scheduler has ended, and these words."""
    said = vs.vsctl("status")
    for word in ("scx_vs has stopped", *words):
        if word not in said:
            raise AssertionError(f"status does not say {word!r}: {said}")


def again():
    """Checks that `vsctl up` reports the cause, and brings the scheduler back."""
    said = vs.run("vsctl", "up")
    vs.eq((said.returncode, cpu.scheduler()), (0, "vs"), said.stderr)
    if "the scheduler had stopped" not in said.stderr:
        raise AssertionError(f"up does not say what was: {said.stderr}")


@contextlib.contextmanager
def kernel_first():
    """Gives the kernel threads that RCU needs on CPU 1 a higher priority than the least real-time
    one. Under PREEMPT_RT they have the least one, and would wait: then an RCU stall would end
    scx_vs first.
    """
    found = {}
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if re.fullmatch(r"(rcuc|ktimers|irq_work)/1\n", comm.read_text(encoding="ascii")):
                pid = int(comm.parent.name)
                found[pid] = os.sched_getscheduler(pid), os.sched_getparam(pid)
    for pid, (policy, parameter) in found.items():
        if policy == os.SCHED_FIFO:
            os.sched_setscheduler(pid, policy, os.sched_param(max(2, parameter.sched_priority)))
    try:
        yield
    finally:
        for pid, was in found.items():
            os.sched_setscheduler(pid, *was)


@vs.test
def stall(dev):
    """A task waits for 30 s: the default scheduler takes over, charges stay exact, status tells the
    cause, `vsctl up` brings scx_vs back
    """
    vs.vsctl("up")
    ids = [cpu.service(dev, "a", cpu_weight=100)]
    runtime = SERVER.read_text(encoding="ascii")
    taken, over = os.pipe(), mmap.mmap(-1, 1)
    began = time.monotonic()

    def until_thrown_out():
        while cpu.scheduler():
            pass
        over[0] = 1

    def hog():
        os.sched_setaffinity(0, {1})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.write(taken[1], b"x")
        # without a system call: a lock of the kernel could make it sleep, and the other task would
        # run
        while not over[0]:
            pass

    def waits():
        # if it had run there before, in an RCU read section, RCU would stall, and end scx_vs too
        # soon
        os.read(taken[0], 1)
        os.sched_setaffinity(0, {1})
        cpu.spin(0.2)

    try:
        os.sched_setaffinity(0, {0})
        SERVER.write_text("0", encoding="ascii")
        with kernel_first():
            cpu.exact(dev, ids, hog, waits, until_thrown_out, *cpu.ping_pong(500))
        vs.within(time.monotonic() - began, WATCHDOG, WATCHDOG + SLACK, "seconds until it was over")
        status("runnable task stall")
    finally:
        SERVER.write_text(runtime, encoding="ascii")
        os.sched_setaffinity(0, {0, 1})
    again()
    vs.vsctl("down")


@vs.test
def key(dev):
    """Sysrq S, pressed under load: charges stay exact, status tells the cause, `vsctl up` brings
    scx_vs back
    """
    vs.vsctl("up")

    def press():
        cpu.spin(0.2)
        pathlib.Path("/proc/sysrq-trigger").write_text("S", encoding="ascii")
        cpu.spin(0.2)

    cpu.exact(dev, [dev.create("a")], press, lambda: cpu.spin(0.5), *cpu.ping_pong(500))
    vs.until(lambda: cpu.scheduler() is None, what="it ends")
    status("sysrq")
    again()
    vs.vsctl("down")


vs.main()
