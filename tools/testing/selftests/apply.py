#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A configuration is applied whole or not at all."""

import ctypes
import errno

import vs

import uapi


def settle(dev):
    """Makes a state with an example of everything, to be kept or replaced."""
    dev.apply(
        [
            vs.config_service("a", priority=2, cpu_weight=300),
            vs.config_service("b", 1, tasks_max=50),
            vs.config_service("c"),
        ],
        [
            vs.rule("accept", [1], [vs.REF(1)], peer="10.0.0.0", peer_len=104),
            vs.rule("exec", [], [3], path="/bin/x"),
        ],
    )
    return dev.state()


def tree(dev):
    by_id = {service.id: service for service in dev.services()}
    return {
        vs.text(s.name): (vs.text(by_id[s.parent].name), s.priority, s.detached)
        for s in by_id.values()
        if s.id
    }


@vs.test
def configuration_is_in_force(dev):
    """Services, attributes and rules become equal to the configuration"""
    settle(dev)
    weight, tasks = 1 << uapi.VS_ATTR_CPU_WEIGHT, 1 << uapi.VS_ATTR_TASKS_MAX
    vs.eq(tree(dev), {"a": ("root", 2, weight), "b": ("a", 0, tasks), "c": ("root", 0, 0)})
    a, b, c = (dev.find(name) for name in "abc")
    vs.eq((a.attr[uapi.VS_ATTR_CPU_WEIGHT], b.attr[uapi.VS_ATTR_CPU_WEIGHT]), (300, 300), "weights")
    vs.eq(
        (a.attr[uapi.VS_ATTR_TASKS_MAX], b.attr[uapi.VS_ATTR_TASKS_MAX]),
        (vs.UNLIMITED, 50),
        "limits",
    )
    first, second = dev.rules()
    vs.eq(
        vs.same_rule(first, vs.rule("accept", [a.id], [vs.REF(1)], peer="10.0.0.0", peer_len=104)),
        True,
        "first rule",
    )
    vs.eq(vs.same_rule(second, vs.rule("exec", [], [c.id], path="/bin/x")), True, "second rule")


@vs.test
def services_are_known_by_name(dev):
    """Existing services keep their ids and are changed; those not named stay, or go with prune"""
    settle(dev)
    ids = {name: dev.find(name).id for name in "abc"}
    dev.apply([vs.config_service("b", priority=4), vs.config_service("d", 1)])
    vs.eq(
        tree(dev), {"a": ("root", 2, 1), "b": ("root", 4, 0), "c": ("root", 0, 0), "d": ("b", 0, 0)}
    )
    vs.eq({name: dev.find(name).id for name in "abc"}, ids, "ids")
    vs.eq(dev.rules(), [], "rules are replaced as a whole")
    dev.apply([vs.config_service("d")], prune=True)
    vs.eq(tree(dev), {"d": ("root", 0, 0)})


@vs.test
def ids_can_be_asked_for(dev):
    """A service gets the id that the configuration says, and keeps it"""
    for _ in range(2):
        dev.apply(
            [vs.config_service("x", id=4003), vs.config_service("y", 1, id=vs.ANY)],
            [vs.rule("exec", [1])],
        )
        vs.eq((dev.find("x").id, getattr(dev.rules()[0], "from")[0]), (4003, 4003))
    dev.apply([vs.config_service("x")])
    vs.eq(dev.find("x").id, 4003)


@vs.test
def scope_is_the_whole_tree(dev):
    """A configuration is that of root: another scope is refused, be it a service or not"""
    settle(dev)
    before = dev.state()
    for scope in (dev.find("a").id, dev.info().ids_max, vs.ANY):
        argument = uapi.vs_apply(scope=scope)
        vs.refused(errno.EINVAL, "NONE", dev.call, "APPLY", argument)
        vs.eq(dev.state() == before, True, "state unchanged")


@vs.test
def parents_can_change_places(dev):
    """A child can become its parent's parent in one step"""
    dev.apply([vs.config_service("a"), vs.config_service("b", 1), vs.config_service("c", 2)])
    dev.apply([vs.config_service("c"), vs.config_service("b", 1), vs.config_service("a", 2)])
    vs.eq(tree(dev), {"a": ("b", 0, 0), "b": ("c", 0, 0), "c": ("root", 0, 0)})
    vs.eq([dev.find(name).depth for name in "abc"], [3, 2, 1], "depths")


