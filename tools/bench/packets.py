#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""What the gate `packet` costs: instructions for each packet, in and out, over loopback.

    tools/vm/run --icount 0 --timeout 900 -- tools/bench/packets.py

In virtual time (shift 0) a nanosecond is an instruction. A round is a datagram, or a byte of an established TCP
connection, sent and received by one process; what the set-ups cost more than none is divided by the packets it took.
Beside it: nft rules that count at the same two hooks. The least of five runs counts: interrupts only add.
"""
import os
import pathlib
import socket
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1] / "testing" / "selftests"
sys.path.insert(0, str(TESTS))
import netns  # pylint: disable=wrong-import-position
import vs  # pylint: disable=wrong-import-position

ROUNDS, REPEATS = 400, 5
NFT = """table inet bench {
    chain i { type filter hook prerouting priority -300; counter; }
    chain o { type filter hook postrouting priority 300; counter; }
}"""


def datagrams():
    """UDP: one packet a round."""
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    one.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 7000))

    def once():
        one.sendto(b"x", ("127.0.0.1", 7000))
        other.recv(10)
    return once


def bytes_of_tcp():
    """TCP, there and back, so that acknowledgements travel with data: two packets a round."""
    server = socket.create_server(("127.0.0.1", 7001))
    one = socket.create_connection(("127.0.0.1", 7001))
    other, _ = server.accept()
    for sock in one, other:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def once():
        one.send(b"x")
        other.recv(10)
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


def main():
    subprocess.run(["insmod", os.environ.get("VS_MODULE", "/vs/build/module/vs.ko")], check=True)
    device = vs.Device()
    a = device.create("a")
    kinds = {"UDP": datagrams(), "TCP": bytes_of_tcp()}

    def rules(count, **named):
        device.apply([vs.config_service("a")],
                     [vs.rule("packet", right=[1], peer=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", local_port=1000, **named)
                      for n in range(count)])

    def gate(on):
        device.call("GATE_PACKET", on=on)

    set_ups = [
        ("no hook", lambda: None),
        ("nft counter, two hooks", lambda: subprocess.run(["nft", NFT], check=True)),
        ("no hook again", lambda: subprocess.run(["nft", "flush ruleset"], check=True)),
        ("gate, no rule", lambda: gate(1)),
        ("gate, 1 rule", lambda: rules(1)),
        ("gate, 10,000 rules", lambda: rules(10_000)),
        ("gate, 10,000 rules of 2 shapes", lambda: rules(10_000) or device.add("packet", right=[a], proto="tcp", peer_port=1)),
        ("gate off", lambda: gate(0)),
    ]
    print(f"{'instructions':32}{'UDP round':>10}{'a packet':>10}{'TCP round':>10}{'a packet':>10}", flush=True)
    base = {}
    for name, enter in set_ups:
        enter()
        line = f"{name:32}"
        for kind, once in kinds.items():
            spent, packets = cost(once)
            base.setdefault(kind, spent)
            line += f"{spent:10.0f}{(spent - base[kind]) / packets:+10.0f}"
        print(line, flush=True)
    for once in kinds.values():
        for sock in getattr(once, "sockets", ()):
            sock.close()
    device.close()
    subprocess.run(["rmmod", "vs"], check=True)


main()
