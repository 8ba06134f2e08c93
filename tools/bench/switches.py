#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures the cost of a wake-up and a switch between two tasks of two parties, in instructions, by
scheduler, in one boot.

    tools/vm/setup --peers
    tools/vm/run --icount 0 --timeout 1800 -- tools/bench/switches.py [KIND...]

In virtual time (shift 0) a nanosecond is an instruction. Two processes, each in a leaf of the same
tree (depth 2), hand a byte to and fro (build/bench/switches): a round is two wake-ups and two
switches. The cost of the same calls by one process is subtracted. The least of REPEATS counts,
since interrupts only add. `hackbench` is a whole run of it, in the first party. `re-bound`: over
the unix connection, with rules that bind the receiver of each byte to the other service.
"""

import shutil
import subprocess
import sys

from part import REPO, keep
from setups import Accounted, Flat, Groups, Services, Simple, prepared

REPEATS, ROUNDS = 7, 1000
TREE = {"top": (None, 100), "a": ("top", 200), "b": ("top", 100), "other": (None, 100)}
KINDS = {
    "alone": "one process, a byte there and back",
    "pipe": "pipe, two processes",
    "socket": "unix connection, two processes",
    "yield": "sched_yield()",
    "hackbench": "hackbench, 2 groups of 10 senders and receivers",
}
HACKBENCH = ["hackbench", "-g", "2", "-f", "5", "-l", "1000", "-p"]


def run(kind, place):
    """{"instructions": of a round, "switches": in it}, the least of the repeats."""
    with subprocess.Popen(
        ["setarch", "-R", "/tmp/switches", kind, str(ROUNDS), str(REPEATS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        place(int(process.stdout.readline()), "a")
        place(int(process.stdout.readline()), "b")
        said, _ = process.communicate("go\n")
    if process.returncode:
        raise SystemExit(f"switches {kind}: exit {process.returncode}")
    return min(
        (
            {"instructions": float(took), "switches": float(switches)}
            for _, took, switches in map(str.split, said.splitlines())
        ),
        key=lambda one: one["instructions"],
    )


def hackbench(place):
    best = None
    for _ in range(3):
        with subprocess.Popen(
            ["sh", "-c", 'read go; exec "$@"', "sh", *HACKBENCH],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            place(process.pid, "a")
            said, _ = process.communicate("go\n")
        took = (
            float(next(line for line in said.splitlines() if line.startswith("Time:")).split()[1])
            * 1e9
        )
        best = min(best or took, took)
    return {"instructions": best, "switches": 0}


def measure(kind, names):
    with kind.scheduler():
        where = kind(TREE)
        try:
            found = {
                name: hackbench(where.place) if name == "hackbench" else run(name, where.place)
                for name in names
            }
            if kind is Services and "socket" in names:
                a, b = where.ids["a"], where.ids["b"]
                where.device.add("recv", [a], [b])
                where.device.add("recv", [b], [a])
                found["re-bound"] = run("socket", where.place)
        finally:
            where.close()
    return found


def main():
    names = sys.argv[1:] or list(KINDS)
    shutil.copy(REPO / "build/bench/switches", "/tmp/switches")
    rows = {}
    with prepared():
        for kind in Groups, Accounted, Services, Flat, Simple:
            rows[kind.name] = measure(kind, names)
            print(f"# {kind.name}: {rows[kind.name]}", flush=True)
    keep(
        "switches",
        [
            {"setup": setup, "kind": kind, **figures}
            for setup, found in rows.items()
            for kind, figures in found.items()
        ],
    )
    columns = [
        name for name in (*KINDS, "re-bound") if any(name in found for found in rows.values())
    ]
    print("\n| set-up | " + " | ".join(columns) + " |\n|" + " --- |" * (len(columns) + 1))
    for name, found in rows.items():
        cells = [
            f"{found[kind]['instructions']:,.0f} ({found[kind]['switches']:.2f})"
            if kind in found
            else ""
            for kind in columns
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(
        "\nInstructions for a round, and switches in it: "
        + "; ".join(f"{name}: {what}" for name, what in KINDS.items())
    )


main()
