#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gates recv and wait: a task that receives works for the message's sender, until that work
ends.
"""

import os
import select
import socket
import threading

import gates
import vs

import uapi

INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
BY_SOCKET, BY_MESSAGE = [uapi.VS_REF(1)], [uapi.VS_REF(2)]


def connection(dev, id, pg, family=INET, kind=STREAM):
    """Both ends of a connection from a client of `id`, accepted by pg; the caller goes on as a task
    of pg.
    """
    server = gates.listener(family, kind)
    peer = gates.client(dev, id, server, kind)
    gates.enter(dev, pg)
    return peer, server.accept()[0]


@gates.case
def streams(dev):
    """recv task=pg => task=socket: with every call that reads, the receiver works for the
    connection's client
    """
    a, b, pg = (dev.create(name) for name in ("a", "b", "pg"))
    dev.add("recv", [pg], BY_SOCKET)
    for family, kind in ((INET, STREAM), (INET6, STREAM), (UNIX, STREAM), (UNIX, SEQPACKET)):
        ends = {id: connection(dev, id, pg, family, kind) for id in (a, b)}
        vs.eq(gates.tag(), (pg, pg), "before")
        # from here on the task is not placed any more
        for read in (
            lambda s: s.recv(9),
            lambda s: os.read(s.fileno(), 9),
            lambda s: s.recvmsg(9),
            lambda s: s.recv_into(bytearray(9)),
        ):
            for id, (peer, conn) in ends.items():
                peer.send(b"x")
                read(conn)
                vs.eq(gates.tag(), (pg, id), f"{family} {kind}")


@gates.case
def datagrams(dev):
    """recv task=dns => task=msg: each datagram is its sender's, regardless of the one before"""
    a, b, dns = (dev.create(name) for name in ("a", "b", "dns"))
    for family in (INET, INET6, UNIX):
        number = dev.add("recv", [dns], BY_MESSAGE, proto="unix-dgram" if family == UNIX else "udp")
        server = gates.listener(family, DGRAM)
        senders = {id: gates.client(dev, id, server, DGRAM) for id in (a, b, vs.ROOT)}
        gates.enter(dev, dns)
        for id in (a, b, a, vs.ROOT, b):
            senders[id].send(b"x")
            before = dev.stat(dns).unattributed
            server.recv(9)
            vs.eq(gates.tag(), (dns, id or dns), f"{family}")
            vs.eq(dev.stat(dns).unattributed - before, int(id == vs.ROOT), "unattributed")
        # all queued, then received one after the other
        for id in (b, a):
            senders[id].send(b"x")
        for id in (b, a):
            os.read(server.fileno(), 9)
            vs.eq(gates.tag(), (dns, id), f"{family} queued")
        dev.delete(number)


@gates.case
def answering(dev):
    """send task=dns => msg=task: an answer by the server's one UDP socket is the tenant's, and the
    next answer another tenant's
    """
    a, b, dns, reader = (dev.create(name) for name in ("a", "b", "dns", "reader"))
    dev.packets(1)
    for family in (INET, INET6):
        gates.enter(dev, dns)
        server = gates.listener(family, DGRAM)
        senders = {id: gates.client(dev, id, server, DGRAM) for id in (a, b)}
        rules = [dev.add("recv", [dns], BY_MESSAGE), dev.add("recv", [reader], BY_MESSAGE)]
        for ruled in (True, False):
            if ruled:
                rules.append(
                    dev.add("send", [vs.ANY, dns], [vs.ANY, vs.ANY, uapi.VS_REF(0)], proto="udp")
                )
            else:
                dev.delete(rules.pop())
            for id in (a, b, b, a):
                senders[id].send(b"x")
                gates.enter(dev, dns)
                before = dev.stat(id).packets_out, dev.stat(dns).packets_out
                server.sendto(b"y", server.recvfrom(9)[1])
                vs.eq(gates.vs_of(server), dns, "the socket")
                out = dev.stat(id).packets_out - before[0], dev.stat(dns).packets_out - before[1]
                gates.enter(dev, reader)
                senders[id].recv(9)
                vs.eq(
                    (out, gates.tag()),
                    (((1, 0), (reader, id)) if ruled else ((0, 1), (reader, dns))),
                    f"{family} {ruled}",
                )
        for rule in rules:
            dev.delete(rule)


