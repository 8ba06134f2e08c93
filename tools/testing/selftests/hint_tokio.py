#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: icount=3
# limit: 120
"""A server on tokio that tells for which connection it works (tools/hint/examples/tokio.rs): one
thread, whose futures take turns in the midst of requests.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

import gates
import vs

import uapi

SERVER = pathlib.Path(__file__).resolve().parents[2] / "target/release/examples/tokio"
ADDRESS = "127.0.0.1", 7777
MANY = 4_000_000  # steps of a request


@contextlib.contextmanager
def serving(dev, id, **environment):
    """The server, placed in a service before it listens."""
    server = subprocess.Popen(
        ["sh", "-c", f"kill -STOP $$; exec {SERVER} {ADDRESS[0]}:{ADDRESS[1]}"],
        env={**os.environ, **environment},
    )
    try:
        os.waitpid(server.pid, os.WUNTRACED)
        dev.place(server.pid, id)
        server.send_signal(signal.SIGCONT)
        vs.until(lambda: vs.listens(ADDRESS[1]), 20, "the server listens")
        yield server
    finally:
        server.kill()
        server.wait()


def clients(dev, ids):
    """A connection of each service's."""
    socks = []
    for id in ids:
        gates.enter(dev, id)
        socks.append(socket.create_connection(ADDRESS))
    gates.enter(dev, vs.ROOT)
    return socks


def shared(dev, **environment):
    """What s, a and b are charged, in percent, while the server works for both at once, twice as
    much for b.
    """
    s, a, b = ids = [dev.create(name) for name in "sab"]
    dev.add("hint", [s], [uapi.VS_REF(1)])
    with serving(dev, s, **environment):
        socks = clients(dev, (a, b))
        for sock in socks:  # so that all it needs is in memory
            sock.sendall(b"1000\n")
            sock.recv(99)
        before = [dev.stat(id).cpu_ns for id in ids]
        for sock, steps in zip(socks, (MANY, 2 * MANY)):
            sock.sendall(b"%d\n" % steps)
        for sock, steps in zip(socks, (MANY, 2 * MANY)):
            vs.eq(sock.recv(99), b"%d\n" % steps, "the reply")
        time.sleep(0.05)
        had = [dev.stat(id).cpu_ns - was for id, was in zip(ids, before)]
        for sock in socks:
            sock.close()
    percent = [100 * one / sum(had) for one in had]
    print("# percent: " + ", ".join(f"{one:.1f}" for one in percent), flush=True)
    return percent


@gates.case
def told(dev):
    """Each client is charged for its own request, although they are worked on in turns"""
    own, a, b = shared(dev)
    vs.within(own, 0, 15, "the server's own")
    vs.within(b / a, 1.9, 2.1, "b's, beside a's")


@gates.case
def untold(dev):
    """If the server tells nothing, all is its own"""
    own, *_ = shared(dev, VS_HINT="off")
    vs.within(own, 97, 100, "the server's own")


vs.main()
