#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
# module: no
"""The memory of a tagged socket: the kernel's memory for 20,000 of them, compared with as many in
the same boot without the module.
"""

import os
import pathlib
import subprocess
import sys
import time

import gates
import vs

PER_SOCKET = 128  # bytes
SOCKETS = 20000


def kernel_memory():
    """Bytes that the kernel holds in slabs, per-CPU areas, vmalloc, page tables and stacks."""
    lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    held = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return sum(
        held[name] for name in ("Slab", "Percpu", "VmallocUsed", "PageTables", "KernelStack")
    )


HOLD = """
import resource, socket, sys
count = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
print("ready", flush=True)
sys.stdin.read()
"""


def settled_memory():
    """Reads the kernel's memory when grace periods are over."""
    for _ in range(3):
        time.sleep(0.5)
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    return kernel_memory()


def holding(count, dev=None, id=vs.ROOT):
    """The kernel's memory while a process, of service `id` if there is a device, holds so many UDP
    sockets.
    """
    if dev:
        gates.enter(dev, id)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if dev:
        gates.enter(dev, vs.ROOT)
    vs.eq(holder.stdout.readline(), b"ready\n", "the sockets")
    if id != vs.ROOT:
        vs.eq(dev.stat(id).sockets, count, "sockets counted")
    got = settled_memory()
    holder.stdin.close()
    holder.wait()
    holder.stdout.close()
    return got


def each(*service):
    """The bytes of one of many sockets, and the kernel's memory with a single one."""
    holding(SOCKETS, *service)  # memory that the kernel keeps from now on
    one = holding(1, *service)
    return (holding(SOCKETS, *service) - one) / (SOCKETS - 1), one


@vs.test
def memory():
    """20,000 tagged sockets cost at most 128 bytes each beyond the sockets"""
    plain, without = each()
    vs.within(plain, 500, 8000, "bytes of a socket without the module")
    vs.command("insmod", os.environ["VS_MODULE"])
    vs.vsctl("up", "--no-sched")
    dev = vs.Device()
    try:
        untagged, _ = each(dev)
        tagged, beside = each(dev, dev.create("a"))
    finally:
        dev.close()
    print(
        f"# a socket without the module {plain:.0f} bytes; with it, root's"
        f" {untagged - plain:+.0f}, tagged {tagged - plain:+.0f}; "
        f"the module and all gates {(beside - without) / 1024:.0f} KiB",
        flush=True,
    )
    for what, bytes in ("root's", untagged), ("tagged", tagged):
        vs.within(bytes - plain, -PER_SOCKET, PER_SOCKET, f"bytes beyond the socket, {what}")


vs.main()
