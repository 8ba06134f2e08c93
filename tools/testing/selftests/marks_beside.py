#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""Other software's marks: all 32 bits are theirs, and routing, filters and redirections by mark
work as without VS.

Each scenario runs twice, in fresh network namespaces: from a task that has never met VS, before the
gates are up; and from a task of a service with every gate attached and rules at those that rebind.
Both must observe the same.
"""

import collections
import errno
import json
import os
import pathlib
import socket
import struct

import containers
import gates
import ipvs
import netns
import vs
from containers import nft, set_sysctl

INET, DGRAM, STREAM = socket.AF_INET, socket.SOCK_DGRAM, socket.SOCK_STREAM
SO_RCVMARK, IP_TRANSPARENT = 75, 19
ONE, TWO = "10.77.0.1", "10.77.0.2"
MARKS = (0, 1, 2, 0x50, 0x5F, 0x4001, 0x40000, 0x80000, 0xCA6C, 0x6D6F6C65, 0x80000000)
MARKS += (0xFFFC0001, 0xFFFFFFFF)
_scenarios = []
_observed = {}


def marked(mark, kind=DGRAM):
    """A socket with this mark. A mark of zero is not set, as most software never calls
    setsockopt().
    """
    made = socket.socket(INET, kind)
    made.settimeout(10)
    if mark:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", mark))
    return made


def mark_of(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) & 0xFFFFFFFF


def send(mark, address, port=7000):
    """Sends a datagram with this mark: the errno, 0 for none."""
    with marked(mark) as sock:
        try:
            sock.sendto(b"x", (address, port))
            return 0
        except OSError as error:
            return error.errno


def counters(*words):
    """The packets of each named counter in the namespace of the calling thread."""
    listing = json.loads(vs.run("nft", "-j", "list", "counters").stdout)["nftables"]
    return {
        one["counter"]["name"]: one["counter"]["packets"] for one in listing if "counter" in one
    }


def everywhere(dev):
    """Every gate on, and a rule at each that can rebind a task or give a socket away; returns the
    service to run in.
    """
    a, b = dev.create("a"), dev.create("b")
    dev.packets(1)
    dev.add("accept", [vs.ANY], containers.BY_SOCKET)
    dev.add("recv", [vs.ANY], containers.BY_MESSAGE, proto="udp")
    dev.add("connect", [a], [vs.ANY, b], proto="udp")
    dev.add("send", [a], [vs.ANY, vs.REF(0)], proto="udp")
    dev.add("socket", [a], [vs.ANY, b], proto="tcp")
    dev.add("fork", [a], [vs.ANY, b])
    for proto in "tcp", "udp":
        dev.add("packet", right=[b], proto=proto)
    return a


def scenario(function):
    """Makes two cases of function(one, two), first without VS and then with it; the function
    returns its observations.
    """
    _scenarios.append(function)
    return function


def observe(function):
    """The observations of the scenario in a pair of linked machines of its own, as text."""

    def body():
        with netns.Namespace("one") as one, netns.Namespace("two") as two:
            netns.link(one, two)
            return json.dumps(function(one, two), sort_keys=True)

    return vs.in_child(body)


def without(function):
    def case():
        _observed[function] = observe(function)
        print(f"# {_observed[function]}", flush=True)

    case.__doc__ = f"Without VS: {vs.title(function)}"
    vs.test(case)


def beside(function):
    def case(dev):
        a = everywhere(dev)

        def body():
            gates.enter(dev, a)
            return observe(function)

        try:
            got = vs.in_child(body)
        finally:
            dev.packets(0)
        vs.eq(got, _observed.get(function), "observed, beside VS and without")
        gates.gone(dev, *(service.id for service in dev.services() if service.id != vs.ROOT))

    case.__doc__ = f"Beside VS: {vs.title(function)}"
    vs.gated(case)


@scenario
def set_and_read(one, two):
    """SO_MARK is set and read back with all 32 bits, in datagrams' control messages too"""
    del two
    with one.inside(), netns.listener(one, "127.0.0.1", 7000, DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
        read, came, once = [], [], []
        for mark in MARKS:
            for message in None, mark:
                with marked(mark if message is None else 0) as sock:
                    control = (
                        []
                        if message is None
                        else [(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", message))]
                    )
                    read += [mark_of(sock)] if message is None else []
                    sock.sendmsg([b"x"], control, 0, ("127.0.0.1", 7000))
                    for _, _, data in receiver.recvmsg(9, 99)[1]:
                        (came if message is None else once).append(struct.unpack("I", data)[0])
        vs.eq(read, [*MARKS], "read back")
        vs.eq((came, once), ([*MARKS], [*MARKS]), "of the datagrams")
        return read + came + once


@scenario
def accepted_marks(one, two):
    """With net.ipv4.tcp_fwmark_accept a connection has its SYN's mark, without it none"""
    del two
    found = []
    with one.inside(), netns.listener(one, "127.0.0.1") as server:
        for accept in 0, 1:
            set_sysctl("net.ipv4.tcp_fwmark_accept", accept)
            for mark in MARKS:
                with marked(mark, STREAM) as client:
                    client.connect(("127.0.0.1", 5432))
                    with server.accept()[0] as connection:
                        found.append(mark_of(connection))
    vs.eq(found, [0] * len(MARKS) + [*MARKS], "marks of connections")
    return found


@scenario
def unprivileged(one, two):
    """A task without capabilities reads the mark 0 of its own sockets, and may not set it"""

    def body():
        containers.only()
        with socket.socket() as sock:
            before = mark_of(sock)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7)
                return "set"
            except OSError as error:
                return f"{before} {errno.errorcode[error.errno]} {mark_of(sock)}"

    del one, two
    got = vs.in_child(body)
    vs.eq(got, "0 EPERM 0")
    return got


@scenario
def ip_rule(one, two):
    """ip rule fwmark N and fwmark N/mask route packets with that mark, and no others"""
    del two
    with one.inside():
        netns.ip("link", "add", "d0", "type", "dummy")
        netns.ip("addr", "add", "192.0.2.1/24", "dev", "d0")
        netns.ip("addr", "add", "198.51.100.1/24", "dev", "d0")
        netns.ip("link", "set", "d0", "up")
        netns.ip("rule", "add", "fwmark", "1", "table", "100")
        netns.ip("rule", "add", "fwmark", "0x50/0xf0", "table", "101")
        netns.ip("rule", "add", "fwmark", "0x80000/0xff0000", "table", "102")
        for table, source in ("100", "192.0.2.1"), ("101", "198.51.100.1"):
            netns.ip("route", "add", "203.0.113.0/24", "dev", "d0", "src", source, "table", table)
        netns.ip("route", "add", "unreachable", "203.0.113.0/24", "table", "102")
        netns.ip("route", "add", "203.0.113.0/24", "dev", "vs77", "src", ONE)
        found = {}
        for mark in MARKS:
            with marked(mark) as sock:
                try:
                    sock.connect(("203.0.113.1", 9))
                    found[hex(mark)] = sock.getsockname()[0]
                except OSError as error:
                    found[hex(mark)] = errno.errorcode[error.errno]
    vs.eq(
        [found[hex(mark)] for mark in (0, 1, 2, 0x50, 0x5F, 0x80000, 0xFFFC0001)],
        [ONE, "192.0.2.1", ONE, "198.51.100.1", "198.51.100.1", "EHOSTUNREACH", ONE],
        "source addresses",
    )
    return found


@scenario
def nft_marks(one, two):
    """nft matches meta mark N and N/mask at both ends, and a mark that a chain sets reaches the
    next chain, routing and the receiver
    """
    names = [f"m{mark:x}" for mark in MARKS]
    declared = "".join(f"counter {where}{name} {{ }}\n" for where in "oi" for name in names)
    match = {
        where: "".join(f"meta mark {mark:#x} counter name {where}m{mark:x}\n" for mark in MARKS)
        for where in "oi"
    }
    found = {}
    with one.inside(), netns.listener(one, ONE, 7000, DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
        nft(f"""table inet t {{
            {declared}
            counter masked {{ }}
            chain o {{ type filter hook output priority 0; udp dport 7000 goto match; }}
            chain match {{ {match["o"]}
                meta mark and 0xf0 == 0x50 counter name masked
                meta mark 2 meta mark set 0x40000
            }}
            chain i {{ type filter hook input priority 0; udp dport 7000 goto arrive; }}
            chain arrive {{ {match["i"]}
                meta mark 1 meta mark set meta mark or 0x11220000
            }}
        }}""")
        marks = []
        for mark in MARKS:
            vs.eq(send(mark, ONE), 0, "errno")
            marks += [hex(struct.unpack("I", data)[0]) for _, _, data in receiver.recvmsg(9, 99)[1]]
        found = counters()
    vs.eq(
        (found["om0"], found["om1"], found["masked"], found["im40000"], found["im2"]),
        (1, 1, 2, 2, 0),
        "counted",
    )
    vs.eq(marks[1:3], [hex(0x11220001), hex(0x40000)], "marks of datagrams")
    return found, marks


@scenario
def tc_fw(one, two):
    """tc's fw filter puts packets with its mark into its class, and no others"""
    with one.inside(), netns.listener(two, TWO, 7000, DGRAM):
        for words in (
            "qdisc add dev vs77 root handle 1: htb default 9",
            "class add dev vs77 parent 1: classid 1:1 htb rate 1gbit quantum 1514",
            "class add dev vs77 parent 1: classid 1:2 htb rate 1gbit quantum 1514",
            "class add dev vs77 parent 1: classid 1:3 htb rate 1gbit quantum 1514",
            "class add dev vs77 parent 1: classid 1:9 htb rate 1gbit quantum 1514",
            "filter add dev vs77 parent 1: protocol ip handle 1 fw classid 1:1",
            "filter add dev vs77 parent 1: protocol ip handle 0x80000000 fw classid 1:2",
            "filter add dev vs77 parent 1: protocol ip handle 0xfffc0001 fw classid 1:3",
        ):
            vs.command("tc", *words.split())
        for mark in MARKS:
            vs.eq(send(mark, TWO), 0, "errno")
        listing = json.loads(vs.run("tc", "-j", "-s", "class", "show", "dev", "vs77").stdout)
        found = {one["handle"]: one["stats"]["packets"] for one in listing}
    vs.eq(
        (found["1:1"], found["1:2"], found["1:3"], found["1:9"]),
        (1, 1, 1, len(MARKS) - 3),
        "packets by class",
    )
    return found


@scenario
def ipvs_by_mark(one, two):
    """An IPVS service by firewall mark sends packets with its mark to its real server"""
    vs.run("modprobe", "-a", "ip_vs", "ip_vs_rr", "nf_conntrack")
    found = {}
    with netns.listener(two, TWO, 8080) as real, one.inside():
        ipvs.by_mark(0x77, TWO, 8080)
        netns.ip("route", "add", "203.0.113.0/24", "via", TWO)
        with two.inside():
            # which refuses packets that are not redirected
            netns.ip("addr", "add", "203.0.113.9/32", "dev", "lo")
        nft("""table ip t { chain o {
            type route hook output priority -150
            ip daddr 203.0.113.9 tcp dport 80 meta mark set 0x77
        }; }""")
        for port in 80, 81:
            with marked(0, STREAM) as client:
                try:
                    client.connect(("203.0.113.9", port))
                    with real.accept()[0] as connection:
                        connection.sendall(b"real")
                        found[port] = client.recv(9).decode()
                except OSError as error:
                    found[port] = errno.errorcode[error.errno]
        with marked(0x77, STREAM) as client:
            client.connect(("203.0.113.9", 81))
            real.accept()[0].close()
            found["by SO_MARK"] = "connected"
    vs.eq(found, {80: "real", 81: "ECONNREFUSED", "by SO_MARK": "connected"}, "answers")
    return {str(key): value for key, value in found.items()}


@scenario
def ipsec_by_mark(one, two):
    """IPsec policies and states by mark encrypt, pass and refuse packets with their marks"""
    if vs.run("ip", "xfrm", "state").returncode:
        vs.skip("this kernel has no IPsec")
    for space in one, two:
        with space.inside():
            mark = "mark 42" if space is one else ""
            netns.ip(
                *f"xfrm state add src {ONE} dst {TWO} proto esp spi 0x100 reqid 1 {mark}".split(),
                *f"mode transport aead rfc4106(gcm(aes)) 0x{'5a' * 20} 128".split(),
            )
    found = {}
    with netns.listener(two, TWO, 7000, DGRAM) as receiver, one.inside():
        esp = f"src {ONE} dst {TWO} proto esp"
        policy = f"xfrm policy add src {ONE} dst {TWO} dir out"
        netns.ip(*f"{policy} mark 42 tmpl {esp} reqid 1 mode transport".split())
        netns.ip(*f"{policy} mark 0x50 mask 0xf0 action block".split())
        with two.inside():
            nft("""table ip t {
                counter sealed { }
                chain i {
                    type filter hook prerouting priority -300
                    meta l4proto esp counter name sealed
                }
            }""")
        for mark in *MARKS, 42:
            with two.inside():
                before = counters()["sealed"]
            refused = send(mark, TWO)
            if not refused:
                receiver.recv(9)
            with two.inside():
                found[hex(mark)] = (
                    errno.errorcode[refused]
                    if refused
                    else ["plain", "encrypted"][counters()["sealed"] - before]
                )
    vs.eq(
        [found[hex(mark)] for mark in (0, 1, 42, 0x80000)],
        ["plain", "plain", "encrypted", "plain"],
        "datagrams",
    )
    vs.eq(found["0x50"] == found["0x5f"] != "plain", True, f"blocked: {found}")
    return found


@scenario
def tproxy(one, two):
    """A transparent proxy by the recipe of Documentation/networking/tproxy.rst takes connections to
    any address
    """
    found = []
    with one.inside():
        netns.ip("route", "add", "203.0.113.0/24", "via", TWO)
    with two.inside():
        netns.ip("rule", "add", "fwmark", "1", "lookup", "100")
        netns.ip("route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "100")
        nft("""table ip filter {
            chain divert { type filter hook prerouting priority -150;
            meta l4proto tcp socket transparent 1 meta mark set 1 accept
            tcp dport 80 tproxy to :50080 meta mark set 1 accept
        }
        }""")
        proxy = socket.socket()
        proxy.settimeout(10)
        proxy.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        proxy.bind(("0.0.0.0", 50080))
        proxy.listen()
    with proxy:
        for last in range(1, 6):
            with (
                netns.client(one, f"203.0.113.{last}", 80) as client,
                proxy.accept()[0] as connection,
            ):
                connection.settimeout(10)
                client.sendall(b"question")
                vs.eq(connection.recv(99), b"question", "at the proxy")
                connection.sendall(b"answer")
                found.append(
                    [connection.getsockname()[0], client.recv(99).decode(), mark_of(connection)]
                )
    vs.eq(found, [[f"203.0.113.{last}", "answer", 0] for last in range(1, 6)], "connections")
    return found


def datagram(receiver, sender, address, port):
    """Sends a datagram and returns the mark that it arrives with."""
    sender.sendto(b"x", (address, port))
    data, control, _, back = receiver.recvmsg(9, 99)
    vs.eq(data, b"x", "datagram")
    return [hex(struct.unpack("I", data)[0]) for _, _, data in control], back


@scenario
def whole_connmark(one, two):
    """wg-quick's rules, which save and restore the whole mark: a tunnel's replies have its mark,
    other packets none
    """
    found = []
    with one.inside():
        # as wg-quick(8) writes them for an interface wg0 with an address of 10.66.0.1 and FwMark
        # 51820
        nft("""table ip wg-quick-wg0 {
            chain preraw {
                type filter hook prerouting priority -300
                iifname != "wg0" ip daddr 10.66.0.1 fib saddr type != local drop
            }
            chain premangle {
                type filter hook prerouting priority -150
                meta l4proto udp meta mark set ct mark
            }
            chain postmangle {
                type filter hook postrouting priority -150
                meta l4proto udp meta mark 51820 ct mark set meta mark
            }
        }""")
        netns.ip("rule", "add", "not", "fwmark", "51820", "table", "51820")
        netns.ip("rule", "add", "table", "main", "suppress_prefixlength", "0")
        set_sysctl("net.ipv4.conf.all.src_valid_mark", 1)
        for mark in 51820, 0, 1:
            with netns.listener(two, TWO, 7000, DGRAM) as receiver, marked(mark) as sender:
                sender.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
                receiver.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
                there, back = datagram(receiver, sender, TWO, 7000)
                receiver.sendto(b"y", back)
                found.append(
                    [
                        there,
                        [
                            hex(struct.unpack("I", data)[0])
                            for _, _, data in sender.recvmsg(9, 99)[1]
                        ],
                    ]
                )
    vs.eq([here for _, here in found], [["0xca6c"], ["0x0"], ["0x0"]], "marks of the replies")
    return found


@scenario
def tailscale(one, two):
    """Tailscale's rules: packets with its bypass mark leave by the main table, others by its own,
    and connections keep the mark
    """
    found = {}
    with one.inside():
        netns.ip("link", "add", "tailscale0", "type", "dummy")
        netns.ip("addr", "add", "100.64.0.1/32", "dev", "tailscale0")
        netns.ip("link", "set", "tailscale0", "up")
        netns.ip("route", "add", "203.0.113.0/24", "dev", "vs77", "src", ONE)
        netns.ip(*"route add 203.0.113.0/24 dev tailscale0 src 100.64.0.1 table 52".split())
        for words in (
            "5210 fwmark 0x80000/0xff0000 table main",
            "5230 fwmark 0x80000/0xff0000 table default",
            "5250 fwmark 0x80000/0xff0000 type unreachable",
            "5270 table 52",
        ):
            priority, *rest = words.split()
            netns.ip("rule", "add", "pref", priority, *rest)
        nft("""table ip t {
            chain ts-prerouting { type filter hook prerouting priority mangle;
                ct state established,related meta mark set ct mark and 0x00ff0000
            }
            chain ts-output { type filter hook output priority mangle;
                ct state new meta mark and 0x00ff0000 != 0 ct mark set meta mark and 0x00ff0000
            }
        }""")
        for mark in 0, 0x80000, 0x80001, 0x40000:
            with marked(mark) as sock:
                sock.connect(("203.0.113.1", 9))
                found[hex(mark)] = [sock.getsockname()[0], hex(mark_of(sock))]
    vs.eq(
        [found[hex(mark)][0] for mark in (0, 0x80000, 0x80001, 0x40000)],
        ["100.64.0.1", ONE, ONE, "100.64.0.1"],
        "ways out",
    )
    with one.inside():
        for mark in 0x80000, 0x40000, 0:
            with netns.listener(two, TWO, 7000, DGRAM) as receiver, marked(mark) as sender:
                sender.bind((ONE, 0))
                sender.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
                _, back = datagram(receiver, sender, TWO, 7000)
                receiver.sendto(b"y", back)
                found[f"reply {mark:#x}"] = [
                    hex(struct.unpack("I", data)[0]) for _, _, data in sender.recvmsg(9, 99)[1]
                ]
    vs.eq(found["reply 0x80000"], ["0x80000"], "the mark of a reply")
    return found


def instruction(code, destination=0, source=0, offset=0, immediate=0):
    return struct.pack("<BBhi", code, source << 4 | destination, offset, immediate)


def rewriting_program(option, value):
    """A cgroup/setsockopt program that replaces the value set for an option of SOL_SOCKET by
    `value`.
    """
    code = b"".join(
        (
            # not SOL_SOCKET: leave it
            instruction(0x61, 2, 1, 24),
            instruction(0x55, 2, 0, 10, socket.SOL_SOCKET),
            instruction(0x61, 2, 1, 28),
            instruction(0x55, 2, 0, 8, option),
            instruction(0x79, 3, 1, 8),
            instruction(0x79, 4, 1, 16),  # optval, optval_end
            instruction(0xBF, 5, 3),
            instruction(0x07, 5, 0, 0, 4),
            instruction(0x2D, 5, 4, 3),  # no room for four bytes
            instruction(0x62, 3, 0, 0, value),
            instruction(0xB7, 2, 0, 0, 4),
            instruction(0x63, 1, 2, 32),  # optlen
            instruction(0xB7, 0, 0, 0, 1),
            instruction(0x95),
        )
    )
    return gates.load_program(25, code, 22)  # BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT


@scenario
def another_program(one, two):
    """A value that another cgroup/setsockopt program rewrites is set as rewritten"""
    del one, two
    root = pathlib.Path("/sys/fs/cgroup")
    if not (root / "cgroup.procs").exists():
        vs.command("mount", "-t", "cgroup2", "none", str(root))
    group = root / "vs-marks-beside"
    group.mkdir(exist_ok=True)
    home = (
        root / pathlib.Path("/proc/self/cgroup").read_text(encoding="ascii").strip().split("::/")[1]
    )
    cgroup = os.open(group, os.O_RDONLY)
    programs = [
        rewriting_program(socket.SO_PRIORITY, 3),
        rewriting_program(socket.SO_MARK, 0x80000007 - (1 << 32)),
    ]
    try:
        for program in programs:
            gates.attach_program(program, cgroup, 22)
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        with socket.socket() as sock:
            found = []
            for option, values in (
                (socket.SO_PRIORITY, (0, 1, 6)),
                (socket.SO_MARK, (0, 1, 0xFFFFFFFF)),
                (socket.SO_RCVBUF, (10000,)),
            ):
                for value in values:
                    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("I", value))
                    found.append(sock.getsockopt(socket.SOL_SOCKET, option) & 0xFFFFFFFF)
            # longer than a page: the kernel shows programs a part of it
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_PRIORITY, struct.pack("I", 5) + bytes(8188)
            )
            found.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY))
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        for descriptor in *programs, cgroup:
            os.close(descriptor)
        group.rmdir()
    vs.eq(found[:7], [3, 3, 3, 0x80000007, 0x80000007, 0x80000007, 20000], "set")
    return found


