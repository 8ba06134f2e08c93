#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""The carriers of a tag: requests, accepted connections, SYN cookies, Fast Open, MPTCP, TIME_WAIT,
unix messages, queues.
"""

import contextlib
import socket

import containers
import gates
import netns
import vs
from containers import Container, set_sysctl

import uapi

INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
MPTCP = 262
TCP_FASTOPEN, TCP_FASTOPEN_CONNECT = 23, 30


@contextlib.contextmanager
def machine():
    """Puts this process into a network namespace of its own, like a container's, with loopback."""
    with Container("vs-carriers") as space, space.inside():
        yield space


def server_of(dev, id, family=INET, backlog=128, proto=0):
    """A listener of a service."""
    gates.enter(dev, id)
    server = socket.socket(family, STREAM, proto)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.settimeout(10)
    server.bind(("::1" if family == INET6 else "127.0.0.1", 0))
    server.listen(backlog)
    gates.enter(dev, vs.ROOT)
    return server


def accepted(dev, srv, server):
    """Accepts as a task of `srv`: (service worked for, service of the connection), and the
    connection.
    """
    gates.enter(dev, srv)
    connection = server.accept()[0]
    got = gates.tag()[1], gates.vs_of(connection)
    gates.enter(dev, vs.ROOT)
    connection.settimeout(10)
    return got, connection


def tenants(dev, *names):
    made = [dev.create(name) for name in (*names, "srv")]
    containers.bind_all(dev, made[-1])
    dev.packets(1)
    return made


@gates.case
def backlog(dev):
    """Connections that wait to be accepted are their clients', in any order, by IPv4 and IPv6"""
    a, b, srv = tenants(dev, "a", "b")
    for family in INET, INET6:
        with server_of(dev, srv, family) as server:
            order = [a, b, b, a, a, b]
            peers = [gates.client(dev, id, server) for id in order]
            for id in order:
                got, connection = accepted(dev, srv, server)
                vs.eq(got, (id, id), f"family {family}")
                connection.close()
            for peer in peers:
                peer.close()


@gates.case
def deferred(dev):
    """A request that waits for data (TCP_DEFER_ACCEPT) is its client's when data comes, although
    another task sends the data
    """
    a, b, srv = tenants(dev, "a", "b")
    with server_of(dev, srv) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        peers = [gates.client(dev, id, server) for id in (a, b)]
        gates.enter(dev, b)
        for peer in peers:
            peer.send(b"x")
        gates.enter(dev, vs.ROOT)
        for id in a, b:
            got, connection = accepted(dev, srv, server)
            vs.eq(got, (id, id), "after data")
            connection.close()
        for peer in peers:
            peer.close()


@gates.case
def cookies(dev):
    """With SYN cookies for all requests, of which nothing is kept, connections are their
    clients'
    """
    a, b, srv = tenants(dev, "a", "b")
    with machine():
        set_sysctl("net.ipv4.tcp_syncookies", 2)
        for family in INET, INET6:
            with server_of(dev, srv, family) as server:
                for id in a, b, a:
                    peer = gates.client(dev, id, server)
                    peer.send(b"x")
                    got, connection = accepted(dev, srv, server)
                    vs.eq(got, (id, id), f"family {family}")
                    connection.close()
                    peer.close()


