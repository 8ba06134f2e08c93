# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library of selftests of tags across network namespaces: containers, a server of a service,
and its view of a sender.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import struct

import gates
import netns
import vs

import uapi

BY_SOCKET, BY_MESSAGE = [uapi.VS_REF(1)], [uapi.VS_REF(2)]
USER = 1000  # the user that owns user namespaces here
_libc = ctypes.CDLL(None, use_errno=True)


def nft(rules):
    """Loads nft rules into the namespace of the calling thread; they must be taken."""
    done = vs.run("nft", "-f", "-", input=rules)
    if done.returncode:
        raise AssertionError(f"nft: {done.stderr.strip()}\n{rules}")


def _attribute(kind, payload):
    whole = struct.pack("HH", 4 + len(payload), kind) + payload
    return whole + bytes(-len(whole) % 4)


def write_secmark(family, table, chain, value):
    """Appends a rule to a chain that writes any value into packets' secmark.

    nft(8) can only write the numbers of LSM contexts, but a task that may change rules can send
    this instruction, too.
    """
    nested = 0x8000

    def expression(name, *data):
        return _attribute(
            1 | nested, _attribute(1, name + b"\0") + _attribute(2 | nested, b"".join(data))
        )

    def message(kind, flags, body):
        return struct.pack("IHHII", 16 + len(body), kind, 1 | flags, 1, 0) + body

    load = expression(
        b"immediate",
        _attribute(1, struct.pack("!I", 1)),
        _attribute(2 | nested, _attribute(1, struct.pack("I", value))),
    )
    # NFT_META_SECMARK
    store = expression(
        b"meta", _attribute(2, struct.pack("!I", 14)), _attribute(3, struct.pack("!I", 1))
    )
    rule = (
        struct.pack("BBH", {"inet": 1, "netdev": 5}[family], 0, 0)
        + _attribute(1, table.encode() + b"\0")
        + _attribute(2, chain.encode() + b"\0")
        + _attribute(4 | nested, load + store)
    )
    batch = struct.pack("!BBH", 0, 0, 10)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:  # NETLINK_NETFILTER
        # NFT_MSG_NEWRULE, created and appended, between the begin and the end of a transaction
        sock.send(
            message(0x10, 0, batch) + message(10 << 8 | 6, 0xC04, rule) + message(0x11, 0, batch)
        )
        error = -struct.unpack_from("i", sock.recv(4096), 16)[0]
        if error:
            raise OSError(error, os.strerror(error))


def set_sysctl(name, value):
    """Writes a sysctl in the network namespace of the calling thread."""
    pathlib.Path("/proc/sys", name.replace(".", "/")).write_text(str(value), encoding="ascii")


class Container(netns.Namespace):
    """A network namespace that the initial user namespace owns, as container engines make them."""

    def run(self, dev, id, function):
        """Runs function() in a task of service `id` that is root in the container; returns its
        result as a string.
        """

        def body():
            gates.enter(dev, id)
            os.setns(self.fd, os.CLONE_NEWNET)
            return function()

        return vs.in_child(body)


class UserContainer(netns.Namespace):
    """A network namespace of a user namespace that an unprivileged user made, as `unshare -Urn`
    does.
    """

    def __enter__(self):
        ready, told = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setgroups([])
                os.setgid(USER)
                os.setuid(USER)
                # the map files belong to root as long as the process counts as one that has changed
                # its user
                _libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
                os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
                pathlib.Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
                pathlib.Path("/proc/self/uid_map").write_text(f"0 {USER} 1", encoding="ascii")
                pathlib.Path("/proc/self/gid_map").write_text(f"0 {USER} 1", encoding="ascii")
                os.write(told, b"x")
                signal.pause()
            finally:
                os._exit(1)
        os.close(told)
        vs.eq(os.read(ready, 1), b"x", "the user namespace")
        os.close(ready)
        netns.ip("netns", "attach", self.name, str(self.pid))
        self.user = os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        self.fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        with self.inside():
            netns.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.close(self.user)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        netns.ip("netns", "del", self.name)

    def run(self, dev, id, function):
        """Runs function() in a task of service `id` that is the user, and root in the container's
        namespaces.
        """

        def body():
            gates.enter(dev, id)
            os.setgroups([])
            os.setns(self.user, os.CLONE_NEWUSER)
            os.setns(self.fd, os.CLONE_NEWNET)
            os.setgid(0)
            os.setuid(0)
            return function()

        return vs.in_child(body)


class Host:
    """The initial network namespace, of a task that has CAP_NET_RAW and no other capability."""

    name = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @contextlib.contextmanager
    def inside(self):
        yield

    def run(self, dev, id, function):
        def body():
            gates.enter(dev, id)
            only(13)  # CAP_NET_RAW
            return function()

        return vs.in_child(body)


