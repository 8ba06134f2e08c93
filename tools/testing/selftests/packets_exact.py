#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
"""Packets and bytes per VS, compared with the counters of the interfaces: the sums are the same, to
the packet and the byte.

"The same" means: a packet is one that the interface counts as one (a GSO packet is one, each
fragment is one), and its bytes are those from the IP header on. Packets that IP hooks cannot see
(ARP, packet sockets) are kept out of these tests.
"""

import contextlib
import socket
import struct

import netns
import vs
from netns import Here, Namespace

FAMILIES = ("v4", "v6")
LOOPBACK = {"v4": "127.0.0.1", "v6": "::1"}
SERVER = {"v4": "10.77.0.2", "v6": "fd00:77::2"}
MTU = 1500


@contextlib.contextmanager
def exact(dev, *spaces):
    """Checks that the module and all interfaces together count the packets of the with block
    alike.
    """

    def read():
        return netns.interfaces(Here(), *spaces), netns.counted(dev)

    before = netns.settled(read)
    figures = []
    yield figures
    after = netns.settled(read)
    interfaces, module = (netns.difference(*pair) for pair in zip(before, after))
    print(
        f"#   interfaces {interfaces}, module {module} (packets and bytes, in and out)", flush=True
    )
    vs.eq(module, interfaces, "packets and bytes, in and out")
    figures += module
    if not module[0] or not module[2]:
        raise AssertionError("nothing was counted")


@contextlib.contextmanager
def machines():
    """Two namespaces and a wire."""
    with Namespace("one") as one, Namespace("two") as two:
        netns.link(one, two)
        yield one, two


def tcp(near, far, address, size=4 << 20):
    with netns.listener(far, address) as server:
        with netns.client(near, address) as one:
            other, _ = server.accept()
            with other:
                other.settimeout(10)
                netns.exchange(one, other, size)


def udp(near, far, address, sizes):
    with netns.listener(far, address, kind=socket.SOCK_DGRAM) as server:
        with near.inside():
            one = socket.socket(netns.family(address), socket.SOCK_DGRAM)
        with one:
            one.settimeout(10)
            one.connect((address, 5432))
            for size in sizes:
                one.send(bytes(size))
                data, peer = server.recvfrom(70000)
                vs.eq(len(data), size, "what arrived")
                server.sendto(data, peer)
                vs.eq(len(one.recv(70000)), size, "what came back")


@vs.test
def off(dev):
    """While the gate is off, nothing is counted"""
    dev.packets(0)
    with Namespace("one") as one:
        before = netns.counted(dev)
        tcp(one, one, "127.0.0.1", 1 << 16)
        vs.eq(netns.counted(dev), before, "counts")


def case(name, function):
    function.__doc__ = name
    return vs.test(function)


