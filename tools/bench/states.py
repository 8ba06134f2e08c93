# SPDX-License-Identifier: MIT OR Apache-2.0
"""System calls, and the states of VS in which they are measured one after another in one boot. For
the guest.

build/bench/calls makes the calls. Ids of services are chosen here: ids that the module chooses
differ from load to load, and with them the places of the rules in the classifier's table.
"""

import shutil
import statistics
import subprocess

from part import REPO, loaded, vs

REPEATS = 7
PROGRAM = "/tmp/calls"
# kind as `calls` knows it, rounds, description of a round
KINDS = {
    "getppid": (2000, "getppid"),
    "stat": (500, "stat"),
    "open": (500, "open, close"),
    "pipe": (500, "pipe, 2 close"),
    "socket": (500, "socket, close"),
    "socketpair": (300, "socketpair, 2 close"),
    "fork": (200, "fork, exit, wait"),
    "exec": (60, "fork, exec, exit, wait"),
    "tcp": (100, "TCP: socket … close"),
    "unix": (100, "unix: socket … close"),
    "tcp-bytes": (300, "TCP: 2 send, 2 recv"),
    "unix-byte": (300, "unix: send, recv"),
    "udp-byte": (300, "UDP: send, recv"),
    "pipe-byte": (500, "pipe: write, read"),
}
# the further figures that `calls` prints for a connection
PARTS = ("connect", "accept", "send", "recv", "close")
# all gates but `packet`, which packets.py measures
GATES = (
    "fork exec exit setuid setgid socket socketpair connect accept send recv close wait read"
).split()
GATES_WITH_RULES = tuple(gate for gate in GATES if gate in vs.ENTITIES)
BASE = "module absent"  # the base of all comparisons, in the same boot
PACKETS, MANY = "packet gate", "10000 services"
PG, A, B, NOBODY = 101, 102, 103, 104


def title(figure):
    """Describes a figure, for a table."""
    kind, _, part = figure.rpartition("-")
    return f"  of which {part}" if kind in KINDS and part in PARTS else KINDS[figure][1]


def figures(kinds):
    """The figures of some kinds."""
    return [
        name
        for kind in kinds
        for name in (kind, *(f"{kind}-{part}" for part in PARTS if kind in ("tcp", "unix")))
    ]


def prepare():
    """Copies the program before the measurement, which must not wait for a file of the host."""
    shutil.copy(REPO / "build/bench/calls", PROGRAM)


def run(kind, rounds, repeats, place=None):
    """Returns the output of `calls`, run by a process in the service in which place(pid) puts
    it.
    """
    process = subprocess.Popen(
        [
            "setarch",
            "-R",
            "sh",
            "-c",
            'read go; exec "$@"',
            "sh",
            PROGRAM,
            kind,
            str(rounds),
            str(repeats),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if place:
        place(process.pid)
    said, _ = process.communicate("go\n")
    if process.returncode:
        raise SystemExit(f"calls {kind}: exit {process.returncode}")
    return said


def measure(kinds, place=None, repeats=REPEATS):
    """{figure: (least, median)} of the kinds, in instructions a round. Interrupts only add: the
    least counts.
    """
    times = {}
    for kind in kinds:
        for line in run(kind, KINDS[kind][0], repeats, place).splitlines():
            name, value = line.split()
            times.setdefault(name, []).append(float(value))
    return {name: (min(values), statistics.median(values)) for name, values in times.items()}


# the rules of the state of that name, by gate: left side, right side
STAY = {
    "fork": ([[PG], [vs.ANY, PG]],),
    "exec": ([[PG], [PG]],),
    "socket": ([[PG], [vs.ANY, PG]],),
    "connect": ([[PG], [vs.ANY, PG]],),
    "accept": ([[PG], [PG]],),
    "recv": ([[PG], [PG]],),
}
REBIND = {
    "fork": ([[PG], [vs.ANY, A]],),
    "exec": ([[A], [B]],),
    "socket": ([[PG], [vs.ANY, A]],),
    "connect": ([[PG], [vs.ANY, A]],),
    "accept": ([[PG], [vs.REF(1)]],),
    "recv": ([[PG], [A]], [[A], [B]], [[B], [A]]),
}


def states(wanted=None):
    """Enters each state of those wanted (by default: all), and yields its name and a function that
    places a process (None: it stays untagged).

        module absent
        loaded                    no gate is attached
        no rule untagged          the gates are attached, the caller belongs to no service
        no rule                   the same, from here on with the caller at home in a service
        packet gate               (only if asked for) the gate `packet`, too
        10000 services            (only if asked for) there are so many more services
        rules of others           each gate has a rule that names another service
        no match                  each gate has a rule that names the caller's and another uid
        match same VS             a rule of each gate matches, and names the present service
        re-bound                  the child of each fork, each program, socket and
                                  connection, and the receiver at each receive get another service
    """

    def entered(name, tagged=True):
        if wanted is None or name in wanted:
            yield name, (lambda pid: device.place(pid, PG)) if tagged else None

    yield from entered(BASE, False)
    with loaded():
        yield from entered("loaded", False)
        vs.vsctl("up", "--no-sched", "--gates", ",".join(GATES))
        yield from entered("no rule untagged", False)
        device = vs.Device()
        for name, number in ("pg", PG), ("a", A), ("b", B), ("nobody", NOBODY):
            device.create(name, id=number)
        yield from entered("no rule")
        if wanted and PACKETS in wanted:
            device.packets(1)
            yield from entered(PACKETS)
            device.packets(0)
        if wanted and MANY in wanted:
            device.apply([vs.config_service(f"s{n}") for n in range(10_000)])
            yield from entered(MANY)
        for gate in GATES_WITH_RULES:
            device.add(gate, [NOBODY], [A], uid=77)
        yield from entered("rules of others")
        for gate in GATES_WITH_RULES:
            device.add(gate, [PG], [A], uid=77)
        yield from entered("no match")
        added = [device.add(gate, *rule) for gate, rules in STAY.items() for rule in rules]
        yield from entered("match same VS")
        for number in added:
            device.delete(number)
        for gate, rules in REBIND.items():
            for left, right in rules:
                device.add(gate, left, right)
        before = rebinds(device)
        yield from entered("re-bound")
        if rebinds(device) == before and (wanted is None or "re-bound" in wanted):
            raise SystemExit("nothing was bound anew")
        device.close()
        vs.vsctl("down")


def rebinds(device):
    return device.stat(A).rebinds + device.stat(B).rebinds
