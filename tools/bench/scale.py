#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures what more services, more rules and deeper trees cost at the gates, in instructions, side
by side in one boot.

    tools/vm/run --icount 0 --memory 3G --timeout 2400 -- tools/bench/scale.py

Each gate has rules of three shapes, and no call falls under one: each is looked up in all three.
(1) the caller's service and a uid, (2) any caller and a gid, (3) what identifies the call: the
directory of the program for exec, network and port for connect, accept, send, recv and packet,
protocol and uid for socket, cgroup for fork. One rule means one of each shape and gate, 100,000
rules are as many in all, no two of one shape alike. Services are children of root; the caller is in
the youngest. Depth: how far below root the caller's service lies, without rules. Ratios are of the
gate's own share, which is the difference to the call without the module, and of the whole call.
Instructions do not show cache misses. The results are also in build/bench/scale.json.
"""

import ctypes
import struct

import states
from part import keep, loaded, vs

KINDS = ("fork", "exec", "socket", "tcp", "udp-byte")
FIGURES = "fork exec socket tcp-connect tcp-accept tcp-send tcp-recv udp-byte".split()
GATES = ("fork", "exec", "socket", "connect", "accept", "send", "recv", "packet")
SHAPES = 3
SETS = [(services, rules) for services in (1, 100, 10_000) for rules in (1, 1_000, 100_000)]
DEPTHS = (1, 4, 16)
REPEATS = 5
OFFSET = {
    name: getattr(vs.uapi.vs_rule, name).offset
    for name in ("from", "uid", "gid", "peer", "peer_port", "path", "cgroup")
}


def templates(gate, caller):
    """A rule of each shape, with the function that makes the n-th of it."""

    def number(field, code):
        return lambda memory, at, n: struct.pack_into(code, memory, at + OFFSET[field], 100_000 + n)

    def text(field, pattern):
        return lambda memory, at, n: struct.pack_into(
            "32s", memory, at + OFFSET[field], (pattern % n).encode()
        )

    def peer(memory, at, n):
        struct.pack_into(">I", memory, at + OFFSET["peer"] + 12, 0x0A000000 + (n << 8))

    task = gate != "packet"
    yield (
        (
            vs.rule(gate, [caller], uid=1)
            if task
            else vs.rule(gate, [caller], peer_port=1, peer="10.0.0.0", peer_len=120)
        ),
        number("uid", "=I") if task else peer,
    )
    yield (
        (vs.rule(gate, gid=1) if task else vs.rule(gate, peer="10.0.0.0", peer_len=120)),
        number("gid", "=I") if task else peer,
    )
    if gate == "fork":
        yield vs.rule(gate, cgroup="/a/x"), text("cgroup", "/tenants/of/this/machine/%d")
    elif gate == "exec":
        yield vs.rule(gate, path="/x/*"), text("path", "/tenant%d/*")
    elif gate == "socket":
        yield vs.rule(gate, proto="tcp", uid=1), number("uid", "=I")
    else:
        yield vs.rule(gate, peer="10.0.0.0", peer_len=120, local_port=80), peer


def rules(count, caller, target):
    """`count` rules, or one of each shape and gate if that is more."""
    kinds = [(rule, change) for gate in GATES for rule, change in templates(gate, caller)]
    each = max(count // len(kinds), 1)
    size = ctypes.sizeof(vs.uapi.vs_rule)
    memory = bytearray()
    for rule, change in kinds:
        vs.fill(rule, to=[target, vs.ANY, vs.ANY])
        at = len(memory)
        memory += bytes(rule) * each
        for n in range(each):
            change(memory, at + n * size, n)
    return (vs.uapi.vs_rule * (each * len(kinds))).from_buffer(memory)


def apply(device, names, count):
    """Makes that many rules, for services of these names and no others; the caller's service is the
    last.
    """
    device.apply(names, rules(count, len(names), 1) if count else (), prune=True)
    return device.find(vs.text(names[-1].name)).id


def main():
    states.prepare()
    columns = {"module absent": states.measure(KINDS, repeats=REPEATS)}

    def measure(title, device, id):
        columns[title] = states.measure(KINDS, lambda pid: device.place(pid, id), REPEATS)
        print(f"measured: {title}", flush=True)

    with loaded():
        vs.vsctl("up", "--no-sched")
        device = vs.Device()
        for services, count in SETS:
            id = apply(device, [vs.config_service(f"s{n}") for n in range(services)], count)
            measure(f"{services:,} services, {count:,} rules", device, id)
        for depth in DEPTHS:
            # parents are numbered from 1 on, 0 is root
            id = apply(device, [vs.config_service(f"d{n}", parent=n) for n in range(depth)], 0)
            measure(f"depth {depth}", device, id)
        device.close()
        vs.vsctl("down")

    bare = columns.pop("module absent")
    rows = []
    print(
        "\nInstructions of the gate's share, and ratios to the first line of each group:"
        " of the share, of the whole call"
    )
    print(f"{'':32}" + "".join(f"{name.removeprefix('tcp-'):>20}" for name in FIGURES))
    for title, found in columns.items():
        if title.startswith("1 services, 1 ") or title == "depth 1":
            base = found
        line = f"{title:32}"
        for name in FIGURES:
            share, first = found[name][0] - bare[name][0], base[name][0] - bare[name][0]
            rows.append(
                {
                    "set": title,
                    "figure": name,
                    "instructions": found[name][0],
                    "share": share,
                    "share_ratio": share / first,
                    "ratio": found[name][0] / base[name][0],
                }
            )
            line += f"{share:8.0f} {share / first:5.2f} {found[name][0] / base[name][0]:5.3f}"
        print(line)
    keep("scale", rows)


main()
