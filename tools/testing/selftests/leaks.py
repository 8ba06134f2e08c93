#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 400
"""Objects that are made and removed again leave no memory behind.

The kernel's own counters are compared before and after many rounds: unreclaimable slab, vmalloc and
per-CPU memory. They are pages, not objects, and others use them too, so that they may differ by
TOLERANCE without a leak (in most runs they came back to the very page). In 8,000 rounds a leak of
64 bytes a round would be more than that; a slow kernel makes fewer.
"""

import os

import vs
from memory import memory

import uapi

ROUNDS = 8000 // vs.SLOWNESS
TOLERANCE = 384  # KiB


def unchanged(rounds, work, tolerance=TOLERANCE):
    """Checks that `rounds` rounds of work() leave the counters unchanged, after some rounds to warm
    up.
    """
    if os.uname().release.endswith("-vs-kasan"):
        vs.skip("KASAN holds back what is freed")
    for number in range(rounds // 10):
        work(number)
    before = memory()
    for number in range(rounds):
        work(number)
    after = memory()
    grown = {name: after[name] - before[name] for name in before}
    print(f"# {rounds} rounds: {grown} KiB", flush=True)
    for name, much in grown.items():
        if much > tolerance:
            raise AssertionError(f"{name} grew by {much} KiB in {rounds} rounds")


@vs.test
def counters_see(dev):
    """Kept objects are seen: three thousand services make the counters grow"""
    before = memory()
    dev.apply([vs.config_service(f"n{n}") for n in range(3000)])
    after = memory()
    grown = {name: after[name] - before[name] for name in before}
    print(f"# {grown} KiB", flush=True)
    vs.eq(max(grown.values()) > TOLERANCE, True, f"{grown}")


@vs.test
def services(dev):
    """Services created and destroyed"""

    def work(_):
        a = dev.create("a")
        dev.detach(a, "tasks_max")
        dev.destroy(a)

    unchanged(ROUNDS, work)


@vs.test
def services_with_an_heir(dev):
    """Services destroyed with an heir, and moved"""
    heir = dev.create("heir")

    def work(_):
        a = dev.create("a")
        b = dev.create("b")
        dev.add("exec", [a])
        dev.move(b, a)
        dev.move(b, heir)
        dev.destroy(a, heir)
        dev.destroy(b)
        for rule in dev.rules():
            dev.delete(rule.id)

    unchanged(500, work, TOLERANCE // 2)


@vs.test
def rules(dev):
    """Rules added and deleted"""

    def work(number):
        dev.delete(dev.add("accept", peer=f"10.0.0.{number & 255}", unix=f"/run/{number}"))

    unchanged(ROUNDS, work)


@vs.test
def configurations(dev):
    """Configurations applied, checked and refused"""
    services = [vs.config_service(f"n{n}", n and 1) for n in range(30)]
    rules = [vs.rule("accept", [1 + n % 30], peer=f"10.0.0.{n}") for n in range(100)]
    bad = [*rules, vs.rule("exec", path="x")]

    def work(number):
        dev.apply(services, rules, check=bool(number & 1))
        try:
            dev.apply(services, bad, prune=True)
        except vs.Refused:
            pass
        dev.apply(prune=True)

    unchanged(200, work)


@vs.test
def refusals(dev):
    """Calls that are refused"""
    dev.create("a")

    def work(_):
        for command, fields in (
            ("CREATE", {"name": "a", "id": vs.ANY}),
            ("CREATE", {"name": "b", "parent": 99, "id": vs.ANY}),
            ("DESTROY", {"id": 0, "move_to": vs.ANY}),
            ("CHANGE", {"id": 0, "what": 2, "parent": 1}),
            ("SET_ATTR", {"id": 0, "attr": 99}),
            ("RULE_DEL", {"id": 77}),
        ):
            try:
                dev.call(command, **fields)
            except vs.Refused:
                continue
            raise AssertionError(f"{command} was not refused")

    unchanged(ROUNDS // 4, work)


@vs.test
def openings():
    """The device opened and closed, now and then with calls"""

    def work(number):
        fd = os.open(vs.DEVICE, os.O_RDWR)
        if number & 7 == 0:
            vs.ioctl(fd, uapi.request(0, 4096), 0)
        os.close(fd)

    unchanged(ROUNDS, work)


@vs.gated
def tagged_tasks(dev):
    """Processes born and gone in a service, with the gates attached"""
    a = dev.create("a")

    def children():
        dev.place(os.getpid(), a)
        for _ in range(150):
            pid = os.fork()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)
        return ""

    unchanged(3, lambda _: vs.in_child(children))
    vs.eq(dev.stat(a).tasks, 0, "tasks left")


vs.main()
