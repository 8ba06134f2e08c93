#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""What the gates cost, in instructions: system calls without and with them, side by side in one boot.

    tools/vm/run --icount 0 --timeout 1200 -- tools/bench/gates.py [--each] [KIND...]

In virtual time (shift 0) a nanosecond is an instruction. build/bench/calls makes the calls, REPEATS times ROUNDS rounds
of each kind in each state; the least repeat counts, since interrupts and what they defer only add, and the spread is how
much more the median repeat took.
--each, instead of the states: one gate attached at a time, to see which one costs what.
The results are also in build/bench/gates.json.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/testing/selftests"))
import vs  # pylint: disable=wrong-import-position

REPEATS = 7
# kind as `calls` knows it, rounds, what a round is
KINDS = {
    "getppid": (2000, "getppid"),
    "open": (500, "open, close"),
    "pipe": (500, "pipe, 2 close"),
    "socket": (500, "socket, close"),
    "fork": (200, "fork, exit, wait"),
    "exec": (60, "fork, exec, exit, wait"),
    "tcp": (100, "TCP: socket … close"),
    "unix": (100, "unix: socket … close"),
    "tcp-bytes": (300, "TCP: 2 send, 2 recv"),
    "unix-byte": (300, "unix: send, recv"),
    "udp-byte": (300, "UDP: send, recv"),
}
# what `calls` prints besides: the server's part of a connection
PARTS = {"tcp-accept": "  of which accept", "tcp-recv": "  of which recv",
         "unix-accept": "  of which accept", "unix-recv": "  of which recv"}
# all but `packet`, which packets.py measures
GATES = ("fork", "exec", "exit", "setuid", "setgid", "socket", "socketpair", "connect", "accept", "send", "recv",
         "close", "wait")
GATES_WITH_RULES = tuple(gate for gate in GATES if gate in vs.ENTITIES)


def measure(kinds, place=None):
    """{figure: (least, median)} of the kinds, by processes of the service that place(pid) puts them in."""
    found = {}
    for kind in kinds:
        process = subprocess.Popen(["setarch", "-R", "sh", "-c", 'read go; exec "$@"', "sh", "/tmp/calls", kind,
                                    str(KINDS[kind][0]), str(REPEATS)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if place:
            place(process.pid)
        said, _ = process.communicate("go\n")
        if process.returncode:
            raise SystemExit(f"calls {kind}: exit {process.returncode}")
        times = {}
        for line in said.splitlines():
            name, value = line.split()
            times.setdefault(name, []).append(float(value))
        found.update({name: (min(values), statistics.median(values)) for name, values in times.items()})
    return found


def states(kinds):
    """Yields the name of each state, and what was measured in it."""
    yield "module absent", measure(kinds)
    subprocess.run(["insmod", os.environ.get("VS_MODULE", "/vs/build/module/vs.ko")], check=True)
    yield "loaded", measure(kinds)
    vs.vsctl("up", "--no-sched", "--gates", ",".join(GATES))
    yield "gates, no rule, untagged", measure(kinds)
    device = vs.Device()
    pg, a, b, nobody = (device.create(name) for name in ("pg", "a", "b", "nobody"))
    yield "gates, no rule, tagged", measure(kinds, lambda pid: device.place(pid, pg))
    for gate in GATES_WITH_RULES:
        device.add(gate, [nobody], [a], uid=77)
    yield "rules of others", measure(kinds, lambda pid: device.place(pid, pg))
    for gate in GATES_WITH_RULES:
        device.add(gate, [pg], [a], uid=77)
    yield "rules that do not match", measure(kinds, lambda pid: device.place(pid, pg))
    for gate, left, right in (
            ("fork", [pg], [vs.ANY, a]), ("exec", [a], [b]), ("socket", [pg], [vs.ANY, a]), ("connect", [pg], [vs.ANY, a]),
            ("accept", [pg], [vs.REF(1)]), ("recv", [pg], [a]), ("recv", [a], [b]), ("recv", [b], [a])):
        device.add(gate, left, right)
    before = device.stat(a).rebinds + device.stat(b).rebinds
    yield "rules that re-bind", measure(kinds, lambda pid: device.place(pid, pg))
    if device.stat(a).rebinds + device.stat(b).rebinds < before + 1000 and len(kinds) == len(KINDS):
        raise SystemExit("nothing was bound anew")
    device.close()
    vs.vsctl("down")
    subprocess.run(["rmmod", "vs"], check=True)


def each(kinds):
    """The same, of one gate at a time."""
    subprocess.run(["insmod", os.environ.get("VS_MODULE", "/vs/build/module/vs.ko")], check=True)
    yield "none", measure(kinds)
    for gate in GATES:
        vs.vsctl("up", "--no-sched", "--gates", gate)
        yield gate, measure(kinds)
    vs.vsctl("down")
    subprocess.run(["rmmod", "vs"], check=True)


def main():
    words = sys.argv[1:]
    run = each if "--each" in words else states
    kinds = [word for word in words if word != "--each"] or list(KINDS)
    shutil.copy(REPO / "build/bench/calls", "/tmp/calls")
    figures = [name for kind in kinds for name in (kind, f"{kind}-accept", f"{kind}-recv") if name in KINDS or name in PARTS]
    columns = {}
    for state, found in run(kinds):
        columns[state] = found
        print(f"measured: {state}", flush=True)
    first = next(iter(columns))
    print(f"\nInstructions a round: {first}, and what the others cost more")
    for number, state in enumerate(columns):
        print(f"  ({number}) {state}")
    print(f"\n{'':24}{'(0)':>12}{'spread':>8}" + "".join(f"{f'({n})':>18}" for n in range(1, len(columns))))
    rows = []
    for name in figures:
        what = PARTS.get(name) or KINDS[name][1]
        base, median = columns[first][name]
        line = f"{what:24}{base:12.0f}{100 * (median / base - 1):7.2f}%"
        for state, found in columns.items():
            least, median = found[name]
            rows.append({"figure": name, "state": state, "instructions": least, "percent": 100 * (least / base - 1),
                         "spread_percent": 100 * (median / least - 1)})
            if state != first:
                line += f"{least - base:+9.0f} {100 * (least / base - 1):+7.2f}%"
        print(line)
    print(f"\nmedian of {REPEATS} repeats above the least: at most {max(row['spread_percent'] for row in rows):.2f} %")
    (REPO / "build/bench/gates.json").write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


main()
