#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""The gate `packet`: rules make remote clients tenants before their connections are accepted."""

import socket

import containers
import gates
import netns
import vs
from netns import CLIENT, SERVER, each, machines

LENGTH = {"v4": 96 + 24, "v6": 64}  # of the prefix that both are in


def tenants(one, two):
    """Checks the packets of the server's tenant: all that its interface sees, and, by their tags,
    those that arrive at the client.
    """
    here, there = netns.interfaces(two), netns.interfaces(one)
    return [here[0] + there[0], here[1] + there[1], *here[2:]]


@each
def before_accept(dev, version):
    """A remote client is a tenant before it is accepted"""
    with machines(dev) as (one, two, a):
        dev.add("packet", right=[a], peer=CLIENT[version], local_port=5432, proto="tcp")
        read = lambda: tenants(one, two)
        with netns.listener(two, SERVER[version]) as server:
            before = netns.settled(read)
            with netns.client(one, SERVER[version]) as client:
                netns.settled(read)
                vs.eq(dev.stat(a).sockets, 1, "sockets of the tenant while nobody has accepted")
                handshake = netns.counted(dev, a)
                vs.eq(
                    (handshake[0], handshake[2]),
                    (3, 1),
                    "packets of the handshake, in at both ends, and out",
                )
                connection, _ = server.accept()
                with connection:
                    vs.eq(gates.vs_of(connection), a, "the tag of the accepted connection")
                    vs.eq(gates.vs_of(server), vs.ROOT, "the tag of the listener")
                    connection.settimeout(10)
                    netns.exchange(client, connection, 1 << 20)
            after = netns.settled(read)
        vs.eq(
            netns.counted(dev, a),
            netns.difference(before, after),
            "the tenant's packets and bytes, as the server's interface counted",
        )