@vs.test
def moved_up_and_extended(dev):
    """A service that is moved up from the deepest level can get a child in the same step"""
    dev.apply([vs.config_service(f"n{n}", n) for n in range(uapi.VS_DEPTH_MAX)])
    deepest = f"n{uapi.VS_DEPTH_MAX - 1}"
    dev.apply([vs.config_service(deepest), vs.config_service("child", 1)])
    vs.eq([dev.find(name).depth for name in (deepest, "child")], [1, 2], "depths")


@vs.test
def moved_down_with_others(dev):
    """Services that are not named move along with their parent, and must not get too deep"""
    dev.apply(
        [
            vs.config_service("a"),
            vs.config_service("b", 1),
            *(vs.config_service(f"n{n}", n and n + 2) for n in range(15)),
        ]
    )
    chain = [vs.config_service(f"n{n}", n) for n in range(15)]
    before = dev.state()
    refusal = vs.refused(errno.EMLINK, "DEPTH", dev.apply, [*chain, vs.config_service("a", 15)])
    vs.eq(refusal.argument.at_service in (0, 16), True, "place")
    vs.eq(dev.state() == before, True, "state unchanged")
    dev.apply([*chain, vs.config_service("a", 14)])
    vs.eq(dev.find("b").depth, uapi.VS_DEPTH_MAX, "depth of the one that is not named")


# each: services, rules, options; errno and reason; the reported places of service and rule
REFUSED = {
    "a bad name": ([vs.config_service("A")], [], {}, errno.EINVAL, "NAME_BAD", (1, 0)),
    "an empty name": (
        [vs.config_service("x"), vs.config_service("")],
        [],
        {},
        errno.EINVAL,
        "NAME_BAD",
        (2, 0),
    ),
    "a name twice": (
        [vs.config_service("x"), vs.config_service("y"), vs.config_service("x")],
        [],
        {},
        errno.EEXIST,
        "DUPLICATE",
        (3, 0),
    ),
    "a parent after its child": (
        [vs.config_service("x", 2), vs.config_service("y")],
        [],
        {},
        errno.EINVAL,
        "ORDER",
        (1, 0),
    ),
    "its own parent": ([vs.config_service("x", 1)], [], {}, errno.EINVAL, "ORDER", (1, 0)),
    "a parent that is not there": (
        [vs.config_service("x", 7)],
        [],
        {},
        errno.ENOENT,
        "NO_SERVICE",
        (1, 0),
    ),
    "an id that is too large": (
        [vs.config_service("x", id=0xFFFF)],
        [],
        {},
        errno.ERANGE,
        "RANGE",
        (1, 0),
    ),
    "an id in use": (
        [vs.config_service("x", id=4001), vs.config_service("y", id=4001)],
        [],
        {},
        errno.EEXIST,
        "ID_TAKEN",
        (2, 0),
    ),
    "another id than it has": (
        [vs.config_service("x"), vs.config_service("a", id=4002)],
        [],
        {},
        errno.EEXIST,
        "OTHER_ID",
        (2, 0),
    ),
    "a weight of 0": (
        [vs.config_service("x", cpu_weight=0)],
        [],
        {},
        errno.ERANGE,
        "RANGE",
        (1, 0),
    ),
    "a cap of 1": (
        [vs.config_service("a"), vs.config_service("x", cpu_cap=1)],
        [],
        {},
        errno.ERANGE,
        "RANGE",
        (2, 0),
    ),
    "too deep": (
        [vs.config_service(f"n{n}", n) for n in range(17)],
        [],
        {},
        errno.EMLINK,
        "DEPTH",
        (17, 0),
    ),
    "a gate without rules": (
        [],
        [vs.rule("exec"), vs.rule("wait")],
        {},
        errno.EINVAL,
        "GATE",
        (0, 2),
    ),
    "a property the gate has not": (
        [],
        [vs.rule("fork", path="/x")],
        {},
        errno.EINVAL,
        "PROPERTY",
        (0, 1),
    ),
    "an entity the gate has not": (
        [vs.config_service("a")],
        [vs.rule("exec", [vs.ANY, 1])],
        {},
        errno.EINVAL,
        "ENTITY",
        (0, 1),
    ),
    "a bad value": ([], [vs.rule("exec", path="x")], {}, errno.EINVAL, "VALUE", (0, 1)),
    "a service that is not there": (
        [vs.config_service("a")],
        [vs.rule("exec"), vs.rule("exec"), vs.rule("exec", [2])],
        {},
        errno.ENOENT,
        "NO_SERVICE",
        (0, 3),
    ),
    "too many shapes": (
        [],
        [vs.rule("packet", peer="::", peer_len=n) for n in range(65)],
        {},
        errno.ENOSPC,
        "FULL",
        (0, 65),
    ),
}


