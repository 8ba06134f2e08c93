#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
"""Messages of several tenants on one TCP connection, sent and read in every way at once: no receive
is told as another tenant's. Each byte says for whom it was sent.
"""

import ctypes
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import termios
import threading

import gates
import netns
import vs
from server import Server

import uapi

BY_MESSAGE = [uapi.VS_REF(2)]
GIVES = [vs.ANY, vs.ANY, uapi.VS_REF(0)]
OWN = b"-"  # a byte that the sender has sent for itself
READ = 60_000  # bytes of each tenant
TCP_ULP = 31


class Pair:
    """A sender `s` with clients of `a` and `b`, and a receiver `back` with which it shares one TCP
    connection. The calling thread is the sender; child() is the receiver.
    """

    def __init__(self, dev, *names):
        self.server = Server(dev, *names)
        self.dev, self.back = dev, dev.create("back")
        dev.add("recv", [self.server.s], [uapi.VS_REF(1)])
        dev.add("recv", [self.back], BY_MESSAGE)
        gates.enter(dev, self.back)
        self.listener = gates.listener()
        gates.enter(dev, self.server.s)
        self.port = self.listener.getsockname()[1]
        self.rule = self.gives()
        self.connect()

    def gives(self):
        """Adds the rule by which the sender's messages are told apart."""
        return self.dev.add("send", [self.server.s], GIVES, proto="tcp", peer_port=self.port)

    def receives(self, size, sock=None):
        """As whom the calling thread works after it has received so many bytes as the receiver. It
        is the sender again then, without work.
        """
        gates.enter(self.dev, self.back)
        (sock or self.down).recv(size, socket.MSG_WAITALL)
        home, current = gates.tag()
        vs.eq(home, self.back, "the receiver's home")
        gates.enter(self.dev, self.server.s)
        return current

    def connect(self, port=0):
        self.up = socket.socket()
        self.up.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port:
            self.up.bind(("127.0.0.1", port))
        self.up.connect(self.listener.getsockname())
        self.down = self.listener.accept()[0]
        self.names = {b"%d" % n: id for n, id in enumerate(self.server.ids)}
        self.names[OWN] = self.server.s

    def child(self, body):
        """Runs body() as the receiver, in a process; returns its pid and where it says how it went:
        nothing, or the error.
        """
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            vs.dies_with_parent()
            try:
                gates.enter(self.dev, self.back)
                os.write(writer, b"%d" % body())
            except BaseException as error:  # pylint: disable=broad-except
                os.write(1, f"# the receiver: {error!r}\n".encode())
                os.write(writer, repr(error).encode())
            os._exit(0)
        os.close(writer)
        return pid, reader

    def told(self, data):
        """Checks as whom the calling thread works after it has received these bytes at once.
        Returns how many were told as their sender's.
        """
        home, current = gates.tag()
        vs.eq(home, self.back, "the receiver's home")
        senders = {bytes([byte]) for byte in data}
        if len(senders) != 1:
            vs.eq(current, home, f"bytes of {senders}")
            return 0
        (sender,) = senders
        wanted = self.names[sender]
        if current == home:
            return 0
        vs.eq(current, wanted, f"bytes of {sender}")
        return len(data)

    def sends(self, n, size, portions, seed):
        """Works for client n, and sends as many bytes, in random portions."""
        dice = random.Random(seed)
        self.server.serve(n)
        while size > 0:
            portion = min(size, dice.randint(1, portions))
            self.up.sendall(b"%d" % n * portion)
            self.server.is_at_work(n, "while it sends")
            size -= portion


