#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 1200
"""accept_order: a server accepts in the order of the CPU shares that are left, where it was asked
for, and in that of arrival elsewhere. One CPU, in virtual time.
"""

import contextlib
import errno
import os
import select
import socket
import statistics
import threading
import time

import cpu
import gates
import vs
from ring import Ring

import uapi

INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
KINDS = (INET, STREAM), (INET6, STREAM), (UNIX, STREAM), (UNIX, SEQPACKET)
MPTCP = 262
ARRIVAL, SHARE = 0, 1
OLDEST_EVERY = 64  # logic/share.rs
LOOKED_AT = 256  # gates/order.rs


def ordered(dev, *, weights=(100, 100, 100), order=SHARE):
    """A server's service with that order, and services of these weights (None: shared)."""
    server = cpu.service(dev, "s", accept_order=order)
    return server, *(
        cpu.service(dev, name, **({"cpu_weight": weight} if weight else {}))
        for name, weight in zip("abcdef", weights)
    )


def use(dev, id, seconds):
    """Has a task of `id` use so much CPU time."""

    def work():
        gates.enter(dev, id)
        cpu.spin(seconds)

    gates.thread(work)


def listener_of(dev, server, family, kind=STREAM, backlog=128):
    gates.enter(dev, server)
    listener = gates.listener(family, kind)
    listener.listen(backlog)
    gates.enter(dev, vs.ROOT)
    return listener


def queue(dev, listener, kind, *connections):
    """Connects in this order; each is a service's id and a name, which it sends as the first byte.
    Returns the clients' ends.
    """
    ends = []
    for id, name in connections:
        end = gates.client(dev, id, listener, kind)
        end.send(bytes([name]))
        ends.append(end)
    return ends


def accepted(dev, server, listener, number, wait=lambda listener: None):
    """The names of the next connections that a task of `server` accepts."""

    def accept():
        gates.enter(dev, server)
        names = []
        for _ in range(number):
            wait(listener)
            with listener.accept()[0] as connection:
                names.append(connection.recv(1)[0])
        return names

    return gates.thread(accept)


def polls(listener):
    """Waits for a connection as an event loop does."""
    listener.setblocking(False)
    with select.epoll() as loop:
        loop.register(listener, select.EPOLLIN)
        vs.eq(loop.poll(5), [(listener.fileno(), select.EPOLLIN)], "events")


WAITS = {"blocking": lambda listener: None, "epoll": polls}


@gates.case
def by_arrival(dev):
    """By default connections are accepted in the order of their arrival, whatever is used"""
    server, a, b, c = ordered(dev, order=ARRIVAL)
    use(dev, b, 0.3)
    use(dev, c, 0.1)
    for family, kind in KINDS:
        listener = listener_of(dev, server, family, kind)
        came = [(b, 0), (c, 1), (b, 2), (a, 3), (c, 4), (a, 5), (b, 6)]
        ends = queue(dev, listener, kind, *came)
        vs.eq(accepted(dev, server, listener, 7), list(range(7)), f"{family} {kind}")
        del ends


@gates.case
def by_share(dev):
    """With the order `share`, the services that have used least come first, and each one's
    connections in the order of their arrival; in every protocol, blocking and by epoll
    """
    server, a, b, c = ordered(dev)
    for family, kind in KINDS:
        for name, wait in WAITS.items():
            use(dev, b, 0.4)
            use(dev, c, 0.2)
            listener = listener_of(dev, server, family, kind)
            came = [(b, 0), (c, 1), (b, 2), (a, 3), (c, 4), (a, 5), (b, 6)]
            ends = queue(dev, listener, kind, *came)
            # of a listener the first accept takes the oldest
            got = accepted(dev, server, listener, 7, wait)
            vs.eq(got, [0, 3, 5, 1, 4, 2, 6], f"{family} {kind}, {name}")
            time.sleep(2)  # so that the next round finds nothing used
            del ends


@gates.case
def by_looking(dev):
    """An accept that does not wait is one like any other, and finds nothing in an empty queue"""
    server, a, b = ordered(dev, weights=(100, 100))
    use(dev, b, 0.3)
    listener = listener_of(dev, server, INET)
    ends = queue(dev, listener, STREAM, *((b, n) for n in range(5)), (a, 5))
    listener.setblocking(False)
    vs.eq(accepted(dev, server, listener, 6), [0, 5, 1, 2, 3, 4])
    try:
        accepted(dev, server, listener, 1)
        raise AssertionError("one more was accepted")
    except OSError as error:
        vs.eq(error.errno, errno.EAGAIN, "of an empty queue")
    del ends


