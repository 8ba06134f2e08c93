# SPDX-License-Identifier: MIT OR Apache-2.0
"""A proxy that asks one server for several tenants, by a connection that it keeps."""

import os
import select
import socket

import containers
import gates
import netns
import vs
from server import Server

import uapi

BY_MESSAGE = [uapi.VS_REF(2)]
PROTO = {socket.AF_UNIX: "unix-stream", socket.AF_INET: "tcp", socket.AF_INET6: "tcp"}
CLIENT_PORT = 40000  # of a proxy's connection on a way
GIVES = [vs.ANY, vs.ANY, uapi.VS_REF(0)]  # the message becomes its sender's current service's


class Apart(Server):
    """A server whose clients send as tasks of their own services: rules of `send` tell them apart
    from the server.
    """

    def request(self, n):
        def sends():
            gates.enter(self.dev, self.ids[n])
            self.peers[n].send(b"request")

        gates.thread(sends)


class Proxy(Apart):
    """A proxy that also is, in another service, the server that it asks: the calling thread is the
    one or the other in turns, each by waiting for its next request.

    With `way`, one of containers.WAYS, the proxy's connection is made in the first namespace and
    the server's listener in the other.
    """

    def __init__(self, dev, gives=True, family=socket.AF_UNIX, way=None, names="ab"):
        super().__init__(dev, *names, name="".join(["proxy-", *names]))
        self.back = dev.create("".join(["back-", *names]))
        dev.add("recv", [self.s], BY_MESSAGE)
        dev.add("recv", [self.back], BY_MESSAGE)
        if gives:
            for one in self.s, self.back:
                dev.add("send", [one], GIVES, proto=PROTO[family])
        gates.enter(dev, self.back)
        if way:
            here, there, listens, host, port = way
            with there.inside():
                backend = socket.create_server((listens, containers.PORT))
        else:
            here, backend = netns.Here(), gates.listener(family)
        gates.enter(dev, self.s)
        with here.inside():
            self.up = socket.socket(family)
            if way:
                self.up.bind(("", CLIENT_PORT))
            self.up.connect((host, port) if way else backend.getsockname())
        self.jobs, self.replies = os.pipe(), os.pipe()
        self.server = os.fork()
        if not self.server:
            self._serve(backend)
        dev.place(self.server, self.back)
        os.write(self.jobs[1], b"0")
        vs.eq(self.says(), "ready", "the server")

    def _serve(self, backend):
        """The server: receives as many bytes as it is told, says as whom it works then, and answers
        if it is told a number below 100.
        """
        vs.dies_with_parent()
        for one in (*self.peers, *self.conns, self.listener, self.up):
            one.close()
        os.read(self.jobs[0], 99)
        conn = backend.accept()[0]
        poll = select.poll()
        poll.register(self.jobs[0])
        os.write(self.replies[1], b"ready ")
        while True:
            poll.poll()
            size = int(os.read(self.jobs[0], 99))
            conn.recv(size % 100)
            home, current = gates.tag()
            vs.eq(home, self.back, "the server's home")
            if size < 100:
                conn.send(b"answer")
            os.write(self.replies[1], b"%d " % current)

    def says(self):
        return os.read(self.replies[0], 99).decode().strip()

    def reads(self, size, answers=False):
        """As whom the server works after it has read so many bytes."""
        os.write(self.jobs[1], b"%d" % (size if answers else size + 100))
        return int(self.says())

    def asks(self, n, question=b"question"):
        """Asks in the name of client n."""
        self.serve(n)
        self.up.send(question)
