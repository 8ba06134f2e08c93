# SPDX-License-Identifier: MIT OR Apache-2.0
"""A server of one service and clients of other services, in one process."""

import select
import socket

import cpu
import gates
import vs

import uapi


class Server:
    """A server's listener and the connections of one client of each service. The calling thread
    belongs to the server's service afterwards.
    """

    def __init__(self, dev, *names, family=socket.AF_INET, name="s"):
        self.dev = dev
        self.s = dev.create(name)
        self.ids = [dev.create(name) for name in names]
        gates.enter(dev, self.s)
        self.listener = gates.listener(family)
        self.peers = [gates.client(dev, id, self.listener) for id in self.ids]
        gates.enter(dev, self.s)
        self.conns = [self.listener.accept()[0] for _ in self.ids]

    def is_home(self, what):
        vs.eq(gates.tag(), (self.s, self.s), what)

    def is_at_work(self, n, what):
        vs.eq(gates.tag(), (self.s, self.ids[n]), what)

    def request(self, n):
        """Sends a request of client n, as the calling thread."""
        self.peers[n].send(b"request")

    def serve(self, n, what="at work"):
        """Receives a request of client n."""
        self.request(n)
        self.conns[n].recv(99)
        self.is_at_work(n, what)

    def serve_and_go_on(self, spin):
        """Works on a request of client 0 for `spin` seconds, replies, and works on for twice as
        long.
        """
        self.serve(0)
        cpu.spin(spin)
        self.conns[0].send(b"part")
        cpu.spin(2 * spin)


def _job(server, loop):
    """Serves requests, with work of both kinds between, and ends them in all ways."""
    some = cpu.SLOT / 40
    for turn in range(60):
        n = turn % 2
        server.serve(n)
        cpu.spin(some)
        server.conns[n].send(b"part")
        cpu.spin(some)
        if turn % 3:
            server.conns[n].send(b"part")
            cpu.spin(some)
        if turn % 5 == 1:
            server.conns[1 - n].send(b"news")
        if turn % 4:
            loop.poll(0.001)


def server_jobs(dev, number=3):
    """Makes arguments for cpu.exact(): ids of services, and the jobs of so many servers, which
    serve two clients each.
    """
    servers = [Server(dev, f"a{n}", f"b{n}", name=f"s{n}") for n in range(number)]
    dev.add("recv", [servers[0].s], [uapi.VS_REF(1)])
    jobs = []
    for server in servers:
        server.s = servers[0].s  # where the jobs are placed
        loop = select.epoll()
        for conn in server.conns:
            loop.register(conn, select.EPOLLIN)
        jobs.append(lambda server=server, loop=loop: _job(server, loop))
    return [servers[0].s, *(id for server in servers for id in server.ids)], *jobs
