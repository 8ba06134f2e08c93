#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 240
"""The CPU time after a reply, by the rarer ways to reply and to end: a server of service `s` with a
client of `a` and one of `b`.
"""

import ctypes
import os
import select
import socket
import struct
import time

import cpu
import gates
import vs
from server import Server

import uapi

BY_SOCKET = [uapi.VS_REF(1)]
SPIN = 8 * cpu.SLOT  # seconds
NEAR = 0.4  # of a spin: what forks, system calls and Python take beside it

_libc = ctypes.CDLL(None, use_errno=True)


def is_charged(dev, server, function, wanted, what):
    """Checks how many spins function() is charged to s, a and b."""
    ids = [server.s, *server.ids]
    before = [dev.stat(id).cpu_ns for id in ids]
    function()
    time.sleep(0.01)  # a context switch brings the caller's own figure up to date
    spins = [(dev.stat(id).cpu_ns - was) / 1e9 / SPIN for id, was in zip(ids, before)]
    cpu.near(spins, wanted, NEAR, what)


def _sendmmsg(sock):
    part = ctypes.create_string_buffer(b"part")
    vector = struct.pack("QQ", ctypes.addressof(part), 4)
    vectors = ctypes.create_string_buffer(vector)
    header = struct.pack("QIxxxxQQQQI4xI4x", 0, 0, ctypes.addressof(vectors), 1, 0, 0, 0, 0)
    headers = ctypes.create_string_buffer(header * 2)
    vs.eq(_libc.sendmmsg(sock.fileno(), headers, 2, 0), 2, "sent")


def _sendfile(sock):
    with open("/proc/self/exe", "rb") as file:
        vs.eq(os.sendfile(sock.fileno(), file.fileno(), 0, 99), 99, "sent")


def _zerocopy(sock):
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    sock.send(b"part", 0x4000000)  # MSG_ZEROCOPY


def _tls(sock):
    if sock.family == socket.AF_UNIX:
        return sock.send(b"part")
    SOL_TCP, ULP, SOL_TLS, TX = 6, 31, 282, 1
    if not sock.getsockopt(SOL_TCP, ULP, 16).startswith(b"tls"):
        sock.setsockopt(SOL_TCP, ULP, b"tls")
        sock.setsockopt(SOL_TLS, TX, struct.pack("HH", 0x303, 51) + bytes(36))
    return sock.send(b"part")


WAYS = {
    "write": lambda sock: os.write(sock.fileno(), b"part"),
    "writev": lambda sock: os.writev(sock.fileno(), [b"pa", b"rt"]),
    "sendmsg": lambda sock: sock.sendmsg([b"part"]),
    "MSG_MORE": lambda sock: sock.send(b"part", 0x8000),
    "sendmmsg": _sendmmsg,
    "sendfile": _sendfile,
    "MSG_ZEROCOPY": _zerocopy,
    "TLS": _tls,
}


@gates.case
def ways(dev):
    """A reply in parts is one by whichever call the parts are sent"""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)
    loop = select.epoll()
    vs.run("modprobe", "tls")
    for what, send in WAYS.items():

        def serves(send=send):
            server.serve(0)
            cpu.spin(SPIN)
            send(server.conns[0])
            cpu.spin(SPIN)
            send(server.conns[0])
            cpu.spin(SPIN)
            loop.poll(0.01)

        is_charged(dev, server, serves, [1, 2, 0], what)


@gates.case
def families(dev):
    """And by whichever kind of connection"""
    dev.add("recv", [], BY_SOCKET)
    INET6, UNIX, STREAM, PACKETS = (
        socket.AF_INET6,
        socket.AF_UNIX,
        socket.SOCK_STREAM,
        socket.SOCK_SEQPACKET,
    )
    for family, kind in ((INET6, STREAM), (UNIX, STREAM), (UNIX, PACKETS)):
        tail = f"{family:d}_{kind:d}"
        server = Server(dev, f"a{tail}", f"b{tail}", name=f"s{tail}")
        listener = gates.listener(family, kind)
        peer = gates.client(dev, server.ids[0], listener, kind)
        gates.enter(dev, server.s)
        conn = listener.accept()[0]

        def serves(peer=peer, conn=conn):
            peer.send(b"request")
            conn.recv(99)
            for _ in range(3):
                conn.send(b"part")
                cpu.spin(SPIN)
            select.select([], [], [], 0.01)

        is_charged(dev, server, serves, [1, 2, 0], f"{family!r} {kind!r}")


@gates.case
def fan_out(dev):
    """What is sent to others in the course of work does not make the rest of it theirs"""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)
    dev.add("send", [server.s], BY_SOCKET)
    loop = select.epoll()
    loop.register(server.conns[0], select.EPOLLIN)

    def publishes():
        # several messages of a's, each for b
        server.serve(0)
        for _ in range(3):
            cpu.spin(SPIN)
            server.conns[1].send(b"message")
        loop.poll(0.01)

    is_charged(dev, server, publishes, [2, 1, 0], "three messages to b")


@gates.case
def zombie(dev):
    """What a child ran after its reply is charged when it has ended, waited for or not"""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)

    def ends():
        if not os.fork():
            server.serve_and_go_on(SPIN)
            os._exit(0)
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)

    is_charged(dev, server, ends, [2, 1, 0], "a zombie")
    os.wait()


@gates.case
def becomes(dev):
    """What a task ran after its reply is that home's which it had, where it gets another one"""
    server = Server(dev, "a", "b")
    dev.add("recv", [server.s], BY_SOCKET)
    dev.add("setuid", [server.s], [server.ids[1]], uid=1)

    def child(end):
        if os.fork():
            os.wait()
            return
        server.serve_and_go_on(SPIN)
        end()
        cpu.spin(SPIN)
        os._exit(0)

    is_charged(dev, server, lambda: child(lambda: os.setuid(1)), [2, 1, 1], "setuid")
    for n, wanted in ((0, [2, 2, 0]), (1, [2, 1, 1])):
        is_charged(
            dev,
            server,
            lambda n=n: child(lambda: dev.place(os.getpid(), server.ids[n])),
            wanted,
            f"placed in {'ab'[n]}",
        )


vs.main()
