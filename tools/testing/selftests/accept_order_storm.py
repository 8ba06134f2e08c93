#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""accept_order on two CPUs: whatever happens to the connections that wait, and to their listener,
while they are brought into order, none is lost, none is accepted twice, and nothing leaks.
"""

import collections
import contextlib
import pathlib
import random
import re
import select
import socket
import struct
import threading
import time

import cpu
import gates
import vs

import uapi

INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
STREAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
KINDS = (INET, STREAM), (INET6, STREAM), (UNIX, STREAM), (UNIX, SEQPACKET)
ABORTS = struct.pack("ii", 1, 0)  # close() resets the connection
SECONDS = 12


def allocated():
    """How many TCP sockets there are, also such as belong to no task."""
    text = pathlib.Path("/proc/net/sockstat").read_text(encoding="ascii")
    return int(re.search(r"^TCP:.* alloc (\d+)", text, re.M)[1])


def serve(listeners):
    """Accepts by several threads, which wait in accept() or in epoll, and reads what comes."""

    def one(listener, polls):
        with select.epoll() as loop:
            loop.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
            while True:
                if polls:
                    loop.poll()
                try:
                    with listener.accept()[0] as connection:
                        connection.settimeout(1)
                        connection.send(connection.recv(8))
                except (BlockingIOError, TimeoutError, ConnectionError, BrokenPipeError):
                    pass

    for listener in listeners:
        listener.setblocking(True)
        for polls in (False, True):
            threading.Thread(target=one, args=(listener, polls), daemon=True).start()
    threading.Event().wait()


def storm(addresses, seed):
    """Connects, and is served, goes without waiting, or aborts what it has queued."""
    chance = random.Random(seed)
    while True:
        (family, kind), address = chance.choice(addresses)
        held = []
        for _ in range(chance.randrange(1, 12)):
            one = socket.socket(family, kind)
            one.settimeout(2)
            try:
                one.connect(address)
                one.send(b"12345678")
                held.append(one)
            except (BlockingIOError, TimeoutError, ConnectionError):
                one.close()
        for one in held:
            act = chance.randrange(3)
            with contextlib.suppress(TimeoutError, ConnectionError):
                if act == 0:
                    one.recv(8)
                elif act == 1 and family != UNIX:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTS)
            one.close()


def churn(seed):
    """Opens a listener, lets several connections queue, and closes it, or stops and starts it anew,
    while two threads accept.
    """
    chance = random.Random(seed)

    def accepts(listener):
        try:
            while True:
                listener.accept()[0].close()
        except OSError:
            pass

    while True:
        family, kind = chance.choice(KINDS)
        listener = gates.listener(family, kind)
        listener.setblocking(False)
        for _ in range(4):
            clients = []
            for _ in range(20):
                client = socket.socket(family, kind)
                client.setblocking(False)
                client.connect_ex(listener.getsockname())
                clients.append(client)
            threads = [threading.Thread(target=accepts, args=(listener,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            if family != UNIX and chance.randrange(2):
                listener.shutdown(socket.SHUT_RD)
                listener.listen()
            for client in clients:
                client.close()
            for thread in threads:
                thread.join()
        listener.close()


def change(dev, s, ids, seed):
    """Turns the order on and off, and gives services other weights and parents."""
    chance = random.Random(seed)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        dev.set(s, "accept_order", chance.randrange(4) != 0)
        dev.set(chance.choice(ids), "cpu_weight", chance.randrange(1, 1000))
        dev.move(ids[2], chance.choice([vs.ROOT, *ids[:2]]))
        time.sleep(0.02)


@gates.case
def storms(dev):
    """Under a storm of connections that are served, closed and reset while they wait, of listeners
    that close, and of changes to the order and the tree, every socket is gone at the end
    """
    before = allocated()
    s = cpu.service(dev, "s", accept_order=1)
    ids = [cpu.service(dev, name, cpu_weight=100) for name in "abc"]
    dev.add("accept", [s], [uapi.VS_REF(1)])
    gates.enter(dev, s)
    listeners = [gates.listener(*kind) for kind in KINDS]
    gates.enter(dev, vs.ROOT)
    addresses = [(kind, one.getsockname()) for kind, one in zip(KINDS, listeners)]
    storming = [(id, storm, addresses, seed) for seed, id in enumerate([*ids, *ids])]
    with gates.processes(
        dev,
        (s, serve, listeners),
        (s, serve, listeners),
        (s, churn, 1),
        *storming,
    ):
        change(dev, s, ids, 2)
        hits = dev.stat(s)
    print(
        f"# {hits.hits[uapi.VS_GATE_ACCEPT]} accepts in {SECONDS} s,"
        f" bound {[dev.stat(id).rebinds for id in ids]}",
        flush=True,
    )
    vs.within(min(dev.stat(id).rebinds for id in ids), 20, 10**9, "times it worked for each")
    for one in listeners:
        one.close()
    gates.gone(dev, s, *ids)
    vs.until(lambda: allocated() <= before, 20, "as many TCP sockets as before")


@gates.case
def each_once(dev):
    """By four threads that accept at once, each connection is accepted once, and none is lost"""
    s = cpu.service(dev, "s", accept_order=1)
    ids = [cpu.service(dev, name, cpu_weight=100 * n) for n, name in enumerate("abc", 1)]
    for family, kind in KINDS:
        gates.enter(dev, s)
        listener = gates.listener(family, kind)
        gates.enter(dev, vs.ROOT)
        clients = []
        for n in range(90):
            clients.append(gates.client(dev, ids[n % 3], listener, kind))
            clients[-1].send(bytes([n]))
        names, lock = collections.Counter(), threading.Lock()
        listener.setblocking(False)

        def accept(listener=listener, names=names, lock=lock):
            gates.enter(dev, s)
            while True:
                try:
                    with listener.accept()[0] as connection:
                        connection.setblocking(True)
                        name = connection.recv(1)[0]
                except BlockingIOError:
                    return
                with lock:
                    names[name] += 1

        threads = [threading.Thread(target=accept) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        vs.eq(sorted(names.items()), [(n, 1) for n in range(90)], f"{family} {kind}")
        for one in (*clients, listener):
            one.close()


vs.main()
