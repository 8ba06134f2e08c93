#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
"""Packets that no application sends: SYN-ACKs, resets and TIME_WAIT's answers belong to the VS of
their connection.
"""

import os
import socket
import struct

import netns
import vs
from netns import CLIENT, SERVER, each, machines


def packets(dev, a):
    """The counters in and out, once no packet is in flight any more."""
    figures = netns.settled(lambda: netns.counted(dev, a))
    return figures[0], figures[2]


def segment(space, version, source, destination, sequence, flags):
    """Sends a bare TCP segment from the client's machine."""
    kind = netns.family(SERVER[version])
    header = struct.pack("!HHIIBBHHH", source, destination, sequence, 0, 5 << 4, flags, 1024, 0, 0)
    ends = socket.inet_pton(kind, CLIENT[version]) + socket.inet_pton(kind, SERVER[version])
    pseudo = ends + (
        struct.pack("!BBH", 0, 6, len(header))
        if version == "v4"
        else struct.pack("!II", len(header), 6)
    )
    total = sum(struct.unpack(f"!{len(pseudo + header) // 2}H", pseudo + header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    header = header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]
    with space.inside(), socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.sendto(header, (SERVER[version], 0))


FIN, SYN, RST, ACK = 1, 2, 4, 16
NO_RESETS = """table inet t { chain c {
    type filter hook output priority 0
    tcp flags & rst == rst drop
}; }"""


@each
def syn_ack(dev, version):
    """A SYN-ACK, and those sent again, belong to the VS that the SYN was given, although the rule
    is gone
    """
    with machines(dev) as (one, two, a):
        number = dev.add("packet", right=[a], peer=CLIENT[version])
        # The client's machine must not answer with a reset: it does not know of the connection.
        with one.inside():
            vs.eq(vs.run("nft", NO_RESETS).returncode, 0, "nft")
        with netns.listener(two, SERVER[version]):
            segment(one, version, 40000, 5432, 1000, SYN)
            vs.until(lambda: netns.counted(dev, a)[2] == 1, what="the SYN-ACK")
            dev.delete(number)
            # the SYN-ACK also arrives, in a namespace that does not know the connection: as its
            # sender's
            vs.eq(netns.counted(dev, a)[0], 2, "packets in: the SYN, and its answer")
            # TCP sends it again after a second, if there is no answer
            vs.until(
                lambda: netns.counted(dev, a)[2] == 2, seconds=10, what="the SYN-ACK sent again"
            )


@each
def reset_without_socket(dev, version):
    """A reset from a port without a listener is classified by rule, as its SYN"""
    with machines(dev) as (one, two, a):
        dev.add("packet", right=[a], peer=CLIENT[version], local_port=9)
        try:
            netns.client(one, SERVER[version], 9)
            raise AssertionError("somebody listens at port 9")
        except ConnectionRefusedError:
            pass
        vs.eq(
            packets(dev, a), (2, 1), "packets in and out: the SYN, and the reset, which arrives too"
        )


@each
def reset_by_close(dev, version):
    """A reset that a close causes belongs to the VS of the connection"""
    with machines(dev) as (one, two, a):
        number = dev.add("packet", right=[a], peer=CLIENT[version])
        with (
            netns.listener(two, SERVER[version]) as server,
            netns.client(one, SERVER[version]) as client,
        ):
            connection, _ = server.accept()
            dev.delete(number)
            before = packets(dev, a)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            try:
                client.recv(1)
                raise AssertionError("the connection was not reset")
            except ConnectionResetError:
                pass
            vs.eq(
                netns.difference(before, packets(dev, a)),
                [1, 1],
                "packets in and out: the reset, which arrives too",
            )


@each
def time_wait(dev, version):
    """Packets that a socket in TIME_WAIT receives, and its answers, belong to the VS of the
    connection
    """
    with machines(dev) as (one, two, a):
        number = dev.add("packet", right=[a], peer=CLIENT[version])
        with netns.listener(two, SERVER[version]) as server:
            client = netns.client(one, SERVER[version])
            connection, _ = server.accept()
            port = client.getsockname()[1]
            dev.delete(number)
            connection.close()  # closed first, so the server's end is in TIME_WAIT
            vs.eq(client.recv(1), b"", "the end of the stream")
            client.close()
        before = packets(dev, a)
        with two.inside():
            waiting = vs.run("ss", "-Htan", "state", "time-wait", f"dport = :{port}").stdout
        if not waiting.strip():
            raise AssertionError("no socket is in TIME_WAIT")
        # The client's machine does not know the connection any more, and would answer with a reset,
        # which ends TIME_WAIT.
        with one.inside():
            vs.eq(vs.run("nft", NO_RESETS).returncode, 0, "nft")
        segment(one, version, port, 5432, int.from_bytes(os.urandom(4), "big") | 1, ACK)
        vs.eq(
            netns.difference(before, packets(dev, a)),
            [2, 1],
            "packets in and out: a segment out of the window, and the answer, which arrives too",
        )


vs.main()
