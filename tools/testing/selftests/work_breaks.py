#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""Receipts, replies and waits by the rarer ways: none leaves a task at work for a tenant whose work
is over.
"""

import ctypes
import mmap
import os
import select
import signal
import socket
import struct
import threading
import time

import cpu
import gates
import vs
from ring import Ring

import uapi

INET, UNIX = socket.AF_INET, socket.AF_UNIX
STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
BY_SOCKET, BY_MESSAGE = [uapi.VS_REF(1)], [uapi.VS_REF(2)]
IPPROTO_MPTCP = 262
SPIN = 8 * cpu.SLOT  # seconds


class Server:
    """A server `s`, as which the caller runs, with an accepted connection of a client of `a`."""

    def __init__(self, dev):
        self.s, self.a, self.b = (dev.create(name) for name in "sab")
        gates.enter(dev, self.s)
        self.listener = gates.listener()
        self.peer = gates.client(dev, self.a, self.listener)
        gates.enter(dev, self.s)
        self.conn = self.listener.accept()[0]
        self.dev = dev

    def works(self):
        self.peer.send(b"request")
        self.conn.recv(99)
        vs.eq(gates.tag(), (self.s, self.a), "at work")

    def tag_is(self, id, what):
        vs.eq(gates.tag(), (self.s, id), what)


@gates.case
def refused(dev):
    """A request by a socket for which its new service has no room ends the work in hand"""
    server = Server(dev)
    full = dev.create("full")
    gates.enter(dev, vs.ROOT)
    peer = gates.client(dev, server.b, server.listener)
    gates.enter(dev, server.s)
    conn = server.listener.accept()[0]
    dev.detach(full, "sockets_max")
    dev.set(full, "sockets_max", 1)
    gates.enter(dev, full)
    one = socket.socket()
    gates.enter(dev, server.s)
    vs.eq(dev.stat(full).sockets, 1, "its sockets")
    dev.add("recv", [server.s], [server.b, full], peer_port=peer.getsockname()[1])
    dev.add("recv", [server.s], [server.a], peer_port=server.peer.getsockname()[1])
    dev.place_socket(conn, vs.ROOT)
    server.works()
    peer.send(b"request")
    conn.recv(99)
    vs.eq(gates.vs_of(conn), vs.ROOT, "the connection")
    server.tag_is(server.s, "b's request")
    one.close()


@gates.case
def stale_message(dev):
    """The service of a datagram that was sent says nothing about the next one that is received"""
    server = Server(dev)
    dev.add("send", [vs.ANY, server.s], [vs.ANY, vs.ANY, server.a], proto="udp")
    dev.add("recv", [server.s], BY_MESSAGE)
    sock = gates.listener(kind=DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    free = gates.listener(kind=DGRAM)
    where = free.getsockname()
    free.close()
    sock.sendto(b"x", where)
    vs.until(lambda: select.select([sock], [], [], 0)[0], what="an error")
    sock.recvmsg(99, 99, 0x2000)  # MSG_ERRQUEUE
    server.tag_is(server.s, "the error queue")


@gates.case
def no_message(dev):
    """A datagram of which nothing is known belongs to no service, even if a service has the id with
    all bits set
    """
    server = Server(dev)
    last = dev.create("last", id=16383)
    dev.add("recv", [server.s], BY_MESSAGE)
    sock = gates.listener(kind=DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    free = gates.listener(kind=DGRAM)
    where = free.getsockname()
    free.close()
    sock.sendto(b"x", where)
    vs.until(lambda: select.select([sock], [], [], 0)[0], what="an error")
    sock.recvmsg(99, 99, 0x2000)  # MSG_ERRQUEUE
    server.tag_is(server.s, f"the error queue, {last}")


@gates.case
def mptcp(dev):
    """A request by another client's MPTCP connection is not the former client's"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    listener = socket.socket(INET, STREAM, IPPROTO_MPTCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    gates.enter(dev, server.b)
    peer = socket.socket(INET, STREAM, IPPROTO_MPTCP)
    peer.connect(listener.getsockname())
    gates.enter(dev, server.s)
    conn = listener.accept()[0]
    server.works()
    peer.send(b"request")
    conn.recv(99)
    vs.eq(gates.tag()[1] == server.a, False, f"b's request is a's; tag {gates.tag()}")


