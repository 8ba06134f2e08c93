#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 900
"""A process cannot make its work another service's by anything that it writes: marks, security
marks, injected packets, descriptors.

The attacker is a task of service `a`, in turn root in a user namespace of its own, root in a
container that the initial user namespace owns, and a task of the host's network that has
CAP_NET_RAW alone. The attacker knows every value that could mean service `b`. A server of service
`srv` works for the sender of each message, which is `a`; if the sender is not known, it works for
its home.
"""

import contextlib
import errno
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import tempfile

import containers
import gates
import netns
import vs
from containers import Container, Host, UserContainer, nft, set_sysctl

INET, UNIX, STREAM, DGRAM = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
MARK32 = os.path.join(os.environ["VS_BUILD"], "testing/mark32")
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000
PORT = 5432


def meaning(dev, id):
    """Every value that may mean service `id`: the values in its packets that the host can see, and
    the layouts of tags.
    """
    nft("""table inet seen {
        set marks { typeof meta secmark; }
        chain i {
            type filter hook prerouting priority -400
            udp dport 9999 add @marks { meta secmark }
        }
    }""")
    try:
        with gates.listener(INET, DGRAM, ("127.0.0.1", 9999)) as server:
            gates.enter(dev, id)
            with socket.socket(INET, DGRAM) as sock:
                sock.sendto(b"x", server.getsockname())
            gates.enter(dev, vs.ROOT)
            server.recv(9)
        listing = vs.run("nft", "list", "set", "inet", "seen", "marks").stdout
    finally:
        vs.command("nft", "delete", "table", "inet", "seen")
    elements = re.search(r"elements = \{([^}]*)\}", listing)
    seen = {int(word.strip(), 0) for word in elements[1].split(",")} if elements else set()
    # the most likely one first
    return [*dict.fromkeys([*sorted(seen - {0}), 1 << 31 | id, id << 18, *layouts(id)])]


def layouts(id):
    """The 32-bit values that may stand for a service: its number alone, in the upper bits, and with
    the top bit and a generation.
    """
    return [id, id << 18, 1 << 31 | id, 1 << 31 | 1 << 14 | id]


class Party:
    """Services a, b and srv, the attacker's namespace, and servers of srv that it can reach, by
    name.
    """

    def __init__(self, dev, space, stack):
        self.dev, self.space, self.stack = dev, space, stack
        dev.packets(1)
        self.a, self.b, self.srv = (dev.create(name) for name in ("a", "b", "srv"))
        containers.bind_all(dev, self.srv)
        self.values = meaning(dev, self.b)
        neighbour = stack.enter_context(Container("vs-neighbour"))
        netns.link(space, neighbour, 78)
        self.devices = ["lo", "vs78"]
        self.places = {
            "in the attacker's namespace": (space, "127.0.0.1"),
            "in another container": (neighbour, "10.78.0.2"),
        }
        if space.name:
            netns.link(space, netns.Here())
            stack.callback(netns.ip, "link", "del", "vs77")
            self.devices.append("vs77")
            self.places["on the host"] = (netns.Here(), "10.77.0.2")
        self.servers = {
            (place, kind): containers.serve(dev, self.srv, *where, kind, PORT)
            for place, where in self.places.items()
            for kind in (DGRAM, STREAM)
        }
        for server in self.servers.values():
            stack.callback(server.close)

    def run(self, function):
        """Runs function() as the attacker."""
        return self.space.run(self.dev, self.a, function)

    def judge(self, server, how):
        """Checks that the next message at `server` belongs to the attacker's service, or to
        none.
        """
        got = containers.works_for(self.dev, self.srv, server)
        if got not in (self.a, self.srv):
            name = {self.b: "b", vs.ROOT: "root"}.get(got, got)
            raise AssertionError(f"{how}: the server works for {name}")

    def knock(self, how, *places, kinds=(DGRAM, STREAM), copies=1):
        """Sends a datagram and a connection of the attacker to each server, and checks the service
        that each then works for.
        """
        for place, (_, address) in self.places.items():
            if places and place not in places:
                continue
            for kind in kinds:

                def send(kind=kind, address=address):
                    with socket.socket(INET, kind) as sock:
                        sock.settimeout(10)
                        sock.connect((address, PORT))
                        sock.send(b"x")
                        if kind == STREAM:
                            sock.recv(9)  # until the server has closed

                self._hold(send, self.servers[place, kind], f"{how}, {kind.name}, {place}", copies)

    def _hold(self, send, server, how, copies):
        """Runs the sender beside the server, because the sender of a connection waits for its
        end.
        """
        pid = os.fork()
        if not pid:
            try:
                self.run(send)
                os._exit(0)
            except BaseException as error:  # pylint: disable=broad-except
                print(f"# {how}: {error}", flush=True)
                os._exit(1)
        try:
            for _ in range(copies):
                self.judge(server, how)
            # copies of copies
            while copies > 1 and select.select([server], [], [], 0.2)[0]:
                self.judge(server, how)
        finally:
            vs.eq(os.waitpid(pid, 0)[1], 0, f"{how}: the attacker")


