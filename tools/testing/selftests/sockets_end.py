#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""How sockets stop belonging to a service: at its limit, at `vsctl down`, in any namespace."""

import contextlib
import os
import socket
import threading
import time

import containers
import gates
import netns
import vs
from containers import set_sysctl

INET, UNIX, STREAM, DGRAM = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
KINDS = (INET, STREAM), (INET, DGRAM), (UNIX, STREAM), (UNIX, DGRAM)


def limited(dev, name, most):
    made = dev.create(name)
    dev.detach(made, "sockets_max")
    dev.set(made, "sockets_max", most)
    return made


def most_seen(dev, id, seconds):
    """Returns the most sockets that were counted for a service within this time."""
    most, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        most = max(most, dev.stat(id).sockets)
        time.sleep(0.005)
    return most


def under_way(cookies):
    """Makes a case: handshakes of a tenant by rule, many at once."""

    def case(dev):
        most = 3
        a = limited(dev, "a", most)
        dev.add("packet", right=[a], local_port=7011)
        dev.packets(1)
        with containers.Container("vs-limit") as space, space.inside():
            set_sysctl("net.ipv4.tcp_syncookies", 2 if cookies else 1)
            server = gates.listener(address=("127.0.0.1", 7011))
            if not cookies:
                # a request stays one until data comes
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
            peers = [socket.socket() for _ in range(20)]
            for peer in peers:
                peer.setblocking(False)
                peer.connect_ex(server.getsockname())
            time.sleep(0.5)
            for peer in peers:
                with contextlib.suppress(OSError):
                    peer.send(b"x")
            vs.within(most_seen(dev, a, 2), 1, most, "sockets of a, while handshakes end")
            server.settimeout(0.5)
            held = []
            with contextlib.suppress(TimeoutError):
                while True:
                    held.append(server.accept()[0])
            # a connection beyond the limit belongs to no service; it is not counted, and its server
            # works for no tenant
            tags = [gates.vs_of(one) for one in held]
            vs.eq(set(tags) <= {a, vs.ROOT}, True, f"services of connections: {tags}")
            vs.within(tags.count(a), 1, most, "connections of a that the server has")
            vs.eq(dev.stat(a).sockets, tags.count(a), "counted")
            # there is room again, so the next one is accepted
            for one in peers:
                one.close()
            for one in held:
                one.close()
            vs.until(lambda: dev.stat(a).sockets == 0, 10, "all closed")
            with socket.create_connection(server.getsockname(), 10) as peer:
                peer.send(b"x")
                server.settimeout(10)
                server.accept()[0].close()
            server.close()

    case.__doc__ = "Never more sockets than sockets_max with twenty handshakes under way" + (
        ", by SYN cookies" if cookies else ""
    )
    case.__name__ = f"under_way_{cookies}"
    gates.case(case)


under_way(False)
under_way(True)


@gates.case
def accepted_at_the_limit(dev):
    """A client's own sockets and its connections are one count: at its limit neither comes, and
    both come when there is room
    """
    a = limited(dev, "a", 2)
    server = gates.listener()
    server.settimeout(0.5)
    one = gates.client(dev, a, server)
    first = server.accept()[0]
    vs.eq(dev.stat(a).sockets, 2, "both ends")
    gates.enter(dev, a)
    try:
        socket.socket()
        raise AssertionError("a third socket")
    except OSError:
        pass
    gates.enter(dev, vs.ROOT)
    first.close()
    one.close()
    vs.until(lambda: dev.stat(a).sockets == 0, what="closed")
    again = gates.client(dev, a, server)
    server.accept()[0].close()
    again.close()
    server.close()


