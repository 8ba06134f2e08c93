#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
"""Services, forks, connections and namespaces come and go in masses, all tagged: every count ends
at nothing.

VS_SERVICES=10000 sets how many services come and go; by default as many as `make check` has time
for.
"""

import contextlib
import os
import socket
import subprocess
import time

import gates
import vs
from threads import Repeating, end

SERVICES = int(os.environ.get("VS_SERVICES", 300))
SECONDS = int(os.environ.get("VS_SECONDS", 5))  # the length of the other storms
FORKS = ["bash", "-c", "while :; do (:); (:) & done"]


@contextlib.contextmanager
def crowd(*works):
    """Runs threads that do something over and over, each at least once."""
    threads = [Repeating(work) for work in works]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        end(threads)
    rounds = [one.rounds for one in threads]
    print(f"# rounds: {rounds}", flush=True)
    vs.within(min(rounds), 1, 1 << 40, "rounds of the slowest")


def settled(dev):
    """Checks that no service has a task or socket left, and that all can go."""
    ids = [one.id for one in dev.services() if one.id != vs.ROOT]
    vs.until(
        lambda: all((dev.stat(id).tasks, dev.stat(id).sockets) == (0, 0) for id in ids),
        60,
        "all services are empty",
    )
    dev.apply(prune=True)
    vs.eq(len(dev.services()), 1, "services")


def connect(family, dev, ids):
    """Connects, accepts, sends and closes, between tasks of two services."""
    gates.enter(dev, ids[0])
    with gates.listener(family) as server:
        gates.enter(dev, ids[1])
        with socket.socket(family) as client:
            client.settimeout(30)
            client.connect(server.getsockname())
            gates.enter(dev, ids[0])
            with server.accept()[0] as worker:
                client.sendall(b"x")
                vs.eq(worker.recv(2), b"x", "what was sent")
    gates.enter(dev, vs.ROOT)


def datagram(dev, ids):
    """Sends a datagram to itself, as a task of a service."""
    gates.enter(dev, ids[0])
    with gates.listener(kind=socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.sendto(b"x", sock.getsockname())
        vs.eq(sock.recv(2), b"x", "what was sent")
    gates.enter(dev, vs.ROOT)


def namespace(dev, ids):
    """Runs a program of a service that makes namespaces for itself, and ends in them."""
    gates.enter(dev, ids[1])
    vs.eq(
        vs.run("unshare", "--net", "--ipc", "--uts", "ip", "link", "set", "lo", "up").returncode,
        0,
        "status",
    )
    gates.enter(dev, vs.ROOT)


@vs.gated
def services(dev):
    """Services come and go under traffic, each with tasks and sockets that its heir takes over"""
    ids = [dev.create("server"), dev.create("client")]
    storm = subprocess.Popen(FORKS, start_new_session=True)
    try:
        with crowd(lambda: connect(socket.AF_INET, dev, ids), lambda: datagram(dev, ids)):
            last = dev.create("first")
            dev.place(storm.pid, last)
            for number in range(SERVICES):
                id = dev.create(f"n{number}", ids[number & 1])
                dev.destroy(last, id)
                last = id
            vs.within(dev.stat(last).tasks, 1, 1 << 20, "tasks that the last heir has")
    finally:
        vs.kill_sessions(storm)
    settled(dev)


@vs.gated
def everything(dev):
    """Forks, connections, datagrams and namespaces at once, while rules re-bind and services are
    destroyed
    """
    ids = [dev.create("server"), dev.create("client")]
    dev.add("accept", [ids[0]], [vs.REF(1)])
    dev.add("recv", [ids[0]], [vs.REF(2)], proto="udp")
    storms = [subprocess.Popen(FORKS, start_new_session=True) for _ in range(2)]

    def replace():
        heir, victim = dev.create("heir"), dev.create("victim", ids[0])
        dev.place(storms[0].pid, victim)
        dev.move(victim, ids[1])
        dev.destroy(victim, heir)
        dev.destroy(heir, ids[0])

    try:
        with crowd(
            lambda: connect(socket.AF_INET, dev, ids),
            lambda: connect(socket.AF_INET6, dev, ids),
            lambda: connect(socket.AF_UNIX, dev, ids),
            lambda: datagram(dev, ids),
            lambda: namespace(dev, ids),
            replace,
        ):
            time.sleep(SECONDS)
    finally:
        vs.kill_sessions(*storms)
    settled(dev)


vs.adopt()
vs.main()