def each_owner(*spaces):
    """Makes a case of each owner of the attacker's namespace."""
    titles = {
        UserContainer: "in a user namespace",
        Container: "as root of a container",
        Host: "with CAP_NET_RAW on the host",
    }

    def mark(function):
        def made(space):
            def case(dev):
                with contextlib.ExitStack() as stack:
                    inside = stack.enter_context(
                        space("vs-attacker") if space is not Host else space()
                    )
                    function(Party(dev, inside, stack))

            case.__doc__ = f"{vs.title(function)}, {titles[space]}"
            case.__name__ = f"{function.__name__}_{space.__name__}"
            gates.case(case)

        for space in spaces:
            made(space)

    return mark


def by_option(sock, value):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", value))


def by_long_option(sock, value):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", value) + bytes(8188))


def by_32_bits(sock, value):
    done = subprocess.run(
        [MARK32, "set", str(sock.fileno()), hex(value)], pass_fds=[sock.fileno()], check=False
    )
    if done.returncode:
        raise OSError(done.returncode, os.strerror(done.returncode))


def by_message(sock, value):
    sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", value))])


def by_32_bit_message(sock, value):
    done = subprocess.run(
        [MARK32, "send", str(sock.fileno()), hex(value)], pass_fds=[sock.fileno()], check=False
    )
    if done.returncode:
        raise OSError(done.returncode, os.strerror(done.returncode))


OPTIONS, MESSAGES = (by_option, by_long_option, by_32_bits), (by_message, by_32_bit_message)


def marked(sock, way, value):
    """Tries to set a mark; a refusal by the kernel is as good."""
    try:
        way(sock, value)
        return True
    except OSError as error:
        # EINVAL: unix sockets take no such message
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise
        return False


@each_owner(UserContainer, Container, Host)
def marks(party):
    """SO_MARK in every way makes no datagram and no connection another service's"""
    for place, (_, address) in party.places.items():
        for way in OPTIONS + MESSAGES:
            for value in party.values:

                def send(address=address, way=way, value=value):
                    with socket.socket(INET, DGRAM) as sock:
                        sock.connect((address, PORT))
                        # an option counts for later messages, a control message for its own
                        if not marked(sock, way, value) or way in OPTIONS:
                            sock.send(b"x")

                party.run(send)
                party.judge(
                    party.servers[place, DGRAM], f"{way.__name__} {value:#x}, a datagram, {place}"
                )
        for way in OPTIONS:
            for value in party.values:

                def connect(address=address, way=way, value=value):
                    with socket.socket() as sock:
                        marked(sock, way, value)
                        sock.connect((address, PORT))
                        sock.send(b"x")
                        marked(sock, way, value)

                party.run(connect)
                party.judge(
                    party.servers[place, STREAM],
                    f"{way.__name__} {value:#x}, a connection, {place}",
                )


