#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures the cost of the gate `packet`: instructions for each packet, in and out, over loopback.

    tools/vm/run --icount 0 --timeout 900 -- tools/bench/packets.py

In virtual time (shift 0) a nanosecond is an instruction. A round is a datagram, a byte of an
established TCP connection there and back, or 60,000 bytes of one in one GSO packet, sent and
received by one process; the cost of a set-up beyond that of none is divided by the number of
packets. For comparison there are nft chains, without a rule or with one that counts, at one of the
hooks PRE_ROUTING and POST_ROUTING or at both. The least of five runs counts, because interrupts
only add. The results are also in build/bench/packets.json.
"""

import socket
import subprocess
import time

from part import keep, loaded, netns, vs

# From here on core programs are attached, which account for each tick and switch: the base of the
# rows that follow.
UP = "up, sockets of nobody"
ROUNDS, REPEATS = 400, 5
BULK = 60_000
IN, OUT = "prerouting priority -300", "postrouting priority 300"


def nft(rule, *hooks):
    """Chains at these hooks with this rule in each, and no others."""
    chains = "".join(
        f"chain c{n} {{ type filter hook {hook}; {rule} }}\n" for n, hook in enumerate(hooks)
    )
    subprocess.run(
        ["nft", f"flush ruleset; table inet bench {{ {chains} }}" if hooks else "flush ruleset"],
        check=True,
    )


def datagrams():
    """UDP: one packet a round."""
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    one.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 7000))

    def once():
        one.sendto(b"x", ("127.0.0.1", 7000))
        other.recv(10)

    once.sockets = one, other
    return once


def connected(port):
    server = socket.create_server(("127.0.0.1", port))
    one = socket.create_connection(("127.0.0.1", port))
    other, _ = server.accept()
    for sock in one, other:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server, one, other


def bytes_of_tcp():
    """TCP, there and back, so that acknowledgements travel with data: two packets a round."""
    server, one, other = connected(7001)

    def once():
        one.send(b"x")
        other.recv(10)
        other.send(b"x")
        one.recv(10)

    once.sockets = server, one, other
    return once


def bulk_of_tcp():
    """TCP, as much as fits into one GSO packet, and a byte back: two packets a round."""
    server, one, other = connected(7002)
    for sock, option in (one, socket.SO_SNDBUF), (other, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 4 * BULK)
    data = b"x" * BULK

    def once():
        one.sendall(data)
        other.recv(BULK, socket.MSG_WAITALL)
        other.send(b"x")
        one.recv(10)

    once.sockets = server, one, other
    return once


def cost(once):
    """Instructions a round, and packets a round."""
    for _ in range(50):
        once()
    best = None
    before = netns.interfaces(netns.Here())
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        for _ in range(ROUNDS):
            once()
        spent = time.perf_counter_ns() - start
        best = spent if best is None else min(best, spent)
    packets = netns.difference(before, netns.interfaces(netns.Here()))[0] / (ROUNDS * REPEATS)
    return best / ROUNDS, packets


def measure(device):
    """Returns the rows, set-up by set-up."""
    a = device.create("a")
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    kinds = {"UDP": datagrams(), "TCP": bytes_of_tcp(), "TCP, GSO": bulk_of_tcp()}

    def rules(count, **named):
        device.apply(
            [vs.config_service("a")],
            [
                vs.rule(
                    "packet",
                    right=[1],
                    peer=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
                    local_port=1000,
                    **named,
                )
                for n in range(count)
            ],
        )

    def place(id):
        for once in kinds.values():
            for sock in once.sockets:
                device.place_socket(sock, id)

    def gate(on):
        device.packets(on)

    set_ups = [
        ("no hook", lambda: None),
        ("nft chain without rule, in", lambda: nft("", IN)),
        ("nft chain without rule, out", lambda: nft("", OUT)),
        ("nft chain without rule, both", lambda: nft("", IN, OUT)),
        ("nft counter, in", lambda: nft("counter;", IN)),
        ("nft counter, out", lambda: nft("counter;", OUT)),
        ("nft counter, both", lambda: nft("counter;", IN, OUT)),
        ("no hook again", lambda: nft("")),
        ("gate, no rule", lambda: gate(1)),
        ("gate, 1 rule", lambda: rules(1)),
        ("gate, 10,000 rules", lambda: rules(10_000)),
        (
            "gate, 10,000 rules of 2 shapes",
            lambda: rules(10_000) or device.add("packet", right=[a], proto="tcp", peer_port=1),
        ),
        ("gate off", lambda: gate(0)),
        (
            UP,
            lambda: (
                device.apply([vs.config_service("a")]),
                vs.vsctl("up", "--no-sched", "--gates", "exit"),
            ),
        ),
        ("up, gate, no service in use", lambda: gate(1)),
        ("up, gate, services in use", lambda: device.place_socket(other, device.find("a").id)),
        ("up, gate, sockets of a service", lambda: place(device.find("a").id)),
        ("up, no gate, sockets of a service", lambda: gate(0)),
    ]
    print(
        f"{'instructions':32}"
        + "".join(f"{kind + ' round':>16}{'a packet':>10}" for kind in kinds),
        flush=True,
    )
    base, rows = {}, []
    for name, enter in set_ups:
        enter()
        line = f"{name:32}"
        for kind, once in kinds.items():
            spent, packets = cost(once)
            if name == UP:
                base.pop(kind)
            base.setdefault(kind, spent)
            line += f"{spent:16.0f}{(spent - base[kind]) / packets:+10.0f}"
            rows.append(
                {
                    "set_up": name,
                    "kind": kind,
                    "instructions": spent,
                    "packets": packets,
                    "instructions_a_packet": (spent - base[kind]) / packets,
                }
            )
        print(line, flush=True)
    for once in kinds.values():
        for sock in once.sockets:
            sock.close()
    other.close()
    vs.vsctl("down")
    return rows


def main():
    with loaded():
        device = vs.Device()
        rows = measure(device)
        device.close()
    keep("packets", rows)


main()