@each
def port_used_again(dev, version):
    """A connection from the port of one in TIME_WAIT belongs to its own client, not to the client
    before
    """
    dev.packets(1)
    a, b = dev.create("a"), dev.create("b")
    address = "::1" if version == "v6" else "127.0.0.1"

    def connect(id, port):
        gates.enter(dev, id)
        with socket.socket(netns.family(address)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((address, port))
            client.connect(server.getsockname()[:2])
            gates.enter(dev, vs.ROOT)
            connection = server.accept()[0]
            got = gates.vs_of(connection)
            connection.close()  # closed first, so the server's end stays in TIME_WAIT
            client.recv(1)
            return got, client.getsockname()[1]

    with gates.listener(netns.family(address)) as server:
        got, port = connect(a, 0)
        vs.eq(got, a, "the first connection's")
        vs.eq(connect(b, port)[0], b, "the second one's")


@each
def encrypted(dev, version):
    """Packets of any size that IPsec encrypts pass"""
    if vs.run("ip", "xfrm", "state").returncode:
        vs.skip("this kernel has no IPsec")
    # then TCP hands IPsec packets that have yet to be segmented
    vs.run("modprobe", f"esp{version[1]}_offload")
    with machines(dev) as (one, two, _):
        for space in one, two:
            with space.inside():
                for source, target in (CLIENT, SERVER), (SERVER, CLIENT):
                    ends = f"src {source[version]} dst {target[version]}"
                    out = (space is one) == (source is CLIENT)
                    netns.ip(
                        *f"xfrm state add {ends} proto esp spi 0x100 reqid 1".split(),
                        *f"mode transport aead rfc4106(gcm(aes)) 0x{'5a' * 20} 128".split(),
                    )
                    way = "out" if out else "in"
                    netns.ip(
                        *f"xfrm policy add {ends} dir {way}".split(),
                        *f"tmpl {ends} proto esp reqid 1 mode transport".split(),
                    )
        with (
            netns.listener(two, SERVER[version]) as server,
            netns.client(one, SERVER[version]) as client,
        ):
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                netns.exchange(client, connection, 1 << 20)


@each
def established_without_rule(dev, version):
    """An established connection stays its tenant's when the rule is gone"""
    with machines(dev) as (one, two, a):
        number = dev.add("packet", right=[a], peer=CLIENT[version])
        with (
            netns.listener(two, SERVER[version]) as server,
            netns.client(one, SERVER[version]) as client,
        ):
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                dev.delete(number)
                read = lambda: tenants(one, two)
                before, had = netns.settled(read), netns.counted(dev, a)
                netns.exchange(client, connection, 1 << 18)
                vs.eq(
                    netns.difference(had, netns.settled(lambda: netns.counted(dev, a))),
                    netns.difference(before, netns.settled(read)),
                    "the tenant's packets and bytes",
                )


@each
def others(dev, version):
    """A client that no rule names belongs to no service"""
    with machines(dev) as (one, two, a):
        dev.add("packet", right=[a], peer=CLIENT[version], local_port=5433)
        dev.add("packet", right=[a], peer=SERVER[version], local_port=5432)
        dev.add("packet", right=[a], iface="vs78")
        dev.add("packet", right=[a], proto="udp")
        with (
            netns.listener(two, SERVER[version]) as server,
            netns.client(one, SERVER[version]) as client,
        ):
            connection, _ = server.accept()
            with connection:
                connection.settimeout(10)
                netns.exchange(client, connection, 1000)
                vs.eq(gates.vs_of(connection), vs.ROOT, "its tag")
        vs.eq(netns.counted(dev, a), [0, 0, 0, 0], "what is counted for the tenant")


@each
def by_prefix_and_interface(dev, version):
    """A rule on a prefix and the interface matches"""
    with machines(dev) as (one, two, a):
        prefix = {"peer": CLIENT[version].rsplit("1", 1)[0] + ("0" if version == "v4" else "")}
        dev.add("packet", right=[a], iface="vs77", peer_len=LENGTH[version], **prefix)
        with netns.listener(two, SERVER[version]) as server, netns.client(one, SERVER[version]):
            connection, _ = server.accept()
            with connection:
                vs.eq(gates.vs_of(connection), a, "its tag")


@each
def more_specific(dev, version):
    """Of two rules the one with more conditions wins"""
    with machines(dev) as (one, two, a):
        b = dev.create("b")
        dev.add("packet", right=[b], proto="tcp")
        dev.add("packet", right=[a], proto="tcp", peer=CLIENT[version])
        with netns.listener(two, SERVER[version]) as server, netns.client(one, SERVER[version]):
            connection, _ = server.accept()
            with connection:
                vs.eq(gates.vs_of(connection), a, "its tag")


@each
def datagrams(dev, version):
    """A datagram carries the service that a rule gives it to its receiver, which works for that
    service
    """
    with machines(dev) as (one, two, a):
        srv = dev.create("srv")
        containers.bind_all(dev, srv)
        dev.add("packet", right=[a], peer=CLIENT[version], local_port=53, proto="udp")
        for port, wanted in ((53, a), (54, srv)):
            with containers.serve(
                dev, srv, two, SERVER[version], socket.SOCK_DGRAM, port
            ) as server:
                had = netns.counted(dev, a)
                with (
                    one.inside(),
                    socket.socket(netns.family(SERVER[version]), socket.SOCK_DGRAM) as client,
                ):
                    client.sendto(b"question", (SERVER[version], port))
                vs.eq(
                    containers.works_for(dev, srv, server),
                    wanted,
                    f"the receiver at port {port} works for",
                )
                vs.eq(
                    netns.difference(had, netns.counted(dev, a))[0],
                    int(wanted == a),
                    "packets in of the tenant",
                )


@each
def syn_cookies(dev, version):
    """A remote client is a tenant also with SYN cookies, when nothing is kept of the request"""
    with machines(dev) as (one, two, a):
        dev.add("packet", right=[a], peer=CLIENT[version])
        with two.inside():
            vs.eq(vs.run("sysctl", "-qw", "net.ipv4.tcp_syncookies=2").returncode, 0, "sysctl")
        with netns.listener(two, SERVER[version]) as server, netns.client(one, SERVER[version]):
            connection, _ = server.accept()
            with connection:
                vs.eq(gates.vs_of(connection), a, "its tag")
        had = netns.settled(lambda: netns.counted(dev, a))
        if had[2] < 2:
            raise AssertionError(f"packets and bytes of the tenant: {had}")


@vs.gated
def on_and_off(dev):
    """Turned off and on again, the gate works as before; turning it on or off twice has no
    effect
    """
    with machines(dev) as (one, two, a):
        dev.add("packet", right=[a], peer=CLIENT["v4"])
        for on in (0, 0, 1, 1, 0, 1):
            dev.packets(on)
            vs.eq(
                bool(dev.info().features & vs.uapi.VS_FEATURE_PACKETS),
                bool(on),
                "the feature in VS_IOC_INFO",
            )
            with netns.listener(two, SERVER["v4"]) as server, netns.client(one, SERVER["v4"]):
                connection, _ = server.accept()
                with connection:
                    vs.eq(gates.vs_of(connection), a if on else vs.ROOT, "the tag of a connection")
        vs.refused(22, None, dev.packets, 2)
        vs.refused(22, None, dev.call, "GATE", gate=vs.uapi.VS_GATE_FORK, on=1)
        vs.refused(22, None, dev.call, "GATE", gate=vs.uapi.VS_GATE_COUNT, on=1)


vs.main()