@each_owner(UserContainer, Container, Host)
def marks_of_unix_sockets(party):
    """SO_MARK in every way makes no unix datagram and no unix stream another service's, found by
    path across namespaces
    """
    os.makedirs("/tmp/vs-test", exist_ok=True)
    for kind in DGRAM, STREAM:
        path = f"/tmp/vs-test/{os.getpid()}-{kind}"
        gates.enter(party.dev, party.srv)
        with gates.listener(UNIX, kind, path) as server:
            gates.enter(party.dev, vs.ROOT)
            server.settimeout(10)
            os.chmod(path, 0o777)
            for way in OPTIONS + (MESSAGES if kind == DGRAM else ()):
                for value in party.values:

                    def send(kind=kind, way=way, value=value, path=path):
                        with socket.socket(UNIX, kind) as sock:
                            if kind == STREAM:
                                marked(sock, way, value)
                            sock.connect(path)
                            if not marked(sock, way, value) or way in OPTIONS:
                                sock.send(b"x")

                    party.run(send)
                    party.judge(server, f"{way.__name__} {value:#x}, unix {kind.name}")
        os.unlink(path)


SAVE, RESTORE = (
    "ct mark set meta mark ct secmark set meta secmark",
    "meta mark set ct mark meta secmark set ct secmark",
)


def write(devices, value, *hooks):
    """Rules of the calling thread's namespace that write `value` into the marks of packets, at some
    of its hooks.
    """
    for hook in hooks:
        family = "netdev" if hook in ("ingress", "egress") else "inet"
        where = [f'device "{name}"' for name in devices] if family == "netdev" else [""]
        for number, device in enumerate(where):
            chain = f"{hook}{number}"
            nft(f"""table {family} forge {{
                chain {chain} {{
                    type filter hook {"output" if hook == "saved" else hook} {device} priority 300
                    meta mark set {value:#x}
                }}
            }}""")
            containers.write_secmark(family, "forge", chain, value)
    if "saved" in hooks:
        nft(f"""add rule inet forge saved0 {SAVE}
            table inet forge {{
                chain restored {{ type filter hook prerouting priority 300; {RESTORE}; }}
                chain again {{ type filter hook input priority 300; {RESTORE}; }}
            }}""")


@contextlib.contextmanager
def writing(party, value, *hooks):
    """Gives the attacker's namespace these rules."""
    with party.space.inside():
        write(party.devices, value, *hooks)
    try:
        yield
    finally:
        with party.space.inside():
            vs.command("nft", "flush", "ruleset")


@each_owner(UserContainer, Container)
def rules(party):
    """nft's meta secmark, ct secmark and marks, at each hook of the attacker's namespace, make no
    packet another service's
    """
    for hooks in (
        ["output"],
        ["postrouting"],
        ["prerouting"],
        ["input"],
        ["egress"],
        ["ingress"],
        ["saved"],
        ["output", "prerouting", "input", "egress", "ingress"],
    ):
        for value in party.values[:2]:
            with writing(party, value, *hooks):
                party.knock(f"{'+'.join(hooks)} {value:#x}")


@each_owner(UserContainer, Container)
def replay(party):
    """The attacker's namespace reads no tag off arriving packets, and saves none with which it
    could answer or send
    """
    with party.space.inside():
        # nft compares no secmark with a constant, but it does so with a mark
        hear = "meta mark set meta secmark meta mark != 0 add @heard { meta mark }"
        nft(f"""table inet replay {{
            set heard {{ type mark; size 64; flags dynamic; }}
            chain p {{
                type filter hook prerouting priority -400
                ct secmark set meta secmark
                {hear}
            }}
            chain i {{ type filter hook input priority 300; {hear}; }}
            chain o {{ type filter hook output priority 300; meta secmark set ct secmark; }}
        }}
        table netdev replay {{
            set heard {{ type mark; size 64; flags dynamic; }}
            chain n {{ type filter hook ingress device "vs77" priority 300; {hear}; }}
            chain l {{ type filter hook ingress device "lo" priority 300; {hear}; }}
        }}""")
    for kind in DGRAM, STREAM:
        # b talks to the attacker, by host and namespace
        with containers.serve(party.dev, party.a, party.space, "10.77.0.1", kind, 6000) as listener:
            gates.enter(party.dev, party.b)
            with socket.socket(INET, kind) as victim:
                victim.settimeout(10)
                victim.connect(("10.77.0.1", 6000))
                victim.send(b"x")
                gates.enter(party.dev, vs.ROOT)
                if kind == DGRAM:
                    listener.sendto(b"y", listener.recvfrom(9)[1])
                    victim.recv(9)
                    # a task that works for a datagram's sender takes the answer for the attacker's
                    listener.sendto(b"y", victim.getsockname())
                    gates.enter(party.dev, party.srv)
                    victim.recv(9)
                    vs.eq(gates.tag()[1] in (party.a, party.srv), True, "the answer is not b's")
                    gates.enter(party.dev, vs.ROOT)
                else:
                    with listener.accept()[0] as connection:
                        connection.send(b"y")
                        victim.recv(9)
        party.knock("after b has called")
    with party.space.inside():
        for table in "inet", "netdev":
            listing = vs.run("nft", "list", "set", table, "replay", "heard").stdout
            vs.eq("elements" in listing, False, f"tags that the namespace has read: {listing}")


