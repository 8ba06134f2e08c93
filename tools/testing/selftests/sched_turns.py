#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 300
"""scx_vs: a task that has not wanted the CPU for long takes turns with the others from then on. One
CPU, in virtual time.
"""

import ctypes
import mmap
import time

import cpu
import vs


@cpu.scheduled
def turns(dev):
    """A service does not save up CPU time that it did not want: when it comes after others have
    worked for long, it takes turns with them at once
    """
    a, b = (cpu.service(dev, name, cpu_weight=100) for name in "ab")
    stretch = ctypes.c_double.from_buffer(mmap.mmap(-1, 8))

    def now_and_then():
        while True:
            time.sleep(0.5)
            since = last = began = time.monotonic()
            while last < began + 0.2:
                now = time.monotonic()
                if now > last + 1e-3:  # another task has run
                    since = now
                stretch.value = max(stretch.value, now - since)
                last = now

    with cpu.spinning(dev, (a, 2), (b, 1, {"job": now_and_then})):
        time.sleep(6)
    print(f"# the longest stretch: {stretch.value * 1e3:.1f} ms", flush=True)
    vs.within(stretch.value, 0, 0.025, "seconds that it ran while others waited")


@cpu.scheduled
def alone(dev):
    """A task does not save up CPU time either: when it comes after another task of the service has
    had the CPU to itself for long, it takes turns with it at once
    """
    a = cpu.service(dev, "a", cpu_weight=100)
    waits = (ctypes.c_double * 2).from_buffer(mmap.mmap(-1, 16))
    began = time.monotonic()

    def spin(number):
        """Spins from `number` * 5 s on, and records the longest time that it has to wait."""
        last = began + number * 5
        time.sleep(max(0, last - time.monotonic()))
        while True:
            now = time.monotonic()
            if now > began + 5:
                waits[number] = max(waits[number], now - last)
            last = now

    with cpu.spinning(
        dev, *((a, 1, {"job": lambda number=number: spin(number)}) for number in range(2))
    ):
        time.sleep(began + 8 - time.monotonic())
    print(
        "# the longest times that they waited: {:.1f} ms, {:.1f} ms".format(
            *(1e3 * one for one in waits)
        ),
        flush=True,
    )
    # a task that comes and wrongly keeps the CPU does so until a kernel thread interrupts it: 164
    # ms were seen
    vs.within(max(waits), 0.001, 0.05, "seconds that one waited")


vs.main()