def reads(pair, total, seed, portions=9000):
    """Receives in every way until all is there; returns how many bytes were told as their
    sender's.
    """
    dice = random.Random(seed)
    told = 0
    pipe = os.pipe()
    left = total
    while left > 0:
        size = min(left, dice.randint(1, portions))
        way = dice.randrange(6)
        if way == 0:
            pair.down.recv(size, socket.MSG_PEEK)
            continue
        if way == 1:
            spliced = os.splice(pair.down.fileno(), pipe[1], size)
            os.read(pipe[0], spliced)
            vs.eq(gates.tag(), (pair.back, pair.back), "spliced")
            left -= spliced
            continue
        if way == 2:
            data = pair.down.recv(size, socket.MSG_WAITALL)
        elif way == 3:
            data = os.read(pair.down.fileno(), size)
        elif way == 4:
            parts = [bytearray((size + 1) // 2), bytearray((size + 1) // 2)]
            got = os.readv(pair.down.fileno(), parts)
            data = b"".join(parts)[:got]
        else:
            select.select([pair.down], [], [])
            data = pair.down.recv(size, socket.MSG_DONTWAIT)
        vs.eq(len(data) > 0, True, "received")
        told += pair.told(data)
        left -= len(data)
    return told


def ends(child, what):
    """Waits for the receiver; returns its number."""
    pid, reader = child
    said = b""
    while part := os.read(reader, 999):
        said += part
    os.waitpid(pid, 0)
    vs.eq(said.isdigit(), True, f"{what}: {said.decode()}")
    return int(said)


@gates.case
def at_once(dev):
    """Two threads that send for two tenants by one connection, in portions of all sizes, and sleep
    where it is full
    """
    pair = Pair(dev, "a", "b")
    for seed, portions in (1, 100), (2, 3000), (3, 50_000):
        child = pair.child(lambda seed=seed: reads(pair, 2 * READ, seed))
        senders = [
            threading.Thread(target=pair.sends, args=(n, READ, portions, seed * 2 + n))
            for n in (0, 1)
        ]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        told = ends(child, f"portions of up to {portions}")
        print(f"# portions of up to {portions}: {told} of {2 * READ} bytes told")


@gates.case
def in_turn(dev):
    """A question at a time: every receive is its tenant's, in whatever way it is read"""
    pair = Pair(dev, "a", "b")
    done = os.pipe()

    def receiver():
        told = 0
        for turn in range(60):
            size = turn * 137 + 1
            got = 0
            while got < size:
                select.select([pair.down], [], [])
                data = pair.down.recv(size - got)
                told += pair.told(data)
                got += len(data)
            os.write(done[1], b"x")
        return told

    child = pair.child(receiver)
    total = 0
    for turn in range(60):
        size = turn * 137 + 1
        pair.server.serve(turn % 2)
        pair.up.sendall(b"%d" % (turn % 2) * size)
        os.read(done[0], 1)
        total += size
    vs.eq(ends(child, "in turn"), total, "bytes told as their sender's")


@gates.case
def too_many(dev):
    """More changes than can be noted: what is beyond is nobody's, and later messages are told
    again
    """
    pair = Pair(dev, "a", "b")
    for turn in range(60):
        pair.server.serve(turn % 2)
        pair.up.sendall(b"%d" % (turn % 2))
    go = os.pipe()

    def receiver():
        told = sum(pair.told(pair.down.recv(1)) for _ in range(60))
        vs.within(told, 10, 30, "told of 60")
        os.write(go[1], b"x")
        return pair.told(pair.down.recv(1))

    child = pair.child(receiver)
    readable, _, _ = select.select([go[0], child[1]], [], [])
    if go[0] in readable:
        pair.server.serve(1)
        pair.up.sendall(b"1")
    vs.eq(ends(child, "too many"), 1, "told afterwards")


@gates.case
def ended(dev):
    """What a sender has sent before it closed is told; a later connection between the same ports
    begins anew
    """
    pair = Pair(dev, "a", "b")

    def send():
        for n in (0, 1):
            pair.server.serve(n)
            pair.up.sendall(b"%d" % n * 10)

    def receiver():
        return sum(pair.told(pair.down.recv(10)) for _ in range(2))

    for turn in range(3):
        port = pair.up.getsockname()[1]
        send()
        vs.eq(ends(pair.child(receiver), f"connection {turn}"), 20, "told")
        # a message that is not read, and a reset: no TIME_WAIT keeps the ports
        send()
        pair.up.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.up.close()
        pair.down.close()
        pair.connect(port)
    send()
    pair.up.close()
    vs.eq(ends(pair.child(receiver), "the sender has closed"), 20, "told")


@gates.case
def own(dev):
    """What the sender sends for itself between two tenants' messages is its own"""
    pair = Pair(dev, "a", "b")

    def receiver():
        told = 0
        for _ in range(12):
            select.select([pair.down], [], [])
            told += pair.told(pair.down.recv(5))
        return told

    child = pair.child(receiver)
    for turn in range(12):
        if turn % 3 == 2:
            select.select([pair.up], [], [], 0.01)  # waits: goes home
            pair.up.sendall(OWN * 5)
        else:
            pair.server.serve(turn % 3)
            pair.up.sendall(b"%d" % (turn % 3) * 5)
        vs.until(lambda: _unread(pair.down) == 0, 10, "all is read")
    vs.eq(ends(child, "own"), 60, "told")


def _unread(sock):
    """Bytes that wait to be read."""
    return struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)))[0]


