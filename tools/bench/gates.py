#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures the cost of the gates in instructions: system calls without and with them, side by side
in one boot.

    tools/vm/run --icount 0 --timeout 1200 -- tools/bench/gates.py [--each] [KIND...]

In virtual time (shift 0) a nanosecond is an instruction. Each kind of call is made in each of the
states that states.py lists: REPEATS times some rounds of it; the least repeat counts, since
interrupts and what they defer only add, and the spread is how much more the median repeat took. The
first state is the base of all others: the module absent, in the same boot.
--each, instead of the states: one gate attached at a time, to see which one costs what.
The results are also in build/bench/gates.json.
"""

import sys

import states
from part import keep, loaded, vs
from states import BASE, GATES, KINDS, REPEATS


def each():
    """Measures with one gate attached at a time."""
    yield BASE, None
    with loaded():
        yield "loaded", None
        for gate in GATES:
            vs.vsctl("up", "--no-sched", "--gates", gate)
            yield gate, None
        vs.vsctl("down")


def main():
    words = sys.argv[1:]
    kinds = [word for word in words if word != "--each"] or list(KINDS)
    states.prepare()
    columns = {}
    for state, place in each() if "--each" in words else states.states():
        columns[state] = states.measure(kinds, place)
        print(f"measured: {state}", flush=True)
    print(f"\nInstructions a round: {BASE} in the same boot, and what the others cost more")
    for number, state in enumerate(columns):
        print(f"  ({number}) {state}")
    print(
        f"\n{'':24}{'(0)':>12}{'spread':>8}"
        + "".join(f"{f'({n})':>18}" for n in range(1, len(columns)))
    )
    rows = []
    for name in states.figures(kinds):
        base, median = columns[BASE][name]
        line = f"{states.title(name):24}{base:12.0f}{100 * (median / base - 1):7.2f}%"
        for state, found in columns.items():
            least, median = found[name]
            rows.append(
                {
                    "figure": name,
                    "state": state,
                    "instructions": least,
                    "percent": 100 * (least / base - 1),
                    "spread_percent": 100 * (median / least - 1),
                }
            )
            if state != BASE:
                line += f"{least - base:+9.0f} {100 * (least / base - 1):+7.2f}%"
        print(line)
    spread = max(row["spread_percent"] for row in rows)
    print(f"\nmedian of {REPEATS} repeats above the least: at most {spread:.2f} %")
    if "re-bound" in columns and "tcp" in kinds:
        stays, bound = columns["match same VS"], columns["re-bound"]
        print(
            "one re-binding by itself, which is what a call costs more when it binds to another"
            " VS: "
            + ", ".join(
                f"{bound[name][0] - stays[name][0]:.0f} (TCP {name[4:]})"
                for name in ("tcp-accept", "tcp-recv")
            )
        )
    keep("gates", rows)


main()