@gates.case
def by_io_uring(dev):
    """An accept by an io_uring takes them in this order, too"""
    server, a, b = ordered(dev, weights=(100, 100))
    use(dev, b, 0.3)
    listener = listener_of(dev, server, INET)
    ends = queue(dev, listener, STREAM, (b, 0), (b, 1), (a, 2), (b, 3))

    def accept():
        gates.enter(dev, server)
        names, one = [], Ring()
        for _ in ends:
            one.queue(Ring.ACCEPT, listener.fileno(), 0, 0)
            vs.eq(one.enter(1, 1, Ring.GETEVENTS), 1, "submitted")
            with socket.socket(fileno=one.result()) as connection:
                names.append(connection.recv(1)[0])
        os.close(one.fd)
        return names

    vs.eq(gates.thread(accept), [0, 2, 1, 3])


@gates.case
def weighed(dev):
    """What was used counts for its weight: of weights 1000 and 100, the former may have used five
    times as much
    """
    server, a, b = ordered(dev, weights=(1000, 100))
    use(dev, a, 0.5)
    use(dev, b, 0.1)
    listener = listener_of(dev, server, INET)
    ends = queue(dev, listener, STREAM, (b, 0), (b, 1), (a, 2), (b, 3), (a, 4))
    vs.eq(accepted(dev, server, listener, 5), [0, 2, 4, 1, 3])
    del ends


@gates.case
def over_the_tree(dev):
    """Services are compared where their ways part: what one has used counts against its siblings
    of the same parent, too
    """
    server = cpu.service(dev, "s", accept_order=SHARE)
    a, b = (cpu.service(dev, name, cpu_weight=100) for name in "ab")
    a1, a2 = (cpu.service(dev, name, a, cpu_weight=100) for name in ("a1", "a2"))
    listener = listener_of(dev, server, INET)
    use(dev, a1, 0.5)
    use(dev, b, 0.2)
    ends = queue(dev, listener, STREAM, (a1, 0), (a1, 1), (a2, 2), (b, 3), (a2, 4))
    vs.eq(accepted(dev, server, listener, 5), [0, 3, 2, 4, 1], "a has used more than b")
    del ends


@gates.case
def of_others(dev):
    """What a service has used that has no connection here counts for its parent within 128 accepts,
    and one for each service
    """
    server = cpu.service(dev, "s", accept_order=SHARE)
    a, b = (cpu.service(dev, name, cpu_weight=100) for name in "ab")
    a1, a2 = (cpu.service(dev, name, a, cpu_weight=100) for name in ("a1", "a2"))
    listener = listener_of(dev, server, INET, backlog=1000)
    before = 350
    ends = queue(dev, listener, STREAM, *((a2, 1) for _ in range(before)), (b, 2))
    use(dev, a1, 1.5)
    use(dev, b, 0.4)
    place = accepted(dev, server, listener, before + 1).index(2)
    print(f"# taken after {place} others", flush=True)
    # b's is not looked at before so many have gone; some accepts take the oldest
    seen = before + 1 - LOOKED_AT
    vs.within(place, seen, seen + 128 + len(dev.services()) + 4, "others before b's")
    for end in ends:
        end.close()


@gates.case
def as_one(dev):
    """Services without a weight of their own are scheduled as one with their parent: what they
    have used makes no difference between them
    """
    server, a, b = ordered(dev, weights=(None, None))
    use(dev, b, 0.3)
    listener = listener_of(dev, server, INET)
    ends = queue(dev, listener, STREAM, (b, 0), (b, 1), (a, 2), (b, 3), (a, 4))
    vs.eq(accepted(dev, server, listener, 5), [0, 1, 2, 3, 4])
    del ends


@gates.case
def shared_with_the_parent(dev):
    """The attribute is shared with the parent until it is detached; the acceptor's home decides,
    not the listener's service
    """
    server, a, b = ordered(dev, weights=(100, 100))
    child = dev.create("child", server)
    other = cpu.service(dev, "other", server, accept_order=ARRIVAL)
    use(dev, b, 0.5)
    for acceptor, wanted in ((child, [0, 2, 1]), (other, [0, 1, 2]), (vs.ROOT, [0, 1, 2])):
        listener = listener_of(dev, server, INET)
        ends = queue(dev, listener, STREAM, (b, 0), (b, 1), (a, 2))
        vs.eq(accepted(dev, acceptor, listener, 3), wanted, f"{acceptor}")
        del ends
    dev.set(vs.ROOT, "accept_order", SHARE)
    listener = listener_of(dev, vs.ROOT, INET)
    ends = queue(dev, listener, STREAM, (b, 0), (b, 1), (a, 2))
    vs.eq(accepted(dev, vs.ROOT, listener, 3), [0, 2, 1], "root's own")
    del ends


