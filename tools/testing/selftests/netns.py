# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library of selftests of the network plane: network namespaces, links between them, and their
counters.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import threading
import time

import vs

ETHERNET = 14  # bytes of header, which an Ethernet interface counts and loopback does not


def ip(*words):
    """Runs ip(8); if it fails, the error has its output."""
    done = subprocess.run(
        ["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"ip {' '.join(words)}: {done.stdout.strip()}")
    return done.stdout


class Namespace:
    """A network namespace of its own, loopback up; gone at the end of the with block."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        ip("netns", "add", self.name)
        self.fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        with self.inside():
            ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        ip("netns", "del", self.name)

    @contextlib.contextmanager
    def inside(self):
        """Puts this thread, and those that it starts, into the namespace; sockets made meanwhile
        stay in it.
        """
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.setns(self.fd, os.CLONE_NEWNET)
            yield
        finally:
            os.setns(home, os.CLONE_NEWNET)
            os.close(home)


class Here:
    """The test's own namespace."""

    @contextlib.contextmanager
    def inside(self):
        yield


def link(one, other, subnet=77):
    """Joins two namespaces by a veth pair, vsSUBNET on both sides: 10.SUBNET.0.1 and .2,
    fd00:SUBNET::1 and ::2.

    Neighbours are configured, so that the interfaces count no ARP, which IP hooks do not see.
    Packets that IPv6 sends by itself as an interface comes up (memberships, duplicate addresses,
    routers) are sent at once or not at all, so that a test does not measure them.
    """
    pair = f"vsa{subnet}", f"vsb{subnet}"
    ip("link", "add", pair[0], "type", "veth", "peer", "name", pair[1])
    hardware = []
    for end, space in zip(pair, (one, other)):
        hardware.append(
            pathlib.Path(f"/sys/class/net/{end}/address").read_text(encoding="ascii").strip()
        )
        if isinstance(space, Namespace):
            ip("link", "set", end, "netns", space.name)
    for n, (end, space) in enumerate(zip(pair, (one, other)), 1):
        with space.inside():
            device = f"vs{subnet}"
            ip("link", "set", end, "name", device)
            for name, value in (
                ("accept_dad", 0),
                ("router_solicitations", 0),
                ("mldv2_unsolicited_report_interval", 10),
            ):
                pathlib.Path(f"/proc/sys/net/ipv6/conf/{device}/{name}").write_text(
                    str(value), encoding="ascii"
                )
            ip("addr", "add", f"10.{subnet}.0.{n}/24", "dev", device)
            ip("addr", "add", f"fd00:{subnet}::{n}/64", "dev", device, "nodad")
            ip("link", "set", device, "up")
            for peer in f"10.{subnet}.0.{3 - n}", f"fd00:{subnet}::{3 - n}":
                ip(
                    "neigh",
                    "replace",
                    peer,
                    "lladdr",
                    hardware[2 - n],
                    "dev",
                    device,
                    "nud",
                    "permanent",
                )


CLIENT = {"v4": "10.77.0.1", "v6": "fd00:77::1"}
SERVER = {"v4": "10.77.0.2", "v6": "fd00:77::2"}


@contextlib.contextmanager
def machines(dev):
    """A client's machine and a server's, with those addresses; the gate on; and a tenant `a`."""
    dev.packets(1)
    with Namespace("one") as one, Namespace("two") as two:
        link(one, two)
        yield one, two, dev.create("a")


def each(test):
    """Makes a case of each family."""

    def made(version):
        def case(dev):
            test(dev, version)

        case.__doc__ = f"{vs.title(test)}, IP{version}"
        vs.gated(case)

    for version in CLIENT:
        made(version)


def interfaces(*spaces):
    """The counters of these namespaces' interfaces, as IP sees the packets: [packets in, bytes in,
    packets out, bytes out].

    Ethernet headers are subtracted.
    """
    total = [0, 0, 0, 0]
    for space in spaces:
        with space.inside():
            lines = (
                pathlib.Path("/proc/thread-self/net/dev")
                .read_text(encoding="ascii")
                .splitlines()[2:]
            )
        for line in lines:
            name, figures = line.split(":")
            figures = [int(word) for word in figures.split()]
            header = 0 if name.strip() == "lo" else ETHERNET
            for at, (count, size) in ((0, (figures[1], figures[0])), (2, (figures[9], figures[8]))):
                total[at] += count
                total[at + 1] += size - header * count
    return total


def counted(device, *services):
    """The module's counters for these services, for all if none is given: [packets in, bytes in,
    packets out, bytes out].
    """
    ids = services or [service.id for service in device.services()]
    stats = [device.stat(id) for id in ids]
    return [
        sum(getattr(stat, field) for stat in stats)
        for field in ("packets_in", "bytes_in", "packets_out", "bytes_out")
    ]


def settled(read, seconds=0.3):
    """The result of read() once it has not changed for so long, when all packets in flight have
    arrived.
    """
    last, since = read(), time.monotonic()
    deadline = since + 30
    while time.monotonic() - since < seconds:
        time.sleep(0.02)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise AssertionError("the traffic does not end")
    return last


def difference(before, after):
    return [new - old for old, new in zip(before, after)]


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listener(space, address, port=5432, kind=socket.SOCK_STREAM):
    """A socket in `space` that listens at an address, or receives datagrams."""
    with space.inside():
        made = socket.socket(family(address), kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.settimeout(10)
        return made


def client(space, address, port=5432, source=None):
    """A connection from `space`."""
    with space.inside():
        made = socket.socket(family(address))
    made.settimeout(10)
    if source:
        made.bind(source)
    made.connect((address, port))
    return made


def receive(connection, size):
    """Reads so many bytes."""
    left = size
    while left:
        data = connection.recv(min(left, 1 << 20))
        if not data:
            raise AssertionError(f"the connection ended {left} bytes early")
        left -= len(data)


def exchange(one, other, size):
    """Sends so many bytes both ways at once."""
    sender = threading.Thread(target=one.sendall, args=(bytes(size),))
    sender.start()
    receive(other, size)
    sender.join()
    other.sendall(bytes(1))
    receive(one, 1)
