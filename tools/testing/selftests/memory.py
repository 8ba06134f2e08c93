# SPDX-License-Identifier: MIT OR Apache-2.0
"""The kernel's memory, by its own counters."""

import time


def memory():
    """KiB in use: unreclaimable slab, vmalloc and per-CPU memory, after all objects that wait for a
    grace period have been freed.
    """
    time.sleep(1)
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
        caches.write("3")
    time.sleep(1)
    with open("/proc/meminfo", encoding="ascii") as lines:
        values = dict(line.split(":") for line in lines)
    return {name: int(values[name].split()[0]) for name in ("SUnreclaim", "VmallocUsed", "Percpu")}