@gates.case
def encrypted(dev):
    """Once the kernel encrypts what the sender sends, nothing is told as an earlier message's"""
    vs.run("modprobe", "tls")
    pair = Pair(dev, "a", "b")
    pair.server.serve(0)
    pair.up.sendall(b"0" * 5)
    vs.eq(pair.receives(5), pair.server.ids[0], "a message")
    pair.up.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
    pair.server.serve(1)
    pair.up.sendall(b"1" * 5)
    vs.eq(pair.receives(5), pair.server.s, "encrypted: the connection's")


@gates.case
def rule_again(dev):
    """What was sent while no rule gave messages away is no tenant's when a rule does so again"""
    pair = Pair(dev, "a", "b")
    for turn in range(3):
        pair.server.serve(0)
        pair.up.sendall(b"0" * 5)
        vs.eq(pair.receives(5), pair.server.ids[0], f"turn {turn}")
        dev.delete(pair.rule)
        pair.server.serve(1)
        pair.up.sendall(b"1" * 5)
        pair.rule = pair.gives()
        vs.eq(pair.receives(5), pair.server.s, f"turn {turn}, sent without a rule")


@gates.case
def connected_anew(dev):
    """A client's socket that is connected anew: what comes by the new connection is not told as
    messages of the former one that were not read, but as its own
    """
    pair = Pair(dev, "a", "b")
    dev.add("send", [pair.server.s], GIVES, proto="tcp")
    gates.enter(dev, pair.server.s)
    listener = gates.listener()
    gates.enter(dev, pair.back)
    sock = socket.create_connection(listener.getsockname())
    gates.enter(dev, pair.server.s)
    conn = listener.accept()[0]
    pair.server.serve(0)
    conn.sendall(b"0" * 5)
    for turn in range(10):  # half of them, by chance, begin behind the message that was not read
        vs.until(lambda: _unread(sock) == 5, 10, "it is there")
        conn.close()
        _disconnect(sock)
        gates.enter(dev, pair.back)
        sock.connect(listener.getsockname())
        gates.enter(dev, pair.server.s)
        conn = listener.accept()[0]
        pair.server.serve(1)
        conn.sendall(b"1" * 5)
        vs.eq(pair.receives(5, sock), pair.server.ids[1], f"turn {turn}")
        pair.server.serve(0)
        conn.sendall(b"0" * 5)


def _disconnect(sock):
    """Ends the connection of a socket, which can be connected again."""
    vs.eq(ctypes.CDLL(None).connect(sock.fileno(), bytes(16), 16), 0, "disconnected")


