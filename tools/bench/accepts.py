#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures what accept() costs with accept_order = "share", by how many connections wait, and to
how many services they belong: instructions, beside "arrival" and the module absent, in one boot.

    tools/vm/run --icount 0 --timeout 1200 -- tools/bench/accepts.py

In virtual time (shift 0) a nanosecond is an instruction. Each figure is the median of ROUNDS calls
of accept4() by one task, with what it takes to call it and to read the clock. Before each call the
queue is filled up again. Results also go to build/bench/accepts.json.
"""

import ctypes
import os
import socket
import statistics
import time

from part import keep, loaded, vs

# isort: split
import gates  # the selftests', which are found before this folder once part is there

ROUNDS = 15
# connections that wait, and services to which they belong in turns
QUEUES = (1, 1), (16, 1), (256, 1), (16, 2), (256, 2), (256, 16)
FAMILIES = {"TCP": socket.AF_INET, "unix": socket.AF_UNIX}
_libc = ctypes.CDLL(None, use_errno=True)


def connect(family, listener):
    one = socket.socket(family)
    one.connect(listener.getsockname())
    return one


def measure(family, number, clients, home):
    """The median of accept4() with so many connections waiting, each made by the next of
    `clients`.
    """
    listener = socket.socket(family)
    listener.bind(("127.0.0.1", 0) if family == socket.AF_INET else b"\0" + os.urandom(8))
    listener.listen(300)
    ends, times, made = [], [], 0
    for n in range(ROUNDS + 2):
        while made < number + n:
            ends.append(clients[made % len(clients)](family, listener))
            made += 1
        home()
        fd = listener.fileno()
        begun = time.perf_counter_ns()
        got = _libc.accept4(fd, None, None, 0)
        times.append(time.perf_counter_ns() - begun)
        os.close(got)
    for one in (*ends, listener):
        one.close()
    # the first of a listener takes the oldest, and what is called first is not in memory yet
    return statistics.median(times[2:])


def rows_of(state, enter, ids, home):
    for title, family in FAMILIES.items():
        for number, services in QUEUES:
            clients = [
                lambda family, listener, id=id: (enter(id), connect(family, listener))[1]
                for id in ids[:services]
            ]
            instructions = measure(family, number, clients, lambda: enter(home))
            yield {
                "state": state,
                "family": title,
                "waiting": number,
                "services": services,
                "instructions": instructions,
            }
            print(f"measured: {state}, {title}, {number} of {services}", flush=True)


def main():
    rows = list(rows_of("module absent", lambda id: None, [0] * 16, 0))
    with loaded():
        vs.vsctl("up", "--no-sched")
        device = vs.Device()
        home = device.create("home")
        ids = [device.create(f"s{n}") for n in range(16)]
        device.detach(home, "accept_order")
        for id in ids:
            device.detach(id, "cpu_weight")
        for order, name in enumerate(("arrival", "share")):
            device.set(home, "accept_order", order)
            rows += rows_of(name, lambda id: gates.enter(device, id), ids, home)
        gates.enter(device, vs.ROOT)
        device.close()
        vs.vsctl("down")
    keep("accepts", rows)
    found = {tuple(row.values())[:4]: row["instructions"] for row in rows}
    print("\nInstructions of accept4(): module absent, and what the others cost more")
    print(f"{'':8}{'waiting':>8}{'services':>9}{'absent':>9}{'arrival':>9}{'share':>9}")
    for title in FAMILIES:
        for number, services in QUEUES:
            base, *others = (
                found[state, title, number, services]
                for state in ("module absent", "arrival", "share")
            )
            print(
                f"{title:8}{number:8}{services:9}{base:9.0f}"
                + "".join(f"{one - base:+9.0f}" for one in others)
            )


main()