@gates.case
def fast_open(dev):
    """A connection by Fast Open belongs to the service of the task that opens it, not of the
    socket's maker; gate connect counts it and asks its rules
    """
    a, b, c, px, srv = tenants(dev, "a", "b", "c", "px")
    with machine():
        # client and server, with data and without a cookie
        set_sysctl("net.ipv4.tcp_fastopen", 0x207)
        with server_of(dev, srv) as server:
            server.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)

            def by_sendto(sock):
                sock.sendto(b"x", socket.MSG_FASTOPEN, server.getsockname())

            def by_option(sock):
                sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
                sock.connect(server.getsockname())
                sock.send(b"x")

            for way in by_option, by_sendto:
                for caller in a, b:
                    gates.enter(dev, px)
                    sock = socket.socket()
                    gates.enter(dev, caller)
                    before = dev.stat(caller).hits[uapi.VS_GATE_CONNECT]
                    way(sock)
                    vs.eq(
                        dev.stat(caller).hits[uapi.VS_GATE_CONNECT] - before,
                        1,
                        f"{way.__name__}: calls of gate connect",
                    )
                    gates.enter(dev, vs.ROOT)
                    vs.eq(gates.vs_of(sock), caller, f"{way.__name__}: the client's socket")
                    got, connection = accepted(dev, srv, server)
                    vs.eq(got, (caller, caller), f"{way.__name__}: the connection")
                    connection.close()
                    sock.close()
                # of a task bound to a's request: its home's, or by a rule the service's that it
                # works for
                front = server_of(dev, px)
                number = dev.add("accept", [px], containers.BY_SOCKET)
                peer = gates.client(dev, a, front)
                gates.enter(dev, px)
                sock = socket.socket()
                request = front.accept()[0]
                vs.eq(gates.tag(), (px, a), "bound")
                way(sock)
                ruled = dev.add("connect", [px], [vs.ANY, vs.REF(0)])
                other = socket.socket()
                way(other)
                dev.delete(ruled)
                gates.enter(dev, vs.ROOT)
                for one, wanted in (sock, px), (other, a):
                    got, connection = accepted(dev, srv, server)
                    vs.eq(
                        (gates.vs_of(one), *got), (wanted,) * 3, f"{way.__name__}, by a bound task"
                    )
                    connection.close()
                dev.delete(number)
                for one in sock, other, request, peer, front:
                    one.close()
                # by rule
                number = dev.add(
                    "connect", [a], [vs.ANY, c], peer_port=server.getsockname()[1], proto="tcp"
                )
                gates.enter(dev, a)
                sock = socket.socket()
                way(sock)
                gates.enter(dev, vs.ROOT)
                got, connection = accepted(dev, srv, server)
                vs.eq((gates.vs_of(sock), *got), (c, c, c), f"{way.__name__}, by a rule of connect")
                dev.delete(number)
                sock.close()
                connection.close()


def multipath(client, server):
    """Makes a case of a pair of protocols."""
    name = {0: "TCP", MPTCP: "MPTCP"}

    def case(dev):
        a, b, srv = tenants(dev, "a", "b")
        with server_of(dev, srv, proto=server) as listener:
            for id in a, b, a:
                gates.enter(dev, id)
                peer = socket.socket(INET, STREAM, client)
                peer.settimeout(10)
                peer.connect(listener.getsockname())
                gates.enter(dev, vs.ROOT)
                vs.eq(gates.vs_of(peer), id, "the client's socket")
                got, connection = accepted(dev, srv, listener)
                vs.eq(got, (id, id), "the connection")
                peer.send(b"question")
                vs.eq(connection.recv(99), b"question")
                connection.send(b"answer")
                vs.eq(peer.recv(99), b"answer")
                connection.close()
                peer.close()
        for id in a, b, srv:
            vs.until(lambda id=id: dev.stat(id).sockets == 0, 20, f"sockets of {id}")

    case.__doc__ = (
        f"{name[client]} client, {name[server]} server:"
        " the connection is the client's, and counts end"
    )
    case.__name__ = f"multipath_{name[client]}_{name[server]}"
    gates.case(case)


for pair in ((MPTCP, MPTCP), (0, MPTCP), (MPTCP, 0)):
    multipath(*pair)


@gates.case
def time_wait(dev):
    """All packets of a connection are its service's, also those of its ends in TIME_WAIT, and no
    other packets are
    """
    a, srv = tenants(dev, "a")
    for first in "client", "server":
        with Container("vs-one") as one, Container("vs-two") as two:
            netns.link(one, two)
            with containers.serve(dev, srv, two, "10.77.0.2", STREAM) as server:
                read = lambda: netns.interfaces(one, two)
                before, had = netns.settled(read), netns.counted(dev, a)
                gates.enter(dev, a)
                peer = netns.client(one, "10.77.0.2")
                gates.enter(dev, vs.ROOT)
                got, connection = accepted(dev, srv, server)
                vs.eq(got, (a, a), "the connection")
                netns.exchange(peer, connection, 100000)
                ends = [peer, connection] if first == "client" else [connection, peer]
                ends[0].close()
                vs.eq(ends[1].recv(1), b"", "the end of the stream")
                ends[1].close()
                vs.eq(
                    netns.difference(had, netns.settled(lambda: netns.counted(dev, a))),
                    netns.difference(before, netns.settled(read)),
                    f"a's packets and bytes, the {first} closes first",
                )


@gates.case
def unix_streams(dev):
    """A unix stream belongs to its connector's service, waiting or accepted, and keeps it in other
    hands
    """
    a, b, srv = tenants(dev, "a", "b")
    for kind in STREAM, socket.SOCK_SEQPACKET:
        gates.enter(dev, srv)
        with gates.listener(UNIX, kind) as server:
            gates.enter(dev, vs.ROOT)
            peers = [gates.client(dev, id, server, kind) for id in (a, b, a)]
            gates.enter(dev, b)
            for peer in peers:
                peer.send(b"x")
            for id in a, b, a:
                got, connection = accepted(dev, srv, server)
                vs.eq(got, (id, id), f"{kind.name}")
                connection.close()
            for peer in peers:
                peer.close()