@gates.case
def lossy(dev):
    """Segments that are lost, doubled and out of order"""
    pair = Pair(dev, "a", "b")  # before: connections are accepted in the order of their handshakes
    vs.run("modprobe", "sch_netem")
    how = "loss 10% reorder 20% duplicate 10% delay 1ms"
    vs.command(*f"tc qdisc add dev lo root netem {how}".split())
    try:
        child = pair.child(lambda: reads(pair, 2 * READ // 4, 7))
        senders = [threading.Thread(target=pair.sends, args=(n, READ // 4, 500, n)) for n in (0, 1)]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        ends(child, "lossy")
    finally:
        subprocess.run("tc qdisc del dev lo root".split(), check=True)


@gates.case
def elsewhere(dev):
    """A connection to another network namespace that was made before the rule: all is its own"""
    here = netns.Here()
    with netns.Namespace("far") as far:
        netns.link(here, far, 1)
        server = Server(dev, "a", "b")
        back = dev.create("back")
        dev.add("recv", [server.s], [uapi.VS_REF(1)])
        dev.add("recv", [back], BY_MESSAGE)
        with far.inside():
            listener = gates.listener(address=("10.1.0.2", 0))
        up = socket.create_connection(listener.getsockname())
        down = listener.accept()[0]
        dev.add("send", [server.s], GIVES, proto="tcp")
        for turn in range(4):
            server.peers[turn % 2].send(b"request")
            server.conns[turn % 2].recv(99)
            up.send(b"question")
            gates.enter(dev, back)
            down.recv(99)
            vs.eq(gates.tag(), (back, server.s), "the connection's")
            gates.enter(dev, server.s)


@gates.case
def taken_down(dev):
    """`vsctl down` and `up` while messages are under way: nothing is told as anybody's then, and
    nothing stays behind
    """
    pair = Pair(dev, "a", "b")
    for n in (0, 1):
        pair.server.serve(n)
        pair.up.sendall(b"%d" % n * 10)
    gates.enter(dev, vs.ROOT)
    vs.vsctl("down")
    vs.vsctl("up", "--no-sched")
    gates.enter(dev, pair.back)
    pair.down.recv(10)
    vs.eq(gates.tag(), (pair.back, pair.back), "a message of before")
    pair.up.close()
    pair.down.close()


TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
RECV_QUEUE, SEND_QUEUE, OFF_WITHOUT_PROBE = 1, 2, -1


@gates.case
def own_pair(dev):
    """A connection whose two first sequence numbers a container's root has made the same is not its
    own other end: nothing is left behind by what it sends
    """
    srv, z = dev.create("srv"), dev.create("z")
    dev.add("send", [srv], [vs.ANY, vs.ANY, z], proto="tcp")
    gates.enter(dev, srv)

    def slab():
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("SUnreclaim"))

    def round():
        with socket.socket() as sock:

            def option(name, value):
                sock.setsockopt(socket.IPPROTO_TCP, name, struct.pack("i", value))

            # Nothing waits for the other end after the close.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            option(TCP_REPAIR, 1)
            option(TCP_REPAIR_QUEUE, SEND_QUEUE)
            option(TCP_QUEUE_SEQ, 1000)
            option(TCP_REPAIR_QUEUE, RECV_QUEUE)
            option(TCP_QUEUE_SEQ, 1001)
            sock.connect(("127.0.0.1", 9))
            option(TCP_REPAIR, OFF_WITHOUT_PROBE)
            sock.setblocking(False)
            return sum(sock.send(b"x") for _ in range(100))

    round()
    before = slab()
    sent = sum(round() for _ in range(100))
    grown = slab() - before
    print(f"# {sent} messages: {grown} KiB", flush=True)
    vs.eq(sent, 10_000, "messages")
    vs.within(grown, -100000, 384, "KiB that the unreclaimable slab has grown by")


vs.main()