@gates.case
def peeking(dev):
    """A look at the next message (MSG_PEEK) binds no task"""
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], BY_MESSAGE)
    server = gates.listener(kind=DGRAM)
    sender = gates.client(dev, a, server, DGRAM)
    peer, conn = connection(dev, a, pg)
    for out, into in ((sender, server), (peer, conn)):
        gates.enter(dev, pg)
        out.send(b"x")
        vs.eq(into.recv(9, socket.MSG_PEEK), b"x")
        vs.eq(gates.tag(), (pg, pg), "after a look")
        into.recv(9)
        vs.eq(gates.tag(), (pg, a), "after receiving")


@gates.case
def ruled(dev):
    """Rules by port, address and path of the socket; a receive without a message binds nothing"""
    a, b, c, pg = (dev.create(name) for name in ("a", "b", "c", "pg"))
    os.makedirs("/tmp/vs-test", exist_ok=True)
    dev.add("recv", [pg], [b], local_port=7011, peer="127.0.0.0", peer_len=104)
    dev.add("recv", [pg], [c], unix=f"/tmp/vs-test/{os.getpid()}")
    for server, wanted in (
        (gates.listener(address=("127.0.0.1", 7011)), b),
        (gates.listener(), pg),
        (gates.listener(UNIX, address=f"/tmp/vs-test/{os.getpid()}"), c),
    ):
        peer = gates.client(dev, a, server)
        gates.enter(dev, pg)
        conn = server.accept()[0]
        conn.setblocking(False)
        try:
            conn.recv(9)
            raise AssertionError("received")
        except BlockingIOError:
            vs.eq(gates.tag(), (pg, pg), "nothing received")
        peer.send(b"x")
        conn.recv(9)
        vs.eq(gates.tag(), (pg, wanted), str(server.getsockname()))


@gates.case
def polling(dev):
    """A task goes home when it polls, selects or waits for events, and not when it only looks or
    pauses
    """
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], BY_SOCKET)
    peer, conn = connection(dev, a, pg)
    events, poll = select.epoll(), select.poll()
    events.register(conn, select.EPOLLIN)
    poll.register(conn, select.POLLIN)
    for name, look, home in (
        ("epoll_wait", lambda: events.poll(0.01), True),
        ("epoll_wait(0)", lambda: events.poll(0), False),
        ("poll", lambda: poll.poll(10), True),
        ("poll(0)", lambda: poll.poll(0), False),
        ("select", lambda: select.select([conn], [], [], 0.01), True),
        ("select(0)", lambda: select.select([conn], [], [], 0), False),
        ("a pause", lambda: select.select([], [], [], 0.01), False),
    ):
        peer.send(b"x")
        conn.recv(9)
        vs.eq(gates.tag(), (pg, a), f"before {name}")
        look()
        vs.eq(gates.tag(), (pg, pg if home else a), f"after {name}")
        gates.enter(dev, pg)