@vs.test
def refused_changes_nothing(dev):
    """A configuration refused for any cause leaves the old state byte for byte, and the place is
    reported
    """
    before = settle(dev)
    generation = dev.info().generation
    for cause, (services, rules, options, number, reason, places) in REFUSED.items():
        for more in ({}, {"prune": True}, {"check": True}):
            try:
                dev.apply(services, rules, **options, **more)
            except vs.Refused as refusal:
                vs.eq(
                    (errno.errorcode[refusal.errno], refusal.reason),
                    (errno.errorcode[number], reason),
                    cause,
                )
                vs.eq(
                    (refusal.argument.at_service, refusal.argument.at_rule),
                    places,
                    f"{cause}: place",
                )
            else:
                raise AssertionError(f"{cause} was not refused")
            vs.eq(dev.state() == before, True, f"{cause}: state unchanged")
            vs.eq(dev.info().generation, generation, f"{cause}: generation")


@vs.test
def faults_change_nothing(dev):
    """An address that goes bad in the middle of the rules leaves the old state byte for byte"""
    import mmap

    before = settle(dev)
    area = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    vs.eq(
        libc.mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE), 0),
        0,
        "mprotect",
    )
    size = ctypes.sizeof(uapi.vs_rule)
    count = mmap.PAGESIZE // size
    first = start + mmap.PAGESIZE - count * size
    ctypes.memmove(first, bytes(vs.rule("exec")) * count, count * size)
    services = (uapi.vs_config_service * 1)(vs.config_service("new"))
    for rules in (count, count + 1):
        argument = uapi.vs_apply(
            services=ctypes.addressof(services),
            nr_services=1,
            rules=first,
            nr_rules=rules,
            service_size=ctypes.sizeof(uapi.vs_config_service),
            rule_size=size,
        )
        try:
            dev.call("APPLY", argument)
        except vs.Refused as refusal:
            vs.eq((refusal.errno, rules), (errno.EFAULT, count + 1), "refusal")
            vs.eq(dev.state() == before, True, "state unchanged")
        else:
            vs.eq(rules, count, "accepted")
            before = dev.state()


@vs.test
def check_says_and_changes_nothing(dev):
    """With the flag for checking, a good configuration succeeds and changes nothing"""
    before, generation = settle(dev), dev.info().generation
    dev.apply(
        [vs.config_service("x"), vs.config_service("y", 1)],
        [vs.rule("exec", [2])],
        check=True,
        prune=True,
    )
    vs.eq(dev.state() == before, True, "state unchanged")
    vs.eq(dev.info().generation, generation, "generation")


@vs.test
def same_again_is_the_same(dev):
    """Applying a configuration again changes no service"""
    settle(dev)
    services = [bytes(service) for service in dev.services()]
    settle(dev)
    vs.eq([bytes(service) for service in dev.services()] == services, True, "services")


@vs.gated
def prune_spares_the_busy(dev):
    """A service that is not named but has a task: EBUSY, nothing is changed"""
    before = settle(dev)
    with vs.Sleeper() as pid:
        dev.place(pid, dev.find("b").id)
        vs.refused(errno.EBUSY, "HAS_TASKS", dev.apply, [vs.config_service("c")], prune=True)
        vs.eq(dev.state() == before, True, "state unchanged")
        vs.eq(dev.stat(dev.find("b").id).tasks, 1, "tasks")
    vs.until(lambda: not dev.stat(dev.find("b").id).tasks, what="b has no task")
    dev.apply([vs.config_service("c")], prune=True)
    vs.eq(list(tree(dev)), ["c"])


@vs.test
def large_configurations(dev):
    """A thousand services and ten thousand rules are applied at once"""
    services = [vs.config_service(f"s{n}", n // 2 if n < 64 else 0) for n in range(1000)]
    rules = [
        vs.rule(
            "accept", [1 + n % 1000], [vs.REF(1)], peer=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        )
        for n in range(10000)
    ]
    dev.apply(services, rules)
    info = dev.info()
    vs.eq((info.services, info.rules), (1001, 10000))
    listed = dev.rules(room=1000)
    vs.eq(
        [bytes(rule.peer) for rule in listed] == [bytes(rule.peer) for rule in rules], True, "order"
    )


vs.main()
