#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=0
# limit: 1200
# module: no
"""The instructions of system calls with the gates, compared with those without the module in the
same boot, and with tools/bench/reference.json.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))
import states  # pylint: disable=wrong-import-position
import vs  # pylint: disable=wrong-import-position

KINDS = ("fork", "tcp-bytes", "unix", "unix-byte", "udp-byte")
STATES = ("no rule", "no match", "re-bound")
GROWTH = 1.02
RECORD = pathlib.Path("/vs/build/bench/reference.json")
PREEMPT_RT = "PREEMPT_RT" in os.uname().version
# The largest allowed difference to a figure without the module, in each of STATES and in any
# kernel. The difference is the same to a few instructions in all rows of the kernel matrix, except
# for fork, as what a child leaves is freed later, in a round of its own or in another's: it differs
# by up to 800 of 305,000 from boot to boot. Under PREEMPT_RT it is half as much again, 5,100 to
# 7,200 of 314,000, and has no bound.
BOUNDS = {
    "fork": (4800, 5400, 6500),
    "tcp-bytes": (2900, 6200, 9900),
    "udp-byte": (1900, 3500, 4700),
    "unix-accept": (1100, 1550, 2400),
    "unix-byte": (950, 2650, 3850),
    "unix-connect": (1600, 2050, 2350),
    "unix-recv": (400, 1150, 1650),
    "unix-send": (580, 1400, 2200),
}


@functools.cache
def measured():
    """{state: {figure: instructions}}, all of one boot."""
    states.prepare()
    return {
        state: {
            figure: least
            for figure, (least, _) in states.measure(KINDS, place, 5).items()
            if figure in BOUNDS
        }
        for state, place in states.states((states.BASE, *STATES))
    }


@vs.test
def no_call_takes_more_than_its_bound():
    """No system call takes more instructions than its bound allows beyond those without the
    module
    """
    if vs.SLOWNESS > 1:
        vs.skip(
            "this kernel checks itself at each step: its instructions are not those that users pay"
        )
    found = measured()
    beyond = []
    for number, state in enumerate(STATES):
        for figure, now in found[state].items():
            more, most = now - found[states.BASE][figure], BOUNDS[figure][number]
            base = found[states.BASE][figure]
            bounded = figure != "fork" or not PREEMPT_RT
            bound = f"at most {most:+}" if bounded else "no bound under PREEMPT_RT"
            print(f"# {state}: {figure}: {base:.0f} {more:+.0f}, {bound}")
            if bounded and more > most:
                beyond.append(f"{state}: {figure}: {more:+.0f} instructions, at most {most:+}")
    vs.eq(beyond, [], "beyond their bounds")


@vs.test
def no_call_takes_more_than_it_did():
    """No system call takes more than 2 % more instructions than tools/bench/reference.json says"""
    release = os.uname().release
    reference = json.loads((BENCH / "reference.json").read_text(encoding="utf-8")).get(release)
    if not reference:
        vs.skip(f"no reference for {release}, only bounds: tools/bench/reference makes it")
    found = measured()
    grown = []
    for state in STATES:
        for figure, now in found[state].items():
            was = reference[state][figure]
            print(f"# {state}: {figure}: {now:.0f}, {100 * (now / was - 1):+.2f} %")
            if now > was * GROWTH:
                grown.append(
                    f"{state}: {figure}: {now:.0f} instructions, {was:.0f} by the reference"
                )
    vs.eq(grown, [], "grown (if it has to be, tools/bench/reference makes it the new reference)")


if sys.argv[1:] == ["--record"]:
    RECORD.write_text(json.dumps({os.uname().release: measured()}), encoding="utf-8")
    subprocess.run(["sync"], check=True)
else:
    vs.main()
