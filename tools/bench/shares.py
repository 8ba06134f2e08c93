#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""CPU shares of scx_vs beside the kernel's own scheduler with cpu.weight, and beside scx_flatcg, in
one boot.

    tools/vm/setup --peers && tools/vm/run --icount 3 --timeout 3000 -- tools/bench/shares.py

In virtual time, where nothing depends on the machine: one CPU, 8 ns an instruction, each figure
over ten seconds. Results also go to build/bench/shares.json. CPU times are those of the set-up's
own accounts: vs.ko, or cpu.stat.
"""

import time

from part import keep
from setups import Flat, Groups, Services, prepared, spinning

SECONDS = 10
TURN = 0.005  # seconds of CPU time, after which the alternating task changes sides

# name: (parent, weight, spinning tasks, percent wanted)
TWO = {"a": (None, 300, 4, 75), "b": (None, 100, 4, 25)}
# only leaves have tasks: control groups cannot have both
TREE = {
    "a": (None, 300, 0, 0),
    "b": (None, 100, 2, 25),
    "a1": ("a", 100, 2, 37.5),
    "a2": ("a", 100, 0, 0),
    "a21": ("a2", 100, 2, 9.375),
    "a22": ("a2", 300, 2, 28.125),
}


def shares(where, tree):
    """Returns the CPU time of each service with tasks, in percent of their sum."""
    names = [name for name, (_, _, tasks, _) in tree.items() if tasks]
    with spinning(where, [name for name in names for _ in range(tree[name][2])]):
        time.sleep(2)
        before = [where.used(name) for name in names]
        time.sleep(SECONDS)
        had = [where.used(name) - was for name, was in zip(names, before)]
    return {name: round(100 * one / sum(had), 3) for name, one in zip(names, had)}


def alternate(where):
    """Runs one task that works for a and b in turns, among two that spin; returns by how many
    percent each was charged too much.
    """
    spent = {"a": 0.0, "b": 0.0}
    with spinning(where, [None, None]):
        time.sleep(2)
        where.enter("a")
        before = {name: where.used(name) for name in spent}
        at, current = time.thread_time(), "a"
        end = at + SECONDS / 2
        while at < end:
            while time.thread_time() < at + TURN:
                pass
            following = "b" if current == "a" else "a"
            where.enter(following)
            now = time.thread_time()
            spent[current] += now - at
            at, current = now, following
        where.enter(None)
        charged = {name: where.used(name) - was for name, was in before.items()}
    return {name: round(100 * (charged[name] / spent[name] - 1), 3) for name in spent}


def measure(kind):
    """Returns all figures of one set-up. Its scheduler is started for each of them: scx_flatcg does
    not cope with a group's id that is used again.
    """

    def of(tree, function):
        with kind.scheduler():
            where = kind(tree)
            try:
                return function(where)
            finally:
                where.close()

    return {
        "3:1": of(TWO, lambda where: shares(where, TWO)),
        "tree": of(TREE, lambda where: shares(where, TREE)),
        "alternating": of(TWO, alternate),
    }


def wanted(tree):
    return {name: percent for name, (_, _, tasks, percent) in tree.items() if tasks}


def main():
    rows = [
        {
            "setup": "wanted",
            "3:1": wanted(TWO),
            "tree": wanted(TREE),
            "alternating": {"a": 0, "b": 0},
        }
    ]
    with prepared():
        for kind in Services, Groups, Flat:
            rows.append({"setup": kind.name, **measure(kind)})
            print(f"# {rows[-1]}", flush=True)
    keep("shares", rows)

    def line(cells):
        print("| " + " | ".join(cells) + " |")

    print()
    line(
        [
            "set-up",
            "a/b, %",
            "tree: b/a1/a21/a22, %",
            "charged to a/b beyond the true time, alternating, %",
        ]
    )
    line(["---"] * 4)
    for row in rows:
        line(
            [row["setup"]]
            + [
                "/".join(f"{one:.2f}" for one in row[key].values())
                for key in ("3:1", "tree", "alternating")
            ]
        )


main()