def only(*capabilities):
    """Makes the calling process one of USER, with these capabilities and no others."""
    _libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    mask = sum(1 << one for one in capabilities)
    header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    data = struct.pack("6I", mask, mask, 0, 0, 0, 0)
    if _libc.syscall(126, header, data):  # capset
        raise OSError(ctypes.get_errno(), "capset")


def serve(dev, id, space, address, kind, port=5432):
    """A socket of service `id` in `space` that listens at an address, or receives datagrams."""
    gates.enter(dev, id)
    try:
        return netns.listener(space, address, port, kind)
    finally:
        gates.enter(dev, vs.ROOT)


def works_for(dev, id, server):
    """The service that a server's task of home `id` works for after it has received the next
    message at `server`.

    A listener accepts and receives from the connection; the tag of the connection must agree.
    """
    gates.enter(dev, id)
    try:
        if server.type != socket.SOCK_STREAM:
            server.recv(100)
            return gates.tag()[1]
        connection = server.accept()[0]
        with connection:
            works = gates.tag()[1]
            connection.settimeout(10)
            connection.recv(100)
            vs.eq(
                gates.tag()[1] in (works, id),
                True,
                "the service of the connection, after a receipt",
            )
            return works
    finally:
        gates.enter(dev, vs.ROOT)


def bind_all(dev, id):
    """Rules by which tasks of home `id` work for the client of a connection that they accept, and
    for the sender of a message that they receive.
    """
    dev.add("accept", [id], BY_SOCKET)
    for proto in "udp", "unix-dgram":
        dev.add("recv", [id], BY_MESSAGE, proto=proto)


PORT = 5432

# Ways from a container to a server, each made until `stack` is closed: (the container, the server's
# namespace, the address that the server listens at, the address and the port that a client connects
# to). The server's port is PORT.


def veth(stack):
    """Two containers, linked."""
    one, two = (stack.enter_context(Container(name)) for name in ("vs-one", "vs-two"))
    netns.link(one, two)
    return one, two, "10.77.0.2", "10.77.0.2", PORT


def to_host(stack):
    """A container and a server on the host."""
    one = stack.enter_context(Container("vs-one"))
    netns.link(one, netns.Here())
    stack.callback(netns.ip, "link", "del", "vs77")
    return one, netns.Here(), "10.77.0.2", "10.77.0.2", PORT


def attach(container, number, bridge=None):
    """Links a container to the host by a veth pair; the host's end is a port of `bridge`, or has
    the address .254.
    """
    netns.ip(*f"link add vsh{number} type veth peer name eth0 netns {container.name}".split())
    subnet = 80 if bridge else 80 + number
    if bridge:
        netns.ip("link", "set", f"vsh{number}", "master", bridge)
    else:
        netns.ip("addr", "add", f"10.{subnet}.0.254/24", "dev", f"vsh{number}")
    netns.ip("link", "set", f"vsh{number}", "up")
    with container.inside():
        netns.ip("addr", "add", f"10.{subnet}.0.{number}/24", "dev", "eth0")
        netns.ip("link", "set", "eth0", "up")
        if not bridge:
            netns.ip("route", "add", "default", "via", f"10.{subnet}.0.254")
    return f"10.{subnet}.0.{number}"


def bridge(stack):
    """Two containers at a bridge of the host."""
    netns.ip("link", "add", "vsbr0", "type", "bridge")
    stack.callback(netns.ip, "link", "del", "vsbr0")
    netns.ip("link", "set", "vsbr0", "up")
    one, two = (stack.enter_context(Container(name)) for name in ("vs-one", "vs-two"))
    attach(one, 1, "vsbr0")
    address = attach(two, 2, "vsbr0")
    return one, two, address, address, PORT


def nat(stack):
    """Two containers behind the host, which routes between them, publishes the server's port, and
    masquerades.
    """
    one, two = (stack.enter_context(Container(name)) for name in ("vs-one", "vs-two"))
    attach(one, 1)
    address = attach(two, 2)
    set_sysctl("net.ipv4.ip_forward", 1)
    stack.callback(set_sysctl, "net.ipv4.ip_forward", 0)
    nft(f"""table ip vs-nat {{
        chain pre {{
            type nat hook prerouting priority -100
            ip daddr 10.81.0.254 meta l4proto {{ tcp, udp }} th dport 8000 dnat to {address}:{PORT}
        }}
        chain post {{ type nat hook postrouting priority 100; oifname "vsh2" masquerade; }}
    }}""")
    stack.callback(vs.command, "nft", "delete", "table", "ip", "vs-nat")
    return one, two, address, "10.81.0.254", 8000


WAYS = veth, to_host, bridge, nat