@gates.case
def packet_sockets(dev):
    """A packet that a raw or packet socket receives ends the work in hand"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw = socket.socket(INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    found = []
    for name, sock in (("packet", packet), ("raw", raw)):
        server.works()
        other = gates.listener(kind=DGRAM)
        other.sendto(b"x", other.getsockname())
        sock.recv(2000)
        found.append((name, gates.tag()[1]))
    vs.eq(found, [("packet", server.s), ("raw", server.s)])


@gates.case
def connected_datagrams(dev):
    """A datagram server that has a connected socket for each client works for the one it received
    from
    """
    server = Server(dev)
    dev.add("recv", [server.s], BY_MESSAGE)
    ends = {}
    for id in (server.a, server.b):
        sock = gates.listener(kind=DGRAM)
        peer = gates.client(dev, id, sock, DGRAM)
        gates.enter(dev, server.s)
        sock.connect(peer.getsockname())
        ends[id] = peer, sock
    found = []
    for peer, sock in ends.values():
        peer.send(b"request")
        sock.recv(99)
        found.append(gates.tag()[1])
    vs.eq(found, list(ends))


@gates.case
def vsock(dev):
    """A request by a protocol whose sockets have no tags ends the work in hand"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    vs.run("modprobe", "vsock_loopback")
    listener = socket.socket(socket.AF_VSOCK, STREAM)
    try:
        listener.bind((1, 1234))
    except OSError as error:
        vs.skip(f"no vsock: {error}")
    listener.listen()
    peer = socket.socket(socket.AF_VSOCK, STREAM)
    peer.connect((1, 1234))
    conn = listener.accept()[0]
    server.works()
    peer.send(b"request")
    conn.recv(99)
    server.tag_is(server.s, "a request by vsock")