def made_in(space_fd=None):
    """Sockets of each kind that are in no table of the kernel; and bound, listening and connected
    ones, with their peers.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if space_fd is not None:
        os.setns(space_fd, os.CLONE_NEWNET)
    made = [socket.socket(*kind) for kind in KINDS]
    made += socket.socketpair()
    server = gates.listener()
    peer = socket.create_connection(server.getsockname())
    made += [server, peer, server.accept()[0], gates.listener(UNIX), gates.listener(INET, DGRAM)]
    waiting = socket.create_connection(server.getsockname())  # the connection waits to be accepted
    os.setns(home, os.CLONE_NEWNET)
    os.close(home)
    return [*made, waiting]


def fresh_namespace():
    """A network namespace that nothing holds but the descriptor returned."""

    def body():
        os.unshare(os.CLONE_NEWNET)
        netns.ip("link", "set", "lo", "up")
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return gates.thread(body)


class Holders:
    """Sockets of service `a` in network namespaces that are held in different ways."""

    def __init__(self, dev, a):
        self.sockets, self.stop = {}, threading.Event()
        gates.enter(dev, a)
        self.sockets["the host's"] = made_in()
        self.descriptor = fresh_namespace()
        self.sockets["a namespace held by a descriptor"] = made_in(self.descriptor)
        last = fresh_namespace()
        self.sockets["a namespace held by its sockets alone"] = made_in(last)
        os.close(last)
        ready = threading.Event()

        def live():
            gates.enter(dev, a)
            os.unshare(os.CLONE_NEWNET)
            netns.ip("link", "set", "lo", "up")
            self.sockets["a namespace a thread lives in"] = made_in()
            gates.enter(dev, vs.ROOT)
            ready.set()
            self.stop.wait()

        self.thread = threading.Thread(target=live)
        self.thread.start()
        ready.wait()
        gates.enter(dev, vs.ROOT)

    def every(self):
        return [(where, sock) for where, some in self.sockets.items() for sock in some]

    def close(self):
        for _, sock in self.every():
            sock.close()
        self.stop.set()
        self.thread.join()
        os.close(self.descriptor)


def down_and_up():
    vs.vsctl("down")
    vs.vsctl("up", "--no-sched")


@contextlib.contextmanager
def held(dev):
    a = dev.create("a")
    holders = Holders(dev, a)
    try:
        for where, sock in holders.every():
            vs.eq(gates.vs_of(sock), a, f"before, {where}, {sock}")
        yield a, holders
    finally:
        holders.close()
        vs.vsctl("up", "--no-sched")


@gates.case
def down_takes_every_tag(dev):
    """`down` takes the tag off every socket, in every namespace and however that is held"""
    with held(dev) as (a, holders):
        vs.within(
            dev.stat(a).sockets, len(holders.every()), len(holders.every()) + 8, "counted before"
        )
        vs.vsctl("down")
        vs.eq((dev.stat(a).sockets, dev.stat(a).tasks), (0, 0), "counted while the gates are down")
        dev.destroy(a)
        vs.eq(a in [service.id for service in dev.services()], False, "the service is gone")
        vs.vsctl("up", "--no-sched")
        for where, sock in holders.every():
            vs.eq(gates.vs_of(sock), vs.ROOT, f"after, {where}, {sock}")


@gates.case
def up_believes_nothing_old(dev):
    """A second `up` believes no earlier tag: not of sockets, of waiting connections, of datagrams,
    or of packets on their way
    """
    srv = dev.create("srv")
    containers.bind_all(dev, srv)
    gates.enter(dev, srv)
    queues = [gates.listener(INET, DGRAM), gates.listener(UNIX, DGRAM)]
    gates.enter(dev, vs.ROOT)
    with held(dev) as (a, holders):
        gates.enter(dev, a)
        senders = [socket.socket(queue.family, DGRAM) for queue in queues]
        for sender, queue in zip(senders, queues):
            sender.sendto(b"before", queue.getsockname())
        gates.enter(dev, vs.ROOT)
        down_and_up()
        for where, sock in holders.every():
            vs.eq(gates.vs_of(sock), vs.ROOT, f"{where}, {sock}")
        vs.eq(dev.stat(a).sockets, 0, "counted")
        for sender, queue in zip(senders, queues):
            sender.sendto(b"after", queue.getsockname())
            for when in "before", "after":
                vs.eq(
                    containers.works_for(dev, srv, queue),
                    srv,
                    f"a datagram of {when}, {queue.family.name}",
                )
        for where, some in holders.sockets.items():
            server = some[6]
            server.settimeout(10)
            gates.enter(dev, srv)
            with server.accept()[0] as connection:
                vs.eq(
                    (gates.vs_of(connection), gates.tag()[1]),
                    (srv, srv),
                    f"the connection that waited, {where}",
                )
            gates.enter(dev, vs.ROOT)
        for one in senders + queues:
            one.close()


@gates.case
def closed_while_down(dev):
    """A socket that is closed while the gates are down is counted no more when they are up; its
    service can be destroyed
    """
    with held(dev) as (a, holders):
        vs.vsctl("down")
        for _, sock in holders.every():
            sock.close()
        vs.vsctl("up", "--no-sched")
        vs.eq(dev.stat(a).sockets, 0, "counted")
        dev.destroy(a)


@gates.case
def counts_after(dev):
    """After down and up counts are exact: old sockets count for no service, new ones once, and
    closing either takes off no more
    """
    with held(dev) as (a, holders):
        down_and_up()
        gates.enter(dev, a)
        made = [socket.socket(*kind) for kind in KINDS]
        gates.enter(dev, vs.ROOT)
        vs.eq(dev.stat(a).sockets, len(made), "new ones")
        for _, sock in holders.every():
            sock.close()
        vs.eq(dev.stat(a).sockets, len(made), "after the old ones are closed")
        for sock in made:
            sock.close()
        vs.until(lambda: dev.stat(a).sockets == 0, what="all closed")


vs.main()
