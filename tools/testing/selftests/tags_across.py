#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
"""Tags across network namespaces: a container's client is known to a server in another one and on
the host.

VS_COUNT=N is the number of connections, and of datagrams, on each way: 1,000 by default.
"""

import collections
import contextlib
import os
import socket
import struct

import containers
import gates
import vs
from containers import PORT

STREAM, DGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
COUNT = int(os.environ.get("VS_COUNT", "1000"))
TENANTS = "a", "b", "c"


def ask(space, dev, id, kind, where, count):
    """A child of service `id` in `space` that asks `count` times, in `count` connections or
    datagrams; returns its pid.

    A question is the asker's id; each is answered before the next, so that none is lost.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        gates.enter(dev, id)
        question = struct.pack("I", id)
        with space.inside():
            for _ in range(count):
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.settimeout(30)
                    sock.connect(where)
                    sock.send(question)
                    vs.eq(sock.recv(9), question, "answer")
        status = 0
    except BaseException as error:  # pylint: disable=broad-except
        print(f"# a client of {id}: {error}", flush=True)
    finally:
        os._exit(status)


def answer(dev, srv, server, total):
    """Answers so many questions as a task of `srv`; counts triples of asker, service worked for,
    and service of the connection.
    """
    found = collections.Counter()
    gates.enter(dev, srv)
    for _ in range(total):
        if server.type == DGRAM:
            question, back = server.recvfrom(9)
            works = gates.tag()[1]
            server.sendto(question, back)
            of = works
        else:
            connection = server.accept()[0]
            with connection:
                works, of = gates.tag()[1], gates.vs_of(connection)
                connection.settimeout(30)
                question = connection.recv(9)
                connection.send(question)
        found[struct.unpack("I", question)[0], works, of] += 1
    gates.enter(dev, vs.ROOT)
    return found


def way(topology):
    """Makes a case of each kind: N connections, N datagrams, by several tenants at once."""

    def made(kind, what):
        def case(dev):
            with contextlib.ExitStack() as stack:
                ids = [dev.create(name) for name in TENANTS]
                srv = dev.create("srv")
                containers.bind_all(dev, srv)
                dev.packets(1)
                one, two, listens, host, port = topology(stack)
                server = stack.enter_context(containers.serve(dev, srv, two, listens, kind, PORT))
                server.settimeout(30)
                shares = [COUNT // len(ids) + (n < COUNT % len(ids)) for n in range(len(ids))]
                children = [
                    ask(one, dev, id, kind, (host, port), share) for id, share in zip(ids, shares)
                ]
                found = answer(dev, srv, server, COUNT)
                for child in children:
                    vs.eq(os.waitpid(child, 0)[1], 0, "a client")
                right = sum(
                    count for (asker, works, of), count in found.items() if works == of == asker
                )
                home = sum(count for (_, works, _), count in found.items() if works == srv)
                wrong = COUNT - right - home
                print(
                    f"# {topology.__name__}, {what}: {COUNT}, right {right}, home {home},"
                    f" wrong {wrong}; srv: unattributed {dev.stat(srv).unattributed}",
                    flush=True,
                )
                vs.eq((right, home, wrong), (COUNT, 0, 0), f"{what}: right, home, wrong")
                for id in ids:
                    vs.within(dev.stat(id).sockets, 0, 2 * COUNT, "sockets")

        case.__doc__ = (
            f"{vs.title(topology).rstrip('.')}: {what} of several tenants at once"
            " are their clients'"
        )
        case.__name__ = f"{topology.__name__}_{what}"
        gates.case(case)

    made(STREAM, "connections")
    made(DGRAM, "datagrams")


for made in containers.WAYS:
    way(made)


@gates.case
def together(dev):
    """Of several datagrams that a device hands over at once, each is its sender's: all arrive
    before the stack takes the first
    """
    with contextlib.ExitStack() as stack:
        ids = [dev.create(name) for name in TENANTS]
        srv = dev.create("srv")
        containers.bind_all(dev, srv)
        dev.packets(1)
        one, two, listens, host, port = containers.veth(stack)
        with two.inside():
            # this makes the device poll, and it hands over together all that one poll finds
            vs.command("ethtool", "-K", "vs77", "gro", "on")
        with one.inside():
            # the device is not polled for a sender that can have it make segments
            vs.command("ethtool", "-K", "vs77", "tso", "off")
            vs.command("tc", "qdisc", "add", "dev", "vs77", "root", "netem", "slot", "50ms")
        server = stack.enter_context(containers.serve(dev, srv, two, listens, DGRAM, port))
        server.settimeout(30)
        clients = {}
        for id in ids:
            gates.enter(dev, id)
            with one.inside():
                clients[id] = stack.enter_context(socket.socket(socket.AF_INET, DGRAM))
        found = collections.Counter()
        for _ in range(20):
            for id in ids * 3:
                gates.enter(dev, id)
                clients[id].sendto(struct.pack("I", id), (host, port))
            gates.enter(dev, srv)
            for _ in ids * 3:
                asker = struct.unpack("I", server.recv(9))[0]
                found[asker, gates.tag()[1]] += 1
        gates.enter(dev, vs.ROOT)
        vs.eq(found, {(id, id): 60 for id in ids}, "(sender, service worked for): datagrams")


vs.main()