@gates.case
def failed_reply(dev):
    """A reply that fails after another one does not undo that the task has replied"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    found = []
    for what in ("full", "gone"):
        server.works()
        server.conn.setblocking(False)
        server.conn.send(b"reply")
        try:
            if what == "gone":
                server.peer.close()
                server.conn.send(b"more")
            while True:
                server.conn.send(bytes(1 << 20))
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        server.tag_is(server.a, what)
        time.sleep(0.05)
        found.append((what, gates.tag()[1]))
        if what == "full":
            left = b"x"
            server.peer.setblocking(False)
            try:
                while left:
                    left = server.peer.recv(1 << 20)
            except BlockingIOError:
                pass
            server.conn.setblocking(True)
    vs.eq(found, [("full", server.s), ("gone", server.s)])


@gates.case
def two_queues(dev):
    """A worker that fetches jobs from two servers works for the tenant of the job it has fetched
    last
    """
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    jobs = {}
    for id in (server.a, server.b):
        gates.enter(dev, id)
        mine, theirs = socket.socketpair()
        gates.enter(dev, server.s)
        jobs[id] = mine, theirs
    found = []
    for mine, theirs in jobs.values():
        theirs.send(b"job")
        mine.recv(99)
        found.append(gates.tag()[1])
        mine.send(b"done")
    vs.eq(found, list(jobs))


@gates.case
def select_of_32_bits(dev):
    """A 32-bit task that waits in select() goes home"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    size = 4096
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    MAP_32BIT = 0x40
    area = libc.mmap(None, size, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT, -1, 0)
    # select(nfds=edi, in=esi, 0, 0, tv=edx) by int 0x80, number 142
    code = bytes.fromhex(
        "53"
        "55"
        "57"
        "56"  # push rbx, rbp, rdi, rsi
        "89fb"  # mov ebx, edi
        "89f1"  # mov ecx, esi
        "89d7"  # mov edi, edx
        "31d2"  # xor edx, edx
        "31f6"  # xor esi, esi
        "b88e000000"  # mov eax, 142
        "cd80"  # int 0x80
        "5e"
        "5f"
        "5d"
        "5b"
        "c3"
    )
    ctypes.memmove(area, code, len(code))
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_uint, ctypes.c_uint)(area)
    reader, writer = os.pipe()
    ctypes.memmove(area + 1024, struct.pack("ii", 0, 20000), 8)
    bits = bytearray(128)
    bits[reader // 8] |= 1 << reader % 8
    server.works()
    ctypes.memmove(area + 2048, bytes(bits), 128)
    vs.eq(call(reader + 1, area + 2048, area + 1024), 0, "select")
    server.tag_is(server.s, "after a wait in select")
    os.close(writer)


@gates.case
def ring_waits(dev):
    """A task that waits for completions of an io_uring goes home, as one that waits for events"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    ring = Ring()
    time_spec = ctypes.create_string_buffer(struct.pack("qq", 0, 20000000))
    server.works()
    ring.queue(ring.TIMEOUT, -1, ctypes.addressof(time_spec), 1)
    vs.eq(ring.enter(1, 0, 0), 1, "submitted")
    server.tag_is(server.a, "submitted")
    vs.eq(ring.enter(0, 1, ring.GETEVENTS), 0, "waited")
    server.tag_is(server.s, "after the wait")
    vs.eq(ring.done(), 1, "completed")
    # a ring can receive several messages together: which one is served first cannot be told
    room = ctypes.create_string_buffer(99)
    ring.queue(ring.RECV, server.conn.fileno(), ctypes.addressof(room), 99)
    vs.eq(ring.enter(1, 0, 0), 1, "submitted")
    timer = threading.Timer(0.05, lambda: server.peer.send(b"request"))
    timer.start()
    vs.eq(ring.enter(0, 1, ring.GETEVENTS), 0, "waited")
    server.tag_is(server.s, "received")
    timer.join()


@gates.case
def ring_threads(dev):
    """The thread that works for an io_uring (SQPOLL) is the server's, whatever it receives"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    ring = Ring(Ring.SQPOLL, 2000)
    threads = [
        int(tid)
        for tid in os.listdir("/proc/self/task")
        if open(f"/proc/self/task/{tid}/comm", encoding="ascii").read().startswith("iou-sqp")
    ]
    vs.eq(len(threads), 1, "threads")
    room = ctypes.create_string_buffer(99)
    server.peer.send(b"request")
    ring.queue(ring.RECV, server.conn.fileno(), ctypes.addressof(room), 99)
    ring.enter(0, 0, ring.WAKEUP)
    vs.until(lambda: ring.done() == 1, what="received")
    vs.eq(room.value, b"request", "bytes")
    vs.eq(gates.tag(threads[0]), (server.s, server.s), "the thread")
    server.tag_is(server.s, "the task")


@gates.case
def placed(dev):
    """A task that is placed while it receives is at home where it was placed"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    other = dev.create("other")
    home_peer = gates.client(dev, vs.ROOT, server.listener)
    gates.enter(dev, server.s)
    home_conn = server.listener.accept()[0]
    go, done = os.pipe(), os.pipe()
    gates.enter(dev, server.s)
    child = os.fork()
    if not child:
        while os.read(go[0], 1) == b"x":
            for _ in range(40):
                server.peer.send(b"x")
                server.conn.recv(9)
                select.select([go[0]], [], [], 0.0)
                home_peer.send(b"x")
                home_conn.recv(9)
            os.write(done[1], b"y")
        os._exit(0)
    bad = []
    for n in range(300):
        os.write(go[1], b"x")
        end = time.monotonic() + n % 10 * 0.002
        while time.monotonic() < end:
            pass
        dev.place(child, other)
        os.read(done[0], 1)
        tag = gates.tag(child)
        if tag != (other, other):
            bad.append(tag)
        dev.place(child, server.s)
    os.write(go[1], b"z")
    os.waitpid(child, 0)
    vs.eq(bad, [], f"s {server.s} a {server.a} other {other}")


@gates.case
def down(dev):
    """What a task ran after its reply is charged where the gates are taken down"""
    server = Server(dev)
    dev.add("recv", [server.s], BY_SOCKET)
    pid = os.fork()
    if not pid:
        server.works()
        cpu.spin(SPIN)
        server.conn.send(b"part")
        cpu.spin(2 * SPIN)
        os.kill(os.getpid(), signal.SIGSTOP)  # of nobody's accord
        os._exit(0)
    before = dev.stat(server.s).cpu_ns
    os.waitpid(pid, os.WUNTRACED)
    gates.enter(dev, vs.ROOT)
    vs.vsctl("down")
    try:
        spins = (dev.stat(server.s).cpu_ns - before) / 1e9 / SPIN
    finally:
        vs.vsctl("up", "--no-sched")
        os.kill(pid, signal.SIGCONT)
        os.waitpid(pid, 0)
    cpu.near([spins], [2], 0.5, "spins that s is charged")


vs.main()