@gates.case
def nobody_starves(dev):
    """The oldest connection is taken by the 64th accept at the latest, whatever its service has
    used
    """
    server, a, b = ordered(dev, weights=(10000, 1))
    for family, kind in ((INET, STREAM), (UNIX, STREAM)):
        use(dev, b, 0.5)
        listener = listener_of(dev, server, family, kind)
        ends = queue(dev, listener, kind, (a, 0), (b, 1), (b, 2), (a, 3))
        vs.eq(accepted(dev, server, listener, 1), [0], "the first accept")
        got = []
        for _ in range(2 * OLDEST_EVERY):
            got += accepted(dev, server, listener, 1)
            ends += queue(dev, listener, kind, (a, 3))
        vs.eq([n for n, name in enumerate(got, 1) if name != 3], [OLDEST_EVERY, 2 * OLDEST_EVERY])
        vs.eq([name for name in got if name != 3], [1, 2], "oldest first")
        for end in ends:
            end.close()


@gates.case
def far_back(dev):
    """An accept looks at the first 256 connections: one behind these comes nearer with each"""
    server, a, b = ordered(dev, weights=(100, 1))
    use(dev, b, 0.5)
    listener = listener_of(dev, server, INET, backlog=1000)
    ends = queue(dev, listener, STREAM, *((b, 1) for _ in range(LOOKED_AT + 10)), (a, 2))
    # of n connections before it, n - 255 have to go, and then one looks at it
    got = accepted(dev, server, listener, 20)
    vs.eq(got.index(2), 11, "accepts before it")
    vs.eq(got.count(1), 19, "of the others")
    for end in ends:
        end.close()


@gates.case
def mptcp(dev):
    """The order of a listener of MPTCP stays that of arrival"""
    try:
        socket.socket(INET, STREAM, MPTCP).close()
    except OSError as error:
        vs.skip(f"no MPTCP: {error}")
    server, a, b = ordered(dev, weights=(100, 100))
    use(dev, b, 0.3)
    gates.enter(dev, server)
    listener = socket.socket(INET, STREAM, MPTCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    gates.enter(dev, vs.ROOT)
    ends = queue(dev, listener, STREAM, (b, 0), (b, 1), (a, 2), (b, 3))
    vs.eq(accepted(dev, server, listener, 4), [0, 1, 2, 3])
    del ends


@gates.case
def handshakes(dev):
    """A handshake that is not done does not count for sockets_max. One that is done does, accepted
    or not, until its connection is closed; so the limit bounds how many of a service wait
    """
    server, b = ordered(dev, weights=(100,))
    dev.detach(b, "sockets_max")
    listener = listener_of(dev, server, INET)
    # the handshake is done with the first byte
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    ends = [gates.client(dev, b, listener) for _ in range(3)]
    vs.eq(dev.stat(b).sockets, 3, "the clients' ends alone")
    for n, end in enumerate(ends, 1):
        end.send(b"x")
        vs.eq(dev.stat(b).sockets, 3 + n, "with what waits")
    dev.set(b, "sockets_max", 7)
    gates.enter(dev, b)
    more = socket.socket()
    more.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, (1).to_bytes(8, "little") + bytes(8))
    try:
        more.connect(listener.getsockname())
        raise AssertionError("connected")
    except OSError as error:
        vs.eq(error.errno, errno.EINPROGRESS, "at the limit")
    gates.enter(dev, vs.ROOT)
    vs.eq(dev.stat(b).sockets, 7, "no more waits")
    for end in (*ends, more):
        end.close()


# a server and its clients, in processes of their own


def serve(listener, seconds, loop=None):
    """A server: accepts a connection, works for it, replies, closes it, and accepts the next."""
    while True:
        if loop:
            loop.poll()
        try:
            connection = listener.accept()[0]
        except BlockingIOError:
            continue
        with connection:
            connection.recv(1)
            cpu.spin(seconds)
            with contextlib.suppress(ConnectionError):
                connection.send(b"x")


def serve_by_events(listener, seconds):
    listener.setblocking(False)
    with select.epoll() as loop:
        loop.register(listener, select.EPOLLIN)
        serve(listener, seconds, loop)


