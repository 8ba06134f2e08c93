#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
# limit: 90
"""The mark of a packet: bits that are not ours stay as others set them, and ours are believed from nobody else."""
import contextlib
import socket
import struct

import netns
import vs
from netns import Namespace

SO_RCVMARK = 75
OTHERS = 0x2a5a5  # below bit 18
OURS = 0xfffc0000
PORT = 7000


@contextlib.contextmanager
def receiver(space, address):
    """A socket that tells the mark of what it receives."""
    with netns.listener(space, address, PORT, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
        yield made


def received(sock):
    """The mark of the next datagram."""
    _, control, _, _ = sock.recvmsg(100, 100)
    return [int.from_bytes(data, "little") for level, kind, data in control
            if (level, kind) == (socket.SOL_SOCKET, socket.SO_MARK)]


def send(space, address, mark=0, message=None):
    """A datagram from a socket with this mark, or with this mark for the message alone."""
    with space.inside(), socket.socket(netns.family(address), socket.SOCK_DGRAM) as sender:
        if mark:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", mark))
        control = [(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", message))] if message else []
        sender.sendmsg([b"x"], control, 0, (address, PORT))


@contextlib.contextmanager
def machine(dev):
    dev.call("GATE_PACKET", on=1)
    vs.eq(dev.info().mark_shift, 18, "mark_shift")
    with Namespace("one") as one:
        yield one, dev.create("a")


@vs.test
def kept(dev):
    """Other bits stay when a rule sets ours, and when none does"""
    with machine(dev) as (one, a):
        for address in "127.0.0.1", "::1":
            with receiver(one, address) as sock:
                send(one, address, OTHERS)
                vs.eq(received(sock), [OTHERS], f"mark without a rule, {address}")
                number = dev.add("packet", right=[a], local_port=PORT)
                send(one, address, OTHERS)
                vs.eq(received(sock), [a << 18 | OTHERS], f"mark with a rule, {address}")
                dev.delete(number)


@vs.test
def beside_nft(dev):
    """Beside an nft rule that sets other bits, both are there"""
    with machine(dev) as (one, a):
        dev.add("packet", right=[a], local_port=PORT)
        rules = f"""table inet t {{
            chain i {{ type filter hook prerouting priority mangle; meta mark set meta mark or 0x11; }}
            chain o {{ type route hook output priority mangle; meta mark set meta mark or 0x200; }}
        }}"""
        with one.inside():
            vs.eq(vs.run("nft", rules).returncode, 0, "nft")
        for address in "127.0.0.1", "::1":
            with receiver(one, address) as sock:
                send(one, address)
                vs.eq(received(sock), [a << 18 | 0x211], f"mark, {address}")


@vs.test
def forged_by_message(dev):
    """A control message does not make its sender another's: the socket's tag counts"""
    with machine(dev) as (one, a):
        for address in "127.0.0.1", "::1":
            with receiver(one, address) as sock:
                send(one, address, message=a << 18 | OTHERS)
                vs.eq(received(sock), [OTHERS], f"mark, {address}")


@vs.test
def forged_on_loopback(dev):
    """What a packet socket puts onto the loopback device is not believed"""
    with machine(dev) as (one, a), one.inside():
        # Of 127.0.0.0/8 the stack itself takes nothing that it has not sent.
        netns.ip("addr", "add", "10.99.0.1/24", "dev", "lo")
        with receiver(one, "10.99.0.1") as sock, socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", a << 18 | OTHERS))
            datagram = struct.pack("!HHHH", 7001, PORT, 9, 0) + b"x"
            header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0,
                                 socket.inet_aton("10.98.0.1"), socket.inet_aton("10.99.0.1"))
            total = sum(struct.unpack("!10H", header))
            total = (total & 0xffff) + (total >> 16)
            header = header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + header[12:]
            raw.sendto(header + datagram, ("lo", 0x0800))
            vs.eq(received(sock), [OTHERS], "mark")


@vs.test
def forged_by_neighbour(dev):
    """A packet that comes by an interface is not believed, whatever sets its mark on the way"""
    dev.call("GATE_PACKET", on=1)
    a = dev.create("a")
    with Namespace("one") as one, Namespace("two") as two:
        netns.link(one, two)
        # Before the first hook of IP: the ingress hook of the device.
        rules = f"""table netdev t {{
            chain i {{ type filter hook ingress device "vs77" priority 0; meta mark set {a << 18 | OTHERS}; }}
        }}"""
        with two.inside():
            vs.eq(vs.run("nft", rules).returncode, 0, "nft")
        for address in "10.77.0.2", "fd00:77::2":
            with receiver(two, address) as sock:
                send(one, address)
                vs.eq(received(sock), [OTHERS], f"mark, {address}")


@vs.test
def trusted_on_loopback(dev):
    """The tag of a socket reaches whoever receives its packets by loopback"""
    with machine(dev) as (one, a):
        for address in "127.0.0.1", "::1":
            with receiver(one, address) as sock:
                # Nobody guards SO_MARK while the gates are not attached, and this test is root.
                send(one, address, a << 18 | OTHERS)
                vs.eq(received(sock), [a << 18 | OTHERS], f"mark, {address}")


vs.main()
