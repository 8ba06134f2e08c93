# SPDX-License-Identifier: MIT OR Apache-2.0
"""The checks of the soak test when all is over, each on its own."""

import json
import os
import pathlib
import time

import cpu
import vs
from acts import command, vsctl
from kernellog import leaks
from load import PATIENCE
from memory import memory

# KiB by which each of the three kinds of memory may differ: other parts' caches, and pages that are
# partly used
BOUND = 8192


def bpf():
    """The numbers of BPF programs, maps and links."""
    return {
        kind: len(json.loads(command("bpftool", "--json", kind, "show") or "[]"))
        for kind in ("prog", "map", "link")
    }


def kept():
    """Measures the memory that the kernel keeps, without the module and the load."""
    vs.until(lambda: bpf() == bpf(), PATIENCE, "BPF objects come to rest")
    return memory(), bpf()


def shares():
    """Three to one is shared as 3:1, within 1.5 %"""
    dev = vs.Device()
    try:
        dev.wipe()
        ids = [cpu.service(dev, "heavy", cpu_weight=300), cpu.service(dev, "light", cpu_weight=100)]
        vsctl("up")  # so that the scheduler has queues for the new services
        with cpu.spinning(dev, *((id, 3) for id in ids)):
            got = cpu.shares(dev, ids, 10)
        cpu.near(got, [75, 25], 1.5, "percent")
    finally:
        dev.close()


def exact():
    """Charges equal the kernel's own count, to the nanosecond"""
    dev = vs.Device()
    try:
        cpu.exact(dev, [dev.create("exact")], lambda: cpu.spin(0.5), *cpu.ping_pong(500))
    finally:
        dev.close()


def untagged():
    """No service but root has a task or a socket, and all others can go"""
    dev = vs.Device()
    try:
        dev.place(os.getpid(), vs.ROOT)

        def held():
            return [
                (vs.text(one.name), dev.stat(one.id).tasks, dev.stat(one.id).sockets)
                for one in dev.services()
                if one.id != vs.ROOT and (dev.stat(one.id).tasks or dev.stat(one.id).sockets)
            ]

        deadline = time.monotonic() + 60
        while (left := held()) and time.monotonic() < deadline:
            time.sleep(0.5)
        for task in json.loads(vsctl("ps", "--json")) if left else ():
            if task["home"] != "root":
                status = pathlib.Path("/proc", str(task["pid"]), "stat")
                print(f"# {task} {status.read_text(encoding='utf-8')[:60]}", flush=True)
        vs.eq(left, [], "services with tasks and sockets")
        dev.apply(prune=True)
        vs.eq(len(dev.services()), 1, "services")
    finally:
        dev.close()
    vs.eq(
        [
            task
            for task in json.loads(vsctl("ps", "--json"))
            if (task["home"], task["current"]) != ("root", "root")
        ],
        [],
        "tagged tasks",
    )
    # a time-wait socket carries the id until it ends, and is counted nowhere: the id rests for as
    # long
    vs.eq(
        [
            sock
            for sock in json.loads(vsctl("ss", "--json"))
            if sock["service"] != "root" and sock["state"] != "TIME-WAIT"
        ],
        [],
        "tagged sockets",
    )


def same(before, after):
    """The kernel keeps what it kept before, within the bound"""
    vs.eq(after[1], before[1], "BPF objects")
    grown = {name: after[0][name] - before[0][name] for name in before[0]}
    print(f"# grown by {grown} KiB", flush=True)
    for name, much in grown.items():
        vs.within(much, -1 << 30, BOUND, f"{name}, KiB more")


def lost():
    """kmemleak finds nothing"""
    found = leaks()
    if found is None:
        vs.skip("this kernel has no kmemleak")
    vs.eq(found, [])
