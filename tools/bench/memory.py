#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures the memory of a service, a rule, a tagged task and a tagged socket, in bytes.

    tools/vm/run --cpus 2 --memory 3G --timeout 900 -- tools/bench/memory.py

Each is made by the thousand, and the growth of the kernel's memory is divided by their number:
objects in use of every slab cache (after shrinking them), pages of vmalloc, pages and per-CPU
memory. For tasks and sockets, only the growth beyond that of as many untagged ones counts. Python's
own memory is not included. The results are also in build/bench/memory.json.
"""

import ctypes
import os
import pathlib
import resource
import socket
import struct
import subprocess
import time

from part import keep, loaded, vs

SERVICES, RULES, TASKS, SOCKETS = 10_000, 100_000, 2_000, 20_000
PAGE = os.sysconf("SC_PAGE_SIZE")


def used():
    """{what: bytes}"""
    time.sleep(5)  # objects that wait for a grace period are freed meanwhile
    for cache in pathlib.Path("/sys/kernel/slab").glob("*/shrink"):
        cache.write_text("1\n", encoding="ascii")
    found = {}
    for line in pathlib.Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()[2:]:
        name, active, _, size = line.split()[:4]
        found[f"slab {name}"] = int(active) * int(size)
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, kilobytes = line.replace("kB", "").split(":")
        if name in ("VmallocUsed", "Percpu"):
            found[name] = int(kilobytes) * 1024
    return found


def more(before, after):
    return {
        name: after[name] - before.get(name, 0)
        for name in after
        if after[name] != before.get(name, 0)
    }


def show(rows, what, goal, count, grown, without=None):
    """A row: the memory of `count` of them, beyond that of as many without it."""
    without = without or {}
    each = {
        name: (grown.get(name, 0) - without.get(name, 0)) / count for name in {*grown, *without}
    }
    each = {name: value for name, value in each.items() if abs(value) >= 0.5}
    percpu = each.pop("Percpu", 0)
    total = sum(each.values())
    rows.append({"what": what, "bytes": total, "percpu_bytes": percpu, "goal": goal, "where": each})
    where = ", ".join(
        f"{name} {value:.0f}"
        for name, value in sorted(each.items(), key=lambda item: -abs(item[1]))[:5]
    )
    print(f"{what:16}{count:8,}{total:10.0f}{percpu:10.0f}  {goal:26}{where}", flush=True)


def rules(device, count, names):
    """`count` rules for services of these names."""
    size = ctypes.sizeof(vs.uapi.vs_rule)
    one = vs.rule("recv", [1], [1], uid=1)
    memory = bytearray(bytes(one) * count)
    for n in range(count):
        struct.pack_into("=I", memory, n * size + type(one).uid.offset, n)
    device.apply(names, (vs.uapi.vs_rule * count).from_buffer(memory), prune=True)


def tasks(place):
    """The memory of TASKS sleeping processes, each placed by place(pid)."""
    before = used()
    leader = subprocess.Popen(
        [
            "python3",
            "-c",
            f"""
import os, signal
for n in range({TASKS}):
    if not os.fork():
        signal.pause()
print("there", flush=True)
signal.pause()""",
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: place(os.getpid()),
    )
    leader.stdout.readline()
    grown = more(before, used())
    vs.kill_sessions(leader)
    return grown


def close(ends):
    """Closes the sockets so that nothing is left in TIME_WAIT."""
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()


def sockets(enter):
    """The memory of SOCKETS connected TCP sockets that this task makes after enter()."""
    enter()
    before = used()
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    ends = []
    for _ in range(SOCKETS // 2):
        ends.append(socket.create_connection(server.getsockname()))
        ends.append(server.accept()[0])
    grown = more(before, used())
    return grown, [server, *ends]


def main():
    vs.adopt()
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOCKETS + 1000, SOCKETS + 1000))
    pathlib.Path("/proc/sys/kernel/pid_max").write_text("100000\n", encoding="ascii")
    rows = []
    print(f"{'':16}{'made':>8}{'bytes':>10}{'per-CPU':>10}  {'goal':26}of which")

    with loaded():
        vs.vsctl("up", "--no-sched")
        device = vs.Device()
        before = used()
        names = [vs.config_service(f"s{n}", cpu_weight=100) for n in range(SERVICES)]
        device.apply(names)
        show(rows, "service", "4096 beside per-CPU", SERVICES, more(before, used()))
        device.apply(names[:1], prune=True)

        before = used()
        rules(device, RULES, names[:1])
        show(rows, "rule", "", RULES, more(before, used()))
        device.apply(names[:1], prune=True)

        a = device.find("s0").id
        untagged = tasks(lambda pid: None)
        show(rows, "tagged task", "64", TASKS, tasks(lambda pid: device.place(pid, a)), untagged)

        untagged, opened = sockets(lambda: None)
        close(opened)
        begun = device.stat(a).sockets
        tagged, opened = sockets(lambda: device.place(os.getpid(), a))
        vs.eq(device.stat(a).sockets - begun, SOCKETS + 1, "sockets counted for the service")
        show(rows, "tagged socket", "128", SOCKETS, tagged, untagged)
        close(opened)
        device.place(os.getpid(), vs.ROOT)
        vs.until(lambda: device.stat(a).sockets == begun, 90, "all sockets are counted off")
        device.close()
        vs.vsctl("down")
    keep("memory", rows)


main()