def tags_beside(rules, kind):
    """Makes a case: beside rules that save and restore whole marks, no tag is lost, and none is
    another service's.
    """

    def case(dev):
        a, b, dns = (dev.create(name) for name in ("a", "b", "dns"))
        containers.bind_all(dev, dns)
        dev.packets(1)

        def body():
            nft(rules)
            server = containers.serve(dev, dns, netns.Here(), "127.0.0.1", DGRAM, 7000)
            found = collections.Counter()
            for turn in range(20):
                for id in (a, b) if turn % 2 else (b, a):
                    gates.enter(dev, id)
                    # the same port as before, so that the connection in which the rules keep marks
                    # is the same
                    with marked(turn % 3) as sock:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        sock.bind(("127.0.0.1", 4000))
                        sock.sendto(b"x", ("127.0.0.1", 7000))
                        found[(id, containers.works_for(dev, dns, server))] += 1
                        # once answered, the connection is not new any more, and its mark is not
                        # saved again
                        server.sendto(b"y", ("127.0.0.1", 4000))
                        sock.recv(9)
            vs.eq(found, {(a, a): 20, (b, b): 20}, "datagrams by sender and by service worked for")

        try:
            vs.in_child(body)
        finally:
            vs.command("nft", "delete", "table", "inet", "keeps")
            dev.packets(0)
        gates.gone(dev, a, b, dns)

    case.__doc__ = f"No tag is lost or swapped beside {kind}"
    vs.gated(case)


for made in _scenarios:
    without(made)
for made in _scenarios:
    beside(made)
tags_beside(
    """table inet keeps {
    chain o { type filter hook output priority -150; ct state new ct mark set meta mark; }
    chain p { type filter hook prerouting priority -150; meta mark set ct mark; }
}""",
    "rules that save and restore the whole mark",
)
tags_beside(
    """table inet keeps {
    chain premangle {
        type filter hook prerouting priority -150
        meta l4proto udp meta mark set ct mark
    }
    chain postmangle {
        type filter hook postrouting priority -150
        meta l4proto udp meta mark 51820 ct mark set meta mark
    }
}""",
    "wg-quick's rules",
)
vs.main()