def serve_by_threads(listener, seconds):
    for _ in range(3):
        threading.Thread(target=serve, args=(listener, seconds), daemon=True).start()
    serve(listener, seconds)


def demand(address, family, kind, number):
    """A client that has so many connections waiting at all times."""
    with select.epoll() as loop:
        waiting = {}

        def connect():
            one = socket.socket(family, kind)
            one.connect(address)
            one.send(b"x")
            waiting[one.fileno()] = one
            loop.register(one, select.EPOLLIN)

        for _ in range(number):
            connect()
        while True:
            for fd, _ in loop.poll():
                waiting.pop(fd).close()
                connect()


# CPU seconds of the work for a connection: long beside what its client takes to make it
WORK = 0.004 * vs.SLOWNESS
WEIGHTS = 300, 100, 200
# percent; the weights' shares, of what the three use together
WANTED = [50, 100 / 6, 100 / 3]
# connections of each that wait, as many of the light one's as to hold up the others
CROWD = 4, 40, 6


def shares(dev, family, kind, server, order=SHARE, seconds=8):
    """The CPU time of three services of WEIGHTS under one server, in percent."""
    s, *ids = ordered(dev, weights=WEIGHTS, order=order)
    dev.add("accept", [s], [uapi.VS_REF(1)])
    listener = listener_of(dev, s, family, kind)
    address = listener.getsockname()
    clients = [(id, demand, address, family, kind, n) for id, n in zip(ids, CROWD)]
    with gates.processes(dev, (s, server, listener, WORK), *clients):
        time.sleep(2)
        return cpu.shares(dev, ids, seconds)


def shared_by(family, kind, server):
    def case(dev):
        cpu.near(shares(dev, family, kind, server), WANTED, 1, "percent")

    return case


for name, *how in (
    ("TCP, blocking", INET, STREAM, serve),
    ("TCP over IPv6, by epoll", INET6, STREAM, serve_by_events),
    ("unix stream, by four threads", UNIX, STREAM, serve_by_threads),
    ("unix seqpacket, by epoll", UNIX, SEQPACKET, serve_by_events),
):
    one = shared_by(*how)
    one.__name__ = "weights_hold_" + name.replace(", ", "_").replace(" ", "_")
    one.__doc__ = (
        f"{name}: under a server that works for one connection after the other, services of"
        " weights 3, 1 and 2 share by them, whatever waits"
    )
    gates.case(one)


@gates.case
def crowds_have_it_by_arrival(dev):
    """By arrival, the same services get what they queue for"""
    wanted = [100 * n / sum(CROWD) for n in CROWD]
    cpu.near(shares(dev, INET, STREAM, serve, ARRIVAL), wanted, 3, "percent")


def ask(address, seconds):
    """How long each connection takes to be answered, one each 50 ms for so long."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as one:
            begun = time.monotonic()
            one.connect(address)
            one.send(b"x")
            one.recv(1)
            times.append(time.monotonic() - begun)
        time.sleep(0.05)
    return times


@gates.case
def latency(dev):
    """A tenant's connection does not wait for a hundred of another's: it is answered in less than a
    tenth of the time that it takes by arrival
    """
    s, a, b = ordered(dev, weights=(100, 100))
    dev.add("accept", [s], [uapi.VS_REF(1)])
    listener = listener_of(dev, s, INET, backlog=256)
    address = listener.getsockname()
    medians = []
    with gates.processes(dev, (s, serve, listener, WORK), (b, demand, address, INET, STREAM, 100)):
        for order in (ARRIVAL, SHARE):
            dev.set(s, "accept_order", order)
            gates.enter(dev, a)
            times = ask(address, 5 * vs.SLOWNESS)
            gates.enter(dev, vs.ROOT)
            medians.append(statistics.median(times) * 1000)
            print(
                f"# {('arrival', 'share')[order]}: median {medians[-1]:.1f} ms,"
                f" longest {max(times) * 1000:.1f} ms, of {len(times)}",
                flush=True,
            )
    work = WORK * 1000
    vs.within(medians[0], 80 * work, 300 * work, "ms by arrival")
    vs.within(medians[1], work, medians[0] / 10, "ms by share")


@cpu.scheduled
def with_the_scheduler(dev):
    """With scx_vs, too"""

    def case():
        cpu.near(shares(dev, INET, STREAM, serve), WANTED, 1, "percent")

    vs.in_child(case)


vs.main()
