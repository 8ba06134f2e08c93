#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures how long a light party waits for the CPU while another one floods, and the shares of up
to 1,000 parties, by scheduler, in one boot.

    tools/vm/setup --peers
    tools/vm/run --icount 4 --timeout 5400 -- tools/bench/delays.py [wake|many|thousand|deep]...

In virtual time, one CPU, 16 ns an instruction: 62 million instructions a second, a slow machine.
Results also go to build/bench/delays.json.
wake   cyclictest in `light`, every 10 ms, while `flood` of the same weight has 1 or 20 tasks that
       spin: its delays, in us.
many   N parties of weights 50, 100, 150 and 200 in turns, a task that spins each: the error of each
       one's share, in percent of what it should have, after N seconds (20 to 300) and after LONG
       times as many: the mean, and the largest.
       (A slice of 4 ms is 0.4 % of what a party has in N seconds, of 1,000 in 300 1.3 %.)
deep   two parties of equal weight, one of which is below so many others; the error of its share.
"""

import contextlib
import subprocess
import sys
import time

from part import keep
from setups import Flat, Groups, Services, Simple, cpu, prepared, spinning

LOOPS, INTERVAL = 1000, 10000  # of cyclictest; us
MANY, WEIGHTS = (2, 10, 100), (50, 100, 150, 200)
LONG = 8
DEEP = (1, 4, 8, 14)


@contextlib.contextmanager
def tree_of(kind, tree):
    with kind.scheduler():
        where = kind(tree)
        try:
            with cpu.first_in_line():
                yield where
        finally:
            where.close()


def wake(kind, tasks):
    """Returns the mean, the 99th percentile and the largest of the light party's delays, in us."""
    with (
        tree_of(kind, {"light": (None, 100), "flood": (None, 100)}) as where,
        spinning(where, ["flood"] * tasks),
    ):
        with subprocess.Popen(
            [
                "sh",
                "-c",
                'read go; exec "$@"',
                "sh",
                "cyclictest",
                "--mlockall",
                "--quiet",
                "--policy=other",
                f"--interval={INTERVAL}",
                f"--loops={LOOPS}",
                "--histogram=200000",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            where.place(process.pid, "light")
            said, _ = process.communicate("go\n")
    delays = []
    for line in said.splitlines():
        if line and not line.startswith("#"):
            delay, count = map(int, line.split())
            delays += [delay] * count
    over = next(
        int(line.split()[-1])
        for line in said.splitlines()
        if line.startswith("# Histogram Overflows")
    )
    if over or len(delays) < LOOPS:
        raise SystemExit(f"cyclictest counted {len(delays)} delays and {over} beyond 200 ms")
    return [
        {
            "mean": round(sum(delays) / len(delays)),
            "99th": delays[len(delays) * 99 // 100],
            "largest": delays[-1],
        }
    ]


def errors(where, names, wanted, *times):
    """Returns the error of each party's share since the beginning, in percent of the right share,
    at each of the times, in s: the mean, and the largest.
    """
    rows = []
    with spinning(where, names):
        time.sleep(1 + times[0] / 10)
        began, before = time.monotonic(), [where.used(name) for name in names]
        for at in times:
            time.sleep(began + at - time.monotonic())
            had = [where.used(name) - was for name, was in zip(names, before)]
            off = [
                abs(100 * (one / sum(had) * sum(wanted) / want - 1))
                for one, want in zip(had, wanted)
            ]
            rows.append(
                {
                    "seconds": at,
                    "mean": round(sum(off) / len(off), 3),
                    "largest": round(max(off), 3),
                }
            )
    return rows


def many(kind, number):
    names = [f"p{n}" for n in range(number)]
    wanted = [WEIGHTS[n % len(WEIGHTS)] for n in range(number)]
    seconds = min(max(20, number), 300)
    with tree_of(kind, {name: (None, weight) for name, weight in zip(names, wanted)}) as where:
        return errors(where, names, wanted, seconds, LONG * seconds)


def deep(kind, depth):
    tree, above = {"flat": (None, 100)}, None
    for level in range(depth):
        above, tree[f"d{level}"] = f"d{level}", (above, 100)
    with tree_of(kind, tree) as where:
        return errors(where, ["flat", above], [1, 1], 20)


PARTS = {
    "wake": (wake, (1, 20), (Groups, Services, Flat, Simple), "spinning tasks"),
    # not scx_flatcg, which the kernel ends at 100 (a task waited for 37 s), nor EEVDF at 1,000,
    # where RCU stalls
    "many": (many, MANY, (Groups, Services), "parties"),
    "thousand": (many, (1000,), (Services,), "parties"),
    "deep": (deep, DEEP, (Groups, Services, Flat), "levels"),
}


def main():
    rows = []
    with prepared():
        for part in sys.argv[1:] or PARTS:
            function, numbers, kinds, what = PARTS[part]
            for number in numbers:
                for kind in kinds:
                    for row in function(kind, number):
                        rows.append({"part": part, "setup": kind.name, "number": number, **row})
                        print(f"# {rows[-1]}", flush=True)
    keep("delays", rows)
    print("\n| what | set-up | figures |\n| --- | --- | --- |")
    for row in rows:
        figures = ", ".join(
            f"{name} {row[name]}" for name in ("mean", "99th", "largest") if name in row
        )
        after = f", {row['seconds']} s" if "seconds" in row else ""
        title = f"{row['part']}: {row['number']} {PARTS[row['part']][3]}{after}"
        print(f"| {title} | {row['setup']} | {figures} |")


main()