@gates.case
def unix_datagrams(dev):
    """A unix datagram belongs to the service that its socket had when it was sent, however long it
    lies in the queue
    """
    a, b, srv = tenants(dev, "a", "b")
    dev.add("send", [vs.ANY], [vs.ANY, uapi.VS_REF(0)], proto="unix-dgram")
    server = gates.listener(UNIX, DGRAM)
    order = [a, b, b, a]
    with socket.socket(UNIX, DGRAM) as sock:
        for id in order:
            gates.enter(dev, id)
            sock.sendto(b"x", server.getsockname())
    for id in order:
        vs.eq(containers.works_for(dev, srv, server), id, "message of")
    # and by placing: an administrator gives the socket away while its message waits
    gates.enter(dev, a)
    with socket.socket(UNIX, DGRAM) as sock:
        number = dev.rules()[-1].id
        dev.delete(number)
        sock.sendto(b"x", server.getsockname())
        gates.enter(dev, vs.ROOT)
        dev.place_socket(sock, b)
        vs.eq(containers.works_for(dev, srv, server), a, "a message of before it was given away")
    server.close()


def reused(dev, id):
    """Destroys service `id`, which has nothing left, and at once creates another one with the same
    id.
    """
    vs.until(lambda: (dev.stat(id).tasks, dev.stat(id).sockets) == (0, 0), what=f"{id} is empty")
    dev.destroy(id)
    vs.eq(dev.create("other", id=id), id, "the id of the other service")


def never_another(made):
    """Makes a case in which a tag waits while its service is destroyed and its id is given to
    another.
    """

    def case(dev):
        b, srv = tenants(dev, "b")
        a = dev.create("a", id=4321)
        got = made(dev, a, srv)
        for one in got:
            vs.eq(one, srv, "what waited is worked for as the server's own")
        vs.eq(dev.stat(a).sockets, 0, "sockets counted for the other")
        vs.eq(dev.stat(a).unattributed, 0, "calls counted for the other")
        del b

    case.__doc__ = made.__doc__
    case.__name__ = made.__name__
    gates.case(case)


@never_another
def old_datagrams(dev, a, srv):
    """Waiting datagrams, UDP's and unix ones, are not given to the next service with their sender's
    id
    """
    servers = [
        containers.serve(dev, srv, netns.Here(), "127.0.0.1", DGRAM, 7000),
        gates.listener(UNIX, DGRAM),
    ]
    gates.enter(dev, a)
    for server in servers:
        with socket.socket(server.family, DGRAM) as sock:
            sock.sendto(b"x", server.getsockname())
            # the kernel frees a unix socket once its last message has been received: until then it
            # is counted
            dev.place_socket(sock, vs.ROOT)
    gates.enter(dev, vs.ROOT)
    reused(dev, a)
    got = [containers.works_for(dev, srv, server) for server in servers]
    for server in servers:
        server.close()
    return got


@never_another
def old_request(dev, a, srv):
    """A request that waits for data under TCP_DEFER_ACCEPT is not given to the next service with
    its client's id
    """
    server = server_of(dev, srv)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    peer = gates.client(dev, a, server)
    dev.place_socket(peer, vs.ROOT)
    reused(dev, a)
    peer.send(b"x")
    got, connection = accepted(dev, srv, server)
    for one in server, peer, connection:
        one.close()
    return list(got)


@never_another
def old_time_wait(dev, a, srv):
    """Packets that come to a connection in TIME_WAIT are not given to the next service with its
    id
    """
    server = server_of(dev, srv)
    peer = gates.client(dev, a, server)
    got, connection = accepted(dev, srv, server)
    vs.eq(got, (a, a), "the connection")
    port = peer.getsockname()[1]
    connection.close()  # closed first, so the server's end is the one in TIME_WAIT
    vs.eq(peer.recv(1), b"", "the end of the stream")
    peer.close()
    reused(dev, a)
    with socket.socket() as again:
        # a SYN to the server's port from the port that waits
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
        again.connect(server.getsockname())
        got, connection = accepted(dev, srv, server)
        connection.close()
    server.close()
    vs.eq(
        netns.settled(lambda: netns.counted(dev, a)), [0, 0, 0, 0], "packets counted for the other"
    )
    return list(got)


vs.main()
