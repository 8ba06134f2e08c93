#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 600
# expect: kmemleak: Cannot allocate a scan area
"""System calls of tagged tasks while memory is short: they fail or succeed, and no tag is lost,
invented or left.

A gate allocates its memory during the call; so each of the call's allocations is made to fail in
turn.
"""

import errno
import os
import pathlib
import select
import socket

import fault
import gates
import vs

import uapi

NR_SOCKET, NR_CONNECT, NR_ACCEPT, NR_SENDTO, NR_RECVFROM, NR_SOCKETPAIR, NR_EXECVE = (
    41,
    42,
    288,
    44,
    45,
    53,
    59,
)
WANTING = -errno.ENOMEM, -errno.EAGAIN, -errno.EFAULT, -errno.ENOBUFS, -errno.ENFILE, -errno.EMFILE


def told(ends):
    """Prints how often a call succeeded and how often it failed; it must have failed at least once
    for lack of memory.
    """
    failed = sum(result < 0 for result in ends)
    print(f"# {failed} failed, {len(ends) - failed} came through", flush=True)
    vs.eq(failed > 0, True, "a call failed")


def counts(dev, id):
    stat = dev.stat(id)
    return stat.tasks, stat.sockets


def settled(dev, id, wanted, where):
    """Waits until the counts are `wanted` (tasks, sockets): those that have ended may be counted
    off a grace period later.
    """
    vs.until(
        lambda: counts(dev, id) == wanted,
        what=f"{where}: {wanted} tasks and sockets (now {counts(dev, id)})",
    )


@gates.case
def forks(dev):
    """fork: the child belongs to its parent's service, or there is no child"""
    a = dev.create("a")
    gates.enter(dev, a)

    def fork():
        try:
            pid = os.fork()
        except OSError as error:
            return -error.errno
        if not pid:
            os._exit(gates.tag() != (a, a))
        return pid

    ends = []
    for n, result in fault.nth(fork):
        if result > 0:
            vs.eq(os.waitpid(result, 0)[1], 0, f"fault {n}: the child is untagged")
        else:
            vs.eq(result in WANTING, True, f"fault {n}: {result}")
        vs.eq(gates.tag(), (a, a), f"fault {n}: the parent")
        settled(dev, a, (1, 0), f"fault {n}")
        ends.append(result)
    told(ends)


@gates.case
def executions(dev):
    """exec by a child that a rule re-binds, or that dies of it: its count goes with it"""
    a, b = dev.create("a"), dev.create("b")
    dev.add("exec", [a], [b])
    gates.enter(dev, a)
    program = vs.ctypes.c_char_p(b"/bin/true")
    words = (vs.ctypes.c_char_p * 2)(b"true", None)
    killed = failed = n = unharmed = 0
    # the program allocates, too, and would then fail in its turn: if so many failures in a row make
    # no difference, exec is over
    while unharmed < 40:
        n += 1
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the loader's complaints go
            fault.once(n, lambda: fault.syscall(NR_EXECVE, program, words, 0))
            os._exit(3)
        status = os.waitpid(pid, 0)[1]
        killed += os.WIFSIGNALED(status)
        failed += status == 3 << 8
        unharmed = 0 if status else unharmed + 1
        vs.eq(
            os.WIFSIGNALED(status) or status in (0, 3 << 8, 127 << 8),
            True,
            f"fault {n}: status {status}",
        )
        settled(dev, a, (1, 0), f"fault {n}")
        settled(dev, b, (0, 0), f"fault {n}")
    print(f"# {failed} failed, {killed} were killed, of {n}", flush=True)
    vs.eq(failed > 0, True, "one failed")


@gates.case
def sockets(dev):
    """socket and socketpair: the sockets that exist are counted, and no others"""
    a = dev.create("a")
    gates.enter(dev, a)
    for family in socket.AF_INET, socket.AF_INET6, socket.AF_UNIX:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            ends = []
            for n, fd in fault.nth(lambda: fault.syscall(NR_SOCKET, int(family), int(kind), 0)):
                where = f"{family.name} {kind.name}, fault {n}"
                vs.eq(fd >= 0 or fd in WANTING, True, f"{where}: {fd}")
                if fd >= 0:
                    vs.eq(counts(dev, a), (1, 1), where)
                    os.close(fd)
                settled(dev, a, (1, 0), where)
                ends.append(fd)
            told(ends)
    pair = (vs.ctypes.c_int * 2)()
    ends = []
    for n, error in fault.nth(lambda: fault.syscall(NR_SOCKETPAIR, 1, 1, 0, pair)):
        if not error:
            vs.eq(counts(dev, a), (1, 2), f"pair, fault {n}")
            os.close(pair[0])
            os.close(pair[1])
        settled(dev, a, (1, 0), f"pair, fault {n}")
        ends.append(error)
    told(ends)