@each_owner(UserContainer, Container)
def redirected(party):
    """A packet that tc or nft of the attacker's namespace redirects or copies, with a mark written,
    is not another service's
    """
    local = "in the attacker's namespace"
    with party.space.inside():
        for device in "all", "lo":  # a packet that has left the stack comes back without a route
            set_sysctl(f"net.ipv4.conf.{device}.route_localnet", 1)
            set_sysctl(f"net.ipv4.conf.{device}.accept_local", 1)
    for value in party.values[:2]:
        with party.space.inside():
            # at lo's egress, before the packet is queued, so that it never passes a device's queue
            vs.command("tc", "qdisc", "add", "dev", "lo", "clsact")
            redirect = "action mirred ingress redirect dev lo"
            vs.command(*f"tc filter add dev lo egress matchall {redirect}".split())
        with writing(party, value, "output", "postrouting", "ingress"):
            party.knock(f"mirred {value:#x}", local)
        with party.space.inside():
            vs.command("tc", "qdisc", "del", "dev", "lo", "clsact")
            write(party.devices, value, "output", "postrouting", "ingress")
            nft(f"""table netdev copies {{
                chain e {{
                    type filter hook egress device "lo" priority 400
                    udp dport {PORT} dup to "lo"
                }}
            }}""")
        party.knock(f"dup {value:#x}", local, kinds=[DGRAM], copies=2)
        with party.space.inside():
            vs.command("nft", "flush", "ruleset")


def datagram(source, target, sport=4000, dport=PORT):
    """A UDP datagram with its IP header; without a checksum of UDP."""
    body = struct.pack("!HHHH", sport, dport, 9, 0) + b"x"
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(body),
        1,
        0,
        64,
        17,
        0,
        socket.inet_aton(source),
        socket.inet_aton(target),
    )
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + header[12:] + body


@each_owner(UserContainer, Container, Host)
def packet_sockets(party):
    """A packet that a packet socket puts onto lo or a veth, also past the queues, is neither
    another service's nor that of its source address
    """
    with party.space.inside():
        # The stack itself accepts packets of 127.0.0.0/8 only if it has sent them.
        netns.ip("addr", "add", "10.99.0.1/24", "dev", "lo")
    party.stack.callback(
        lambda: party.space.name or netns.ip("addr", "del", "10.99.0.1/24", "dev", "lo")
    )
    server = party.stack.enter_context(
        containers.serve(party.dev, party.srv, party.space, "10.99.0.1", DGRAM, PORT)
    )
    neighbour, address = party.places["in another container"]
    with neighbour.inside():
        hardware = mac("vs78")
    targets = [
        ("lo", bytes(6), "10.99.0.1", "10.98.0.1", server),
        ("vs78", hardware, address, "10.78.0.1", party.servers["in another container", DGRAM]),
    ]
    for device, hardware, target, source, receiver in targets:
        for bypass in 0, 1:
            for value in party.values[:2]:

                def inject(
                    device=device,
                    hardware=hardware,
                    target=target,
                    source=source,
                    bypass=bypass,
                    value=value,
                ):
                    with socket.socket(socket.AF_PACKET, DGRAM) as raw:
                        raw.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
                        for way in OPTIONS:
                            marked(raw, way, value)
                        raw.sendto(datagram(source, target), (device, 0x0800, 0, 0, hardware))

                party.run(inject)
                party.judge(receiver, f"on {device}, bypass {bypass}, {value:#x}")
        if party.space.name:
            for hooks in ["egress"], ["ingress", "prerouting", "input"]:
                for value in party.values[:2]:
                    with writing(party, value, *hooks):
                        party.run(inject)
                    party.judge(receiver, f"on {device}, {'+'.join(hooks)} {value:#x}")