def over_loopback(version):
    def tcp_case(dev):
        dev.packets(1)
        with Namespace("one") as one, exact(dev, one) as figures:
            tcp(one, one, LOOPBACK[version])
        # 64 KiB packets on a medium whose MTU is 64 KiB, and acknowledgements
        vs.within(figures[1] // figures[0], 10_000, 70_000, "mean size of a packet")

    def udp_case(dev):
        dev.packets(1)
        with Namespace("one") as one, exact(dev, one):
            udp(one, one, LOOPBACK[version], [0, 1, 512, 9000, 65_000])

    case(f"TCP over lo, IP{version}", tcp_case)
    case(f"UDP over lo, IP{version}", udp_case)


def over_veth(version):
    def tcp_case(dev):
        dev.packets(1)
        with machines() as (one, two), exact(dev, one, two) as figures:
            tcp(one, two, SERVER[version])
        if figures[3] / figures[2] < MTU:
            raise AssertionError("no packet was larger than the MTU: GSO was not on")

    def udp_case(dev):
        dev.packets(1)
        with machines() as (one, two), exact(dev, one, two):
            udp(one, two, SERVER[version], [0, 1, 512, 1400])

    def fragments_case(dev):
        dev.packets(1)
        # around the sizes at which one more fragment is needed, and the largest size
        header = {"v4": 20, "v6": 48}[version]
        piece = MTU - header & ~7
        sizes = [
            pieces * piece - 8 + over for pieces in (1, 2, 3, 7) for over in (-1, 0, 1, 8, 9)
        ] + [65_000]
        with machines() as (one, two), exact(dev, one, two) as figures:
            udp(one, two, SERVER[version], sizes)
        if figures[0] <= 4 * len(sizes):
            raise AssertionError("nothing was fragmented")

    def multicast_case(dev):
        dev.packets(1)
        with machines() as (one, two), exact(dev, one, two):
            multicast(one, two, version)

    case(f"TCP over veth with GSO, IP{version}", tcp_case)
    case(f"UDP over veth, IP{version}", udp_case)
    case(f"UDP in fragments over veth, IP{version}", fragments_case)
    case(f"multicast that the sender receives too, IP{version}", multicast_case)


def multicast(one, two, version):
    group = {"v4": "239.7.7.7", "v6": "ff15::77"}[version]
    member = {}
    for space in one, two:
        with space.inside():
            made = member[space] = socket.socket(netns.family(group), socket.SOCK_DGRAM)
            index = socket.if_nametoindex("vs77")
        made.settimeout(10)
        made.bind((group, 7777))
        if version == "v4":
            # struct ip_mreqn: group, address, interface
            request = socket.inet_aton(group) + bytes(4) + struct.pack("i", index)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            made.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("i", index)
            )
        else:
            request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("i", index)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    with member[one] as here, member[two] as there:
        for _ in range(5):
            here.sendto(bytes(100), (group, 7777))
            vs.eq(len(there.recv(1000)), 100, "what the other machine received")
            vs.eq(len(here.recv(1000)), 100, "what the sender received")


@vs.test
def reset_and_unreachable(dev):
    """Answers of the stack itself: resets, ICMP errors, echoes"""
    dev.packets(1)
    with machines() as (one, two), exact(dev, one, two):
        for version in FAMILIES:
            try:
                netns.client(one, SERVER[version], 9)
                raise AssertionError("somebody listens at port 9")
            except ConnectionRefusedError:
                pass
            with (
                one.inside(),
                socket.socket(netns.family(SERVER[version]), socket.SOCK_DGRAM) as sender,
            ):
                sender.connect((SERVER[version], 9))
                sender.send(b"x")
                sender.settimeout(5)
                try:
                    sender.recv(1)
                    raise AssertionError("somebody answers at port 9")
                except ConnectionRefusedError:
                    pass
                vs.eq(
                    vs.run(
                        "ping", "-c", "3", "-i", "0.05", "-s", "4000", SERVER[version]
                    ).returncode,
                    0,
                    "ping",
                )


@vs.test
def forwarded(dev):
    """Packets that are forwarded: counted once in and once out by the machine in between"""
    dev.packets(1)
    with Namespace("one") as one, Namespace("mid") as middle, Namespace("two") as two:
        netns.link(one, middle, 77)
        netns.link(middle, two, 78)
        with middle.inside():
            vs.eq(
                vs.run(
                    "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"
                ).returncode,
                0,
                "sysctl",
            )
        with one.inside():
            netns.ip("route", "add", "default", "via", "10.77.0.2")
            netns.ip("-6", "route", "add", "default", "via", "fd00:77::2")
        with two.inside():
            netns.ip("route", "add", "default", "via", "10.78.0.1")
            netns.ip("-6", "route", "add", "default", "via", "fd00:78::1")
        with exact(dev, one, middle, two):
            for address in "10.78.0.2", "fd00:78::2":
                tcp(one, two, address, 1 << 20)
                udp(one, two, address, [100, 1400, 5000])


for family_name in FAMILIES:
    over_loopback(family_name)
    over_veth(family_name)
vs.main()
