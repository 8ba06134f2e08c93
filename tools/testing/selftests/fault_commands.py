#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 600
# expect: kmemleak: Cannot allocate a scan area
"""Every command of /dev/vsctl while memory is short, allocation by allocation: it is carried out
whole, or not at all.

After each call all that the device lists is compared with its lists before. A command that succeeds
although an allocation failed has found another way, and must be carried out whole.
"""

import contextlib
import ctypes
import errno
import os
import socket
import threading

import fault
import gates
import netns
import vs

import uapi

TEXT = "x" * 100  # long enough for an allocation of its own


class Call:
    """One call of a command, the same each time it is made. Returns its errno."""

    def __init__(self, dev, command, argument=None, **fields):
        number, self.kind = uapi.commands["VS_IOC_" + command]
        self.given = vs.fill(self.kind() if argument is None else argument, **fields)
        self.argument = self.kind()
        self.fd, self.request = dev.fd, uapi.request(number, ctypes.sizeof(self.kind))

    def __call__(self):
        ctypes.memmove(
            ctypes.addressof(self.argument), ctypes.addressof(self.given), ctypes.sizeof(self.kind)
        )
        return vs.ioctl(self.fd, self.request, ctypes.addressof(self.argument))


def base(dev):
    """Makes the state in which each call starts: c below a, d below b, an attribute of a's own, two
    rules of two shapes.
    """
    dev.wipe()
    a, b = dev.create("a"), dev.create("b")
    c, d = dev.create("c", a), dev.create("d", b)
    dev.detach(a, "cpu_weight")
    dev.add("exec", [a], [b], path=f"/usr/bin/{TEXT}")
    dev.add("accept", [b], [vs.REF(1)], peer="10.0.0.0", peer_len=104)
    return a, b, c, d


def whole(dev):
    """Returns all that the device lists, and the generation."""
    info = dev.info()
    counts = [
        (stat.tasks, stat.sockets) for stat in (dev.stat(service.id) for service in dev.services())
    ]
    return (dev.state(), counts, info.services, info.rules, info.features), info.generation


def short(dev, make, changes=True):
    """Makes the call make(*services) in every shortage. `changes`: if it succeeds, it changes the
    lists, once.
    """
    ends = dict.fromkeys((0, errno.ENOMEM, errno.EFAULT), 0)
    for way in fault.nth, fault.shortage:
        call = make(*base(dev))
        before, generation = whole(dev)
        # `call` is a new call after a change
        for n, error in way(lambda: call()):  # pylint: disable=unnecessary-lambda
            after, now = whole(dev)
            where = f"{way.__name__} {n}: {errno.errorcode.get(error, 'done')}"
            if error not in ends or not n and error:
                raise AssertionError(where)
            ends[error] += bool(n)
            changed = now != generation
            if changed and now != generation + 1 or not changed and after != before:
                raise AssertionError(f"{where}: half of it is done")
            # if the answer could not be copied, it does not tell whether the command was carried
            # out
            if error != errno.EFAULT and changed != (changes and not error):
                raise AssertionError(f"{where}: {'a' if changed else 'no'} change")
            if changed:
                call = make(*base(dev))
                before, generation = whole(dev)
    print(
        f"# without memory: {ends[errno.ENOMEM]} refused, {ends[0]} done;"
        f" {ends[errno.EFAULT]} without an answer",
        flush=True,
    )
    vs.eq(ends[errno.ENOMEM] > 0, True, "a call was refused for want of memory")


@vs.test
def creating(dev):
    """create"""
    short(dev, lambda a, *_: Call(dev, "CREATE", name="new", parent=a, id=vs.ANY))


@vs.test
def destroying(dev):
    """destroy"""
    short(dev, lambda a, b, c, d: Call(dev, "DESTROY", id=c, move_to=vs.ANY))


@vs.test
def merging(dev):
    """destroy with an heir, which takes over rules"""

    def make(a, b, c, d):
        dev.add("fork", [c], [d], uid=1)
        return Call(dev, "DESTROY", id=c, move_to=d)

    short(dev, make)


@vs.test
def changing(dev):
    """change: name, parent and priority"""
    short(
        dev,
        lambda a, b, c, d: Call(dev, "CHANGE", id=c, what=7, name="other", parent=b, priority=5),
    )


@vs.test
def attributes(dev):
    """set_attr: set, detach and share"""
    number = vs.constants["VS_ATTR_CPU_WEIGHT"]
    for op, which, value in (
        (uapi.VS_ATTR_SET, 0, 300),
        (uapi.VS_ATTR_DETACH, 1, 0),
        (uapi.VS_ATTR_SHARE, 0, 0),
    ):
        short(
            dev,
            lambda *ids, op=op, which=which, value=value: Call(
                dev, "SET_ATTR", id=ids[which], op=op, attr=number, value=value
            ),
        )


@vs.test
def asking(dev):
    """info, query, list, stat, rule_list, rule_test change nothing"""
    services, rules = (uapi.vs_service * 64)(), (uapi.vs_rule * 64)()
    listing = {"room": 64, "after": uapi.VS_LIST_START}
    short(dev, lambda *_: Call(dev, "INFO"), False)
    short(dev, lambda a, *_: Call(dev, "QUERY", id=a), False)
    short(dev, lambda a, *_: Call(dev, "STAT", id=a), False)
    short(
        dev,
        lambda *_: Call(
            dev,
            "LIST",
            items=ctypes.addressof(services),
            item_size=ctypes.sizeof(uapi.vs_service),
            **listing,
        ),
        False,
    )
    short(
        dev,
        lambda *_: Call(
            dev,
            "RULE_LIST",
            items=ctypes.addressof(rules),
            item_size=ctypes.sizeof(uapi.vs_rule),
            **listing,
        ),
        False,
    )
    tried = vs.rule("exec", [vs.ROOT], path=f"/usr/bin/{TEXT}")
    short(
        dev,
        lambda a, *_: Call(
            dev,
            "RULE_TEST",
            call=ctypes.addressof(vs.fill(tried, **{"from": [a]})),
            call_size=ctypes.sizeof(tried),
        ),
        False,
    )