def mac(device):
    """The hardware address of a device in the calling thread's namespace."""
    return bytes.fromhex(
        re.search(r"link/ether ([0-9a-f:]+)", netns.ip("link", "show", device))[1].replace(":", "")
    )


@each_owner(UserContainer, Container)
def raw_sockets(party):
    """A packet that a raw socket sends with another service's address and port is not that
    service's
    """

    def inject(source, target):
        with socket.socket(INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(datagram(source, target), (target, 0))

    gates.enter(party.dev, party.b)
    with socket.socket(INET, DGRAM) as victim:
        victim.bind(("127.0.0.1", 4000))
        gates.enter(party.dev, vs.ROOT)
        for place, (_, address) in party.places.items():
            party.run(
                lambda address=address: inject(
                    "127.0.0.1" if address == "127.0.0.1" else address[:-1] + "1", address
                )
            )
            party.judge(party.servers[place, DGRAM], f"a raw socket, {place}")


@each_owner(UserContainer, Container)
def tunnels(party):
    """A packet that is written into a tun or tap device of the attacker, for it and through it, is
    not another service's
    """
    vs.run("modprobe", "tun")
    os.chmod("/dev/net/tun", 0o666)  # as udev has it
    with party.space.inside():
        set_sysctl("net.ipv4.ip_forward", 1)
    own = party.stack.enter_context(
        containers.serve(party.dev, party.srv, party.space, "0.0.0.0", DGRAM, PORT + 1)
    )
    for kind, name in (IFF_TUN, "tun9"), (IFF_TAP, "tap9"):
        for value in party.values[:2]:

            def inject(kind=kind, name=name, value=value):
                with open("/dev/net/tun", "r+b", buffering=0) as tunnel:
                    fcntl.ioctl(
                        tunnel, TUNSETIFF, struct.pack("16sH22x", name.encode(), kind | IFF_NO_PI)
                    )
                    netns.ip("addr", "add", "10.9.0.1/24", "dev", name)
                    netns.ip("link", "set", name, "up")
                    write(
                        [*party.devices, name],
                        value,
                        "ingress",
                        "prerouting",
                        "forward",
                        "postrouting",
                        "egress",
                        "input",
                    )
                    frame = mac(name) + bytes(6) + b"\x08\x00" if kind == IFF_TAP else b""
                    for target, port in (
                        ("10.9.0.1", PORT + 1),
                        ("10.77.0.2", PORT),
                        ("10.78.0.2", PORT),
                    ):
                        tunnel.write(frame + datagram("10.9.0.2", target, dport=port))

            party.run(inject)
            party.judge(own, f"{name} {value:#x}, in the attacker's namespace")
            for place in "on the host", "in another container":
                party.judge(party.servers[place, DGRAM], f"{name} {value:#x}, forwarded, {place}")
            with party.space.inside():
                vs.command("nft", "flush", "ruleset")


XDP_PASS = bytes.fromhex("b7000000020000009500000000000000")  # r0 = 2; exit


@each_owner(Container)
def programs(party):
    """With an XDP program on the container's devices, values that its namespace writes into packets
    make none another service's
    """
    with tempfile.TemporaryDirectory(dir="/sys/fs/bpf") as folder:
        pin = f"{folder}/pass"
        program = gates.load_program(6, XDP_PASS)  # BPF_PROG_TYPE_XDP
        gates.pin(program, pin)
        os.close(program)
        with party.space.inside():
            for device in party.devices:
                netns.ip(
                    "link", "set", device, "xdpgeneric" if device == "lo" else "xdp", "pinned", pin
                )
            os.unlink(pin)
        for value in party.values[:2]:
            with writing(party, value, "output", "prerouting", "egress", "ingress"):
                party.knock(f"XDP {value:#x}")


@gates.case
def passed_descriptors(dev):
    """Passing a descriptor changes nothing: a's socket stays a's when the server or b has it"""
    a, b, srv = (dev.create(name) for name in ("a", "b", "srv"))
    containers.bind_all(dev, srv)
    dev.add("recv", [srv], containers.BY_SOCKET, proto="unix-stream")
    server = containers.serve(dev, srv, netns.Here(), "127.0.0.1", DGRAM, 7000)
    by, to = socket.socketpair()
    gates.enter(dev, a)
    mine = socket.socket(INET, DGRAM)
    one, other = socket.socketpair()
    for sock in mine, other:
        socket.send_fds(by, [b"x"], [sock.fileno()])
    mine.sendto(b"x", ("127.0.0.1", 7000))
    vs.eq(containers.works_for(dev, srv, server), a, "sent before")
    for holder in b, srv:
        gates.enter(dev, holder)
        if holder == b:
            received = socket.socket(fileno=socket.recv_fds(to, 9, 1)[1][0])
            vs.eq(gates.vs_of(received), a, "the socket in b's hands")
        else:
            handed = socket.socket(fileno=socket.recv_fds(to, 9, 1)[1][0])
            vs.eq(gates.vs_of(handed), a, "the socket in the server's hands")
        gates.enter(dev, a)
        mine.sendto(b"x", ("127.0.0.1", 7000))
        vs.eq(
            containers.works_for(dev, srv, server), a, f"sent while {holder} holds the socket too"
        )
    gates.enter(dev, a)
    one.send(b"x")
    gates.enter(dev, srv)
    handed.recv(9)
    vs.eq(
        gates.tag()[1] in (a, srv),
        True,
        f"the server works for {gates.tag()[1]} after a's bytes by the socket it was handed",
    )
    vs.eq(dev.stat(b).sockets, 0, "sockets counted for b")


@gates.case
def option_is_no_way_in(dev):
    """A task's sockets stay its own for any value and length of SO_MARK, and by any system call
    that sets it
    """
    a, b = dev.create("a"), dev.create("b")
    gates.enter(dev, a)
    for kind in (INET, DGRAM), (INET, STREAM), (UNIX, DGRAM), (UNIX, STREAM):
        with socket.socket(*kind) as sock:
            for way in OPTIONS:
                for value in b, b << 18, 1 << 31 | b:
                    marked(sock, way, value)
                    vs.eq(gates.vs_of(sock), a, f"{way.__name__} {value:#x}")
    vs.eq((dev.stat(a).sockets, dev.stat(b).sockets), (0, 0), "counted")


@gates.case
def counts_of_another(dev):
    """Sockets of any family, marked in any way and closed, take nothing off the counts of another
    service or of their own
    """
    a, b = dev.create("a"), dev.create("b")
    held = []
    for id in a, b:
        gates.enter(dev, id)
        held.append(
            [
                socket.socket(*kind)
                for kind in ((INET, DGRAM), (INET, STREAM), (UNIX, DGRAM), (UNIX, STREAM))
            ]
        )
    for id in vs.ROOT, a:
        gates.enter(dev, id)
        for family, kind, proto in (
            (socket.AF_NETLINK, socket.SOCK_RAW, 0),
            (socket.AF_PACKET, DGRAM, 0),
            (UNIX, DGRAM, 0),
            (INET, DGRAM, 0),
            (INET, STREAM, 0),
            (INET, STREAM, 262),
            (INET, socket.SOCK_RAW, 255),
        ):
            for value in layouts(a) + layouts(b):
                for way in OPTIONS:
                    with socket.socket(family, kind, proto) as sock:
                        marked(sock, way, value)
    gates.enter(dev, vs.ROOT)
    for id in a, b:
        vs.until(
            lambda id=id: dev.stat(id).sockets == 4,
            what=f"sockets of {'b' if id == b else 'a'}: {dev.stat(id).sockets}, wanted 4",
        )
    for one in held[0] + held[1]:
        one.close()
    vs.until(lambda: (dev.stat(a).sockets, dev.stat(b).sockets) == (0, 0), what="all closed")


vs.main()