def while_blocked(dev, id, function, wake):
    """The tag of a thread at home in `id` that has run function() up to its last step, which
    blocks.
    """
    ready, tid, seen = threading.Event(), [], []

    def body():
        gates.enter(dev, id)
        tid.append(threading.get_native_id())
        function(ready)

    thread = threading.Thread(target=body)
    thread.start()
    ready.wait()
    vs.until(
        lambda: (
            open(f"/proc/{tid[0]}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0]
            == "S"
        ),
        what="blocked",
    )
    seen.append(gates.tag(tid[0]))
    wake()
    thread.join()
    return seen[0]


@gates.case
def next_request(dev):
    """A task goes home when it waits for the next request: on the work's connection, another one, a
    listener
    """
    a, b, pg = (dev.create(name) for name in ("a", "b", "pg"))
    dev.add("recv", [pg], BY_SOCKET)
    dev.add("accept", [pg], BY_SOCKET)
    peer, conn = connection(dev, a, pg)
    other_peer, other = connection(dev, b, pg)
    server = gates.listener()
    gates.enter(dev, vs.ROOT)

    def work(ready, step):
        peer.send(b"x")
        conn.recv(9)
        vs.eq(gates.tag(), (pg, a), "at work")
        ready.set()
        step()

    vs.eq(
        while_blocked(
            dev, pg, lambda ready: work(ready, lambda: conn.recv(9)), lambda: peer.send(b"y")
        ),
        (pg, pg),
        "same",
    )
    vs.eq(
        while_blocked(
            dev, pg, lambda ready: work(ready, lambda: other.recv(9)), lambda: other_peer.send(b"y")
        ),
        (pg, pg),
        "other",
    )
    late = []
    vs.eq(
        while_blocked(
            dev,
            pg,
            lambda ready: work(ready, lambda: late.append(server.accept())),
            lambda: late.append(gates.client(dev, b, server)),
        ),
        (pg, pg),
        "accept",
    )


@gates.case
def next_request_of_each_kind(dev):
    """A task goes home on sockets of each kind, and while it waits for the rest of a request by
    TCP
    """
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], BY_MESSAGE)
    pairs = [
        (f"{family} {kind}", *connection(dev, a, pg, family, kind), 0)
        for family, kind in ((INET, STREAM), (INET6, STREAM), (UNIX, STREAM), (UNIX, SEQPACKET))
    ]
    for family in INET, INET6, UNIX:
        server = gates.listener(family, DGRAM)
        pairs.append((f"{family} {DGRAM}", gates.client(dev, a, server, DGRAM), server, 0))
    pairs += [
        (f"{name}, the rest", peer, conn, socket.MSG_WAITALL) for name, peer, conn, _ in pairs[:2]
    ]
    gates.enter(dev, vs.ROOT)
    for name, peer, conn, flags in pairs:

        def work(ready, peer=peer, conn=conn, flags=flags):
            peer.send(b"x")
            conn.recv(1)
            tags.append(gates.tag())
            if flags:
                peer.send(b"y")
            ready.set()
            conn.recv(2, flags)
            tags.append(gates.tag())

        tags = []
        vs.eq(while_blocked(dev, pg, work, lambda peer=peer: peer.send(b"z")), (pg, pg), name)
        vs.eq(tags, [(pg, a), (pg, a)], f"{name}: at work, and with the next request")


@gates.case
def answers(dev):
    """A task that waits for the answer to a request of its own, as a client of another server,
    keeps its work
    """
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("recv", [pg], BY_SOCKET, local_port=7021)
    front = gates.listener(address=("127.0.0.1", 7021))
    peer = gates.client(dev, a, front)
    for family, kind in ((INET, STREAM), (UNIX, STREAM), (INET, DGRAM)):
        back = gates.listener(family, kind)
        gates.enter(dev, vs.ROOT)

        def work(ready, back=back, kind=kind):
            peer.send(b"x")
            conn.recv(9)
            sock = socket.socket(back.family, kind)
            sock.connect(back.getsockname())
            vs.eq(gates.vs_of(sock), pg, "its own socket, which may serve others later")
            if kind == DGRAM:
                sock.send(b"q")
            mine.append(sock)
            ready.set()
            sock.recv(9)
            vs.eq(gates.tag(), (pg, a), "after the answer")

        def answer(back=back, kind=kind):
            if kind == DGRAM:
                back.sendto(b"y", back.recvfrom(9)[1])
            else:
                back.accept()[0].send(b"y")

        mine, conn = [], front.accept()[0] if front else None
        vs.eq(while_blocked(dev, pg, work, answer), (pg, a), f"{family} {kind}")
        conn.close()
        peer = gates.client(dev, a, front)


vs.main()
