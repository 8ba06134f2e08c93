#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gates socket, socketpair, connect and send: a socket's service, its mark, and limits on
sockets.
"""

import errno
import socket

import gates
import vs

import uapi

INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
KINDS = {
    "tcp": (INET, STREAM),
    "udp": (INET6, DGRAM),
    "unix-stream": (UNIX, STREAM),
    "unix-dgram": (UNIX, DGRAM),
    "unix-seqpacket": (UNIX, SEQPACKET),
}


@gates.case
def inherited(dev):
    """A socket belongs to its maker's home, in every family; root's sockets have no tag"""
    a = dev.create("a")
    for kind in [*KINDS.values(), (INET, socket.SOCK_RAW, 255), (INET6, STREAM)]:
        gates.enter(dev, vs.ROOT)
        vs.eq(gates.vs_of(socket.socket(*kind)), vs.ROOT, f"root's {kind}")
        gates.enter(dev, a)
        vs.eq(gates.vs_of(socket.socket(*kind)), a, f"a's {kind}")
    pair = socket.socketpair(UNIX, DGRAM)
    vs.eq([gates.vs_of(end) for end in pair], [a, a], "a pair")


@gates.case
def ruled(dev):
    """Rules place sockets by protocol, and pairs end by end"""
    a, b, c = dev.create("a"), dev.create("b"), dev.create("c")
    gates.enter(dev, a)
    for proto in KINDS:
        number = dev.add("socket", [a], [vs.ANY, b], proto=proto)
        for other, also in KINDS.items():
            vs.eq(
                gates.vs_of(socket.socket(*also)),
                b if other == proto else a,
                f"rule for {proto}, {other}",
            )
        dev.delete(number)
    dev.add("socketpair", [a], [vs.ANY, b, c])
    vs.eq([gates.vs_of(end) for end in socket.socketpair()], [b, c], "a pair")


@gates.case
def rebinds(dev):
    """A rule of socket can bind the task that makes it"""
    a, b = dev.create("a"), dev.create("b")
    dev.add("socket", [a], [b], proto="udp")
    gates.enter(dev, a)
    made = socket.socket(INET, DGRAM)
    vs.eq((gates.tag(), gates.vs_of(made)), ((a, b), a))


@gates.case
def connecting(dev):
    """connect gives a socket to its caller's home, or to the service that a rule by address, port
    or path names
    """
    a, b, c = dev.create("a"), dev.create("b"), dev.create("c")
    tcp, tcp6 = gates.listener(), gates.listener(INET6)
    udp, unix = gates.listener(kind=DGRAM), gates.listener(UNIX)
    made = {server: socket.socket(server.family, server.type) for server in (tcp, tcp6, udp, unix)}
    gates.enter(dev, a)
    dev.add(
        "connect",
        [a],
        [vs.ANY, b],
        peer="127.0.0.0",
        peer_len=104,
        peer_port=tcp.getsockname()[1],
        proto="tcp",
    )
    dev.add("connect", [a], [vs.ANY, c], unix="@" + unix.getsockname()[1:].decode())
    for server, wanted in ((tcp, b), (tcp6, a), (udp, a), (unix, c)):
        sock = made[server]
        vs.eq(gates.vs_of(sock), vs.ROOT, "before")
        sock.connect(server.getsockname())
        vs.eq(gates.vs_of(sock), wanted, f"{server.family} {server.type}")


@gates.case
def sending(dev):
    """send leaves a socket alone, unless a rule gives it to the service that the sender works
    for
    """
    a, b = dev.create("a"), dev.create("b")
    server = gates.listener(kind=DGRAM)
    gates.enter(dev, a)
    sock = socket.socket(INET, DGRAM)
    gates.enter(dev, b)
    sock.sendto(b"x", server.getsockname())
    vs.eq(gates.vs_of(sock), a, "without a rule")
    dev.add("send", [b], [vs.ANY, uapi.VS_REF(0)], peer_port=server.getsockname()[1])
    sock.sendto(b"x", ("127.0.0.1", 9))
    vs.eq(gates.vs_of(sock), a, "to another port")
    sock.sendto(b"x", server.getsockname())
    vs.eq(gates.vs_of(sock), b, "by the rule")


@gates.case
def marks(dev):
    """The whole mark belongs to the application: placing a socket leaves the mark, and setting the
    mark leaves the service
    """
    a, b = dev.create("a"), dev.create("b")
    gates.enter(dev, a)
    sock = socket.socket(INET, DGRAM)

    def mark():
        return sock.getsockopt(socket.SOL_SOCKET, gates.SO_MARK) & 0xFFFFFFFF

    vs.eq(mark(), 0, "of a new socket")
    for value in (0x15, 0x3FFFF, 0xFFFFFFFF, b << 18 | 3, 0, 0x80000155):
        sock.setsockopt(socket.SOL_SOCKET, gates.SO_MARK, value.to_bytes(4, "little"))
        vs.eq((mark(), gates.vs_of(sock)), (value, a), f"after {value:#x}")
    dev.place_socket(sock, b)
    vs.eq((mark(), gates.vs_of(sock)), (0x80000155, b), "placed")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10000)
    vs.eq(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), 20000, "another option")


@gates.case
def counted(dev):
    """Sockets count for their service, are recounted when they change it, and are counted off when
    they are closed
    """
    a, b = dev.create("a"), dev.create("b")
    gates.enter(dev, a)
    made = [socket.socket(*kind) for kind in KINDS.values()] + list(socket.socketpair())
    vs.eq(dev.stat(a).sockets, len(made), "a's")
    for sock in made[:3]:
        dev.place_socket(sock, b)
    vs.eq((dev.stat(a).sockets, dev.stat(b).sockets), (len(made) - 3, 3), "moved")
    for sock in made:
        sock.close()
    vs.until(lambda: dev.stat(a).sockets == dev.stat(b).sockets == 0, what="all closed")


@gates.case
def limited(dev):
    """At the limit socket and socketpair fail with the error set, and work again when there is
    room
    """
    a = dev.create("a")
    dev.detach(a, "sockets_max")
    dev.detach(a, "sockets_errno")
    dev.set(a, "sockets_max", 2)
    gates.enter(dev, a)
    for number in (errno.ENOBUFS, errno.EMFILE):
        dev.set(a, "sockets_errno", number)
        made = [socket.socket(), socket.socket(UNIX)]
        for make in (socket.socket, socket.socketpair):
            try:
                make()
                raise AssertionError("one socket too many")
            except OSError as error:
                vs.eq(error.errno, number, "errno")
        vs.eq(dev.stat(a).sockets, 2, "held")
        for sock in made:
            sock.close()
        vs.until(lambda: dev.stat(a).sockets == 0, what="room again")


@gates.case
def hits(dev):
    """Each gate counts the calls of each service"""
    a = dev.create("a")
    server = gates.listener(kind=DGRAM)
    gates.enter(dev, a)
    before = list(dev.stat(a).hits)
    sock = socket.socket(INET, DGRAM)
    sock.connect(server.getsockname())
    sock.send(b"x")
    sock.close()
    socket.socketpair()
    after = list(dev.stat(a).hits)
    got = {
        name: after[getattr(uapi, f"VS_GATE_{name.upper()}")]
        - before[getattr(uapi, f"VS_GATE_{name.upper()}")]
        for name in ("socket", "socketpair", "connect", "send", "close")
    }
    vs.eq(got, {"socket": 3, "socketpair": 1, "connect": 1, "send": 1, "close": 3})


vs.main()