def _address(sock):
    """sockaddr_in of a bound socket."""
    port = sock.getsockname()[1]
    return vs.ctypes.create_string_buffer(
        b"\2\0" + port.to_bytes(2, "big") + socket.inet_aton("127.0.0.1") + bytes(8), 16
    )


@gates.case
def connections(dev):
    """connect and accept: the connection belongs to its client's service, and both ends are counted
    off
    """
    a, pg = dev.create("a"), dev.create("pg")
    dev.add("accept", [pg], [uapi.VS_REF(1)])
    server = gates.listener()
    address = _address(server)
    connected, accepted = [], []
    for n in range(1, 400):
        gates.enter(dev, a)
        client = socket.socket()
        client.settimeout(None)
        result, injected = fault.once(
            n, lambda: fault.syscall(NR_CONNECT, client.fileno(), address, 16)
        )
        connected.append(result)
        client.close()
        gates.enter(dev, vs.ROOT)
        while select.select([server], [], [], 0)[0]:
            server.accept()[0].close()
        if not injected:
            break
        vs.eq(result == 0 or result in WANTING, True, f"connect, fault {n}: {result}")
    told(connected)
    settled(dev, a, (0, 0), "connected")

    for n in range(1, 400):
        client = gates.client(dev, a, server)
        gates.enter(dev, pg)
        result, injected = fault.once(n, lambda: fault.syscall(NR_ACCEPT, server.fileno(), 0, 0, 0))
        accepted.append(result)
        tag = gates.tag()
        if result >= 0:
            conn = socket.socket(fileno=result)
            vs.eq((gates.vs_of(conn), tag), (a, (pg, a)), f"accept, fault {n}")
            conn.close()
        else:
            vs.eq((result in WANTING, tag), (True, (pg, pg)), f"accept, fault {n}: {result}, tag")
        gates.enter(dev, vs.ROOT)
        client.close()
        while select.select([server], [], [], 0)[0]:
            server.accept()[0].close()
        if not injected:
            break
    told(accepted)
    settled(dev, a, (0, 0), "accepted")


@gates.case
def datagrams(dev):
    """send and recv: a receiver without a tag is bound or unchanged; a sent datagram is its
    sender's
    """
    a, b = dev.create("a"), dev.create("b")
    dev.add("recv", [vs.ANY], [uapi.VS_REF(2)])
    dev.add("send", [a], [vs.ANY, vs.ANY, b], proto="udp")
    server = gates.listener(socket.AF_INET, socket.SOCK_DGRAM)
    server.setblocking(False)
    address = _address(server)
    data = vs.ctypes.create_string_buffer(b"data")
    sent, received = [], []
    gates.enter(dev, a)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for n, result in fault.nth(
        lambda: fault.syscall(NR_SENDTO, sender.fileno(), data, 4, 0, address, 16)
    ):
        vs.eq(result == 4 or result in WANTING, True, f"send, fault {n}: {result}")
        sent.append(result)
    told(sent)
    while select.select([server], [], [], 0)[0]:
        server.recv(9)

    def receive():
        """Receives in a thread of its own, which has no tag yet; returns how it ended, its tag, and
        whether there was a fault.
        """
        result, injected = fault.once(
            n, lambda: fault.syscall(NR_RECVFROM, server.fileno(), data, 4, 0, 0, 0)
        )
        return result, gates.tag(), injected

    for n in range(1, 400):
        gates.enter(dev, a)
        sender.sendto(b"data", server.getsockname())
        gates.enter(dev, vs.ROOT)
        result, tag, injected = gates.thread(receive)
        vs.eq(
            tag in ((0, b), (0, 0)) if injected else tag == (0, b),
            True,
            f"recv, fault {n}: {result}, tag {tag}",
        )
        received.append(result)
        while select.select([server], [], [], 0)[0]:
            server.recv(9)
        if not injected:
            break
    print(f"# {len(received)} times received", flush=True)
    sender.close()


@gates.case
def handshakes(dev):
    """Connections while requests and sockets cannot be allocated, in softirq too: all that were
    counted are counted off
    """
    a = dev.create("a")
    dev.add("accept", [vs.ANY], [uapi.VS_REF(1)])
    caches = [
        pathlib.Path(f"/sys/kernel/slab/{name}/failslab") for name in ("TCP", "request_sock_TCP")
    ]
    server = gates.listener()
    server.setblocking(False)
    failed = came = 0
    fault.caches(caches, 30)
    try:
        for _ in range(300):
            try:
                gates.enter(dev, a)
                with socket.socket() as client:
                    client.settimeout(0.2)
                    client.connect(server.getsockname())
                    came += 1
            except OSError:
                failed += 1
            try:
                server.accept()[0].close()
            except OSError:
                pass
    finally:
        fault.caches(caches, 0)
    gates.enter(dev, vs.ROOT)
    server.close()
    print(f"# {failed} failed, {came} came through", flush=True)
    vs.eq(failed > 10 and came > 10, True, "some fail, some do not")


fault.main()