@vs.test
def adding(dev):
    """rule_add, of a new shape and with long texts"""
    short(
        dev,
        lambda a, *_: Call(
            dev, "RULE_ADD", vs.rule("connect", [a], unix=f"/run/{TEXT}", cgroup=f"/{TEXT}", uid=7)
        ),
    )


@vs.test
def deleting(dev):
    """rule_del"""
    short(dev, lambda *_: Call(dev, "RULE_DEL", id=dev.rules()[0].id))


@vs.test
def applying(dev):
    """apply: new, changed, moved and pruned services, and rules"""
    services = (uapi.vs_config_service * 4)(
        vs.config_service("new", cpu_weight=300),
        vs.config_service("a", 1),
        vs.config_service("c", 2),
        vs.config_service("e"),
    )
    rules = (uapi.vs_rule * 6)(
        *(vs.rule("exec", [1 + n % 4], path=f"/bin/{TEXT}{n}") for n in range(6))
    )
    given = {
        "services": ctypes.addressof(services),
        "nr_services": len(services),
        "service_size": ctypes.sizeof(uapi.vs_config_service),
        "rules": ctypes.addressof(rules),
        "nr_rules": len(rules),
        "rule_size": ctypes.sizeof(uapi.vs_rule),
    }
    for flags in 0, uapi.VS_APPLY_PRUNE, uapi.VS_APPLY_CHECK:
        short(
            dev,
            lambda *_, flags=flags: Call(dev, "APPLY", flags=flags, **given),
            changes=flags != uapi.VS_APPLY_CHECK,
        )


def is_counted(dev, space):
    """Whether a packet that is sent in a network namespace is counted."""
    before = dev.stat(vs.ROOT).packets_out
    with space.inside(), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", 9))
    return dev.stat(vs.ROOT).packets_out > before


@vs.test
def packets(dev):
    """gate_packet: on in every network namespace, or in none"""
    with contextlib.ExitStack() as stack:
        spaces = [netns.Here(), stack.enter_context(netns.Namespace("fault"))]
        refused = 0
        for way in fault.nth, fault.shortage:
            for n, error in way(Call(dev, "GATE", gate=uapi.VS_GATE_PACKET, on=1)):
                vs.eq(
                    error in (0, errno.ENOMEM, errno.EFAULT),
                    True,
                    f"{way.__name__} {n}: errno {error}",
                )
                on = bool(dev.info().features & uapi.VS_FEATURE_PACKETS)
                if error != errno.EFAULT:
                    vs.eq(on, not error, f"{way.__name__} {n}: the gate is on")
                counted = [is_counted(dev, space) for space in spaces]
                vs.eq(counted, [on] * len(spaces), f"{way.__name__} {n}: counted")
                refused += error == errno.ENOMEM
                dev.packets(0)
        vs.eq(refused > 0, True, "it was refused for want of memory")
        print(f"# refused {refused} times", flush=True)


class Threads:
    """A child with threads that wait, none of them tagged; gone at the end of the with block."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        ready, self.end = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.end[1])
            waiting = [
                threading.Thread(target=os.read, args=(self.end[0], 1))
                for _ in range(self.number - 1)
            ]
            for thread in waiting:
                thread.start()
            os.write(ready[1], b"x")
            os.read(self.end[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        for fd in (*ready, self.end[0]):
            os.close(fd)
        self.tids = [int(tid) for tid in os.listdir(f"/proc/{self.pid}/task")]
        self.pidfd = os.pidfd_open(self.pid)
        return self

    def __exit__(self, *_):
        os.close(self.pidfd)
        os.close(self.end[1])
        os.waitpid(self.pid, 0)


@vs.gated
def placing_tasks(dev):
    """place_task: all threads of a process, or none"""
    a = dev.create("a")
    refused = 0
    for n in range(1, 100):
        with Threads(4) as process:
            call = Call(dev, "PLACE_TASK", pidfd=process.pidfd, id=a)
            error, injected = fault.once(n, call)
            tags = {gates.tag(tid) for tid in process.tids}
            where = f"fault {n}: errno {error}"
            vs.eq(len(tags), 1, f"{where}: tags of the threads, {tags}")
            if error != errno.EFAULT:
                vs.eq(
                    (tags, dev.stat(a).tasks), ({(a, a)}, 4) if not error else ({(0, 0)}, 0), where
                )
            refused += error == errno.ENOMEM
        if not injected:
            break
    vs.until(lambda: dev.stat(a).tasks == 0, what="no task")
    vs.eq((error, refused > 0), (0, True), "the last call, refusals")


@vs.gated
def placing_sockets(dev):
    """place_socket"""
    a = dev.create("a")
    with socket.socket() as sock:
        for n, error in fault.nth(Call(dev, "PLACE_SOCKET", fd=sock.fileno(), id=a)):
            placed = gates.vs_of(sock) == a
            vs.eq(dev.stat(a).sockets, placed, f"fault {n}: counted")
            if error != errno.EFAULT:
                vs.eq(placed, not error, f"fault {n}: placed")
            dev.place_socket(sock, vs.ROOT)
    vs.until(lambda: dev.stat(a).sockets == 0, what="no socket")


fault.main()
