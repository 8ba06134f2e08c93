#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=0
# limit: 1200
# module: no
"""What system calls take with the gates, in instructions, beside what they took when tools/bench/reference.json was made."""
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


def measured():
    """{state: {figure: instructions}}"""
    states.prepare()
    return {state: {figure: least for figure, (least, _) in states.measure(KINDS, place, 5).items() if figure != "unix"}
            for state, place in states.states(STATES)}


@vs.test
def no_call_takes_more_than_it_did():
    """No system call takes more than 2 % more instructions than tools/bench/reference.json says"""
    release = os.uname().release
    reference = json.loads((BENCH / "reference.json").read_text(encoding="utf-8")).get(release)
    if not reference:
        vs.skip(f"no reference for {release}: tools/bench/reference makes it")
    found = measured()
    grown = []
    for state, figures in found.items():
        for figure, now in figures.items():
            was = reference[state][figure]
            print(f"# {state}: {figure}: {now:.0f}, {100 * (now / was - 1):+.2f} %")
            if now > was * GROWTH:
                grown.append(f"{state}: {figure}: {now:.0f} instructions, {was:.0f} by the reference")
    vs.eq(grown, [], "grown (if it has to be, tools/bench/reference makes it the new reference)")


if sys.argv[1:] == ["--record"]:
    RECORD.write_text(json.dumps({os.uname().release: measured()}), encoding="utf-8")
    subprocess.run(["sync"], check=True)
else:
    vs.main()
