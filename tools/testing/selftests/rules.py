#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Rules: which are accepted, which one wins, how they are listed and tried."""

import ctypes
import errno

import vs

import uapi

TASK = ("uid", "gid", "cgroup")
ENDS = ("proto", "local", "local_port", "peer", "peer_port")
# the properties that the header gives each gate
GATES = {
    "fork": TASK,
    "exec": ("path", *TASK),
    "setuid": TASK,
    "setgid": TASK,
    "socket": ("proto", *TASK),
    "socketpair": ("proto", *TASK),
    "connect": (*ENDS, "unix", *TASK),
    "accept": (*ENDS, "unix", *TASK),
    "send": (*ENDS, "unix", *TASK),
    "recv": (*ENDS, "unix", *TASK),
    "packet": (*ENDS, "iface"),
    "hint": (*ENDS, "unix", *TASK),
}
VALUES = {
    "path": "/usr/bin/x",
    "unix": "/run/x.sock",
    "cgroup": "/a.slice",
    "uid": 7,
    "gid": 8,
    "proto": "tcp",
    "local": "10.0.0.1",
    "local_port": 80,
    "peer": "fe80::1",
    "peer_port": 99,
    "iface": "eth0",
}
NO_RULE = uapi.VS_LIST_START


def winner(dev, gate, left=(vs.ROOT,), **properties):
    """The number of the rule that wins, or None."""
    number = dev.try_call(gate, left, **properties).rule
    return None if number == NO_RULE else number


@vs.test
def every_property_of_every_gate(dev):
    """Each gate takes the properties the header gives it, and no others"""
    for gate, has in GATES.items():
        for name, value in VALUES.items():
            if name in has:
                wanted = vs.rule(gate, **{name: value})
                number = dev.call("RULE_ADD", wanted).id
                [got] = dev.rules()
                vs.eq(vs.same_rule(got, wanted), True, f"{gate} {name}: listed as it was added")
                vs.eq((got.id, got.hits), (number, 0))
                dev.delete(number)
            else:
                vs.refused(errno.EINVAL, "PROPERTY", dev.add, gate, **{name: value})


@vs.test
def entities_of_every_gate(dev):
    """Each gate takes as many entities as the header gives it"""
    a = dev.create("a")
    for gate, count in vs.ENTITIES.items():
        for place in range(uapi.VS_ENTITIES):
            before = [vs.ANY] * place
            for left, right in (([*before, a], []), ([], [*before, a])):
                # a received message keeps its sender's VS, and a socket in a hint its owner
                keeps = right and (gate, place) in (("recv", 2), ("hint", 1))
                if place < count and not keeps:
                    dev.delete(dev.add(gate, left, right))
                else:
                    vs.refused(errno.EINVAL, "ENTITY", dev.add, gate, left, right)
            if place < count:
                dev.delete(dev.add(gate, [], [vs.REF(place)]))
            else:
                vs.refused(errno.EINVAL, "ENTITY", dev.add, gate, [], [vs.REF(place)])
    vs.refused(errno.EINVAL, "ENTITY", dev.add, "recv", [], [vs.REF(3)])


@vs.test
def messages_sent(dev):
    """send => msg= is refused with a proto by which a message cannot be told from its socket: all
    but TCP, UDP, unix streams, unix datagrams and queues
    """
    a = dev.create("a")
    for proto in uapi.enums["vs_proto"][: uapi.VS_PROTO_COUNT]:
        number = getattr(uapi, proto)
        dev.delete(dev.add("send", [], [a, a], proto=number))
        if number in (
            uapi.VS_PROTO_TCP,
            uapi.VS_PROTO_UDP,
            uapi.VS_PROTO_UNIX_STREAM,
            uapi.VS_PROTO_UNIX_DGRAM,
            uapi.VS_PROTO_QUEUE,
        ):
            dev.delete(dev.add("send", [], [vs.ANY, vs.ANY, a], proto=number))
        else:
            vs.refused(
                errno.EINVAL, "ENTITY", dev.add, "send", [], [vs.ANY, vs.ANY, a], proto=number
            )
    dev.add("send", [], [vs.ANY, vs.ANY, a])


@vs.test
def gates_without_rules(dev):
    """exit, close, wait, read and numbers beyond the gates take no rules"""
    for gate in ("exit", "close", "wait", "read"):
        vs.refused(errno.EINVAL, "GATE", dev.add, gate)
    for number in (uapi.VS_GATE_COUNT, uapi.VS_GATE_MAX, 0x10000, 0xFFFFFFFF):
        vs.refused(
            errno.EINVAL, "GATE", dev.call, "RULE_ADD", vs.fill(vs.rule("exec"), gate=number)
        )


@vs.test
def left_names_services_only(dev):
    """On the left only a service or any; on the right also entities and home"""
    a = dev.create("a")
    for special in (vs.HOME, vs.REF(0), vs.REF(1), dev.info().ids_max, 0xFFFF, a + 5):
        try:
            dev.add("recv", [special])
        except vs.Refused as refusal:
            vs.eq(refusal.errno in (errno.ENOENT, errno.EINVAL), True, str(refusal))
        else:
            raise AssertionError(f"{special:#x} was taken on the left")
    for special in (dev.info().ids_max, 0xFFF0, 0xFFFF, 0xFFFFFFEF, 0xFFFFFFF9, 0xFFFFFFFE):
        try:
            dev.add("recv", [], [special])
        except vs.Refused as refusal:
            vs.eq(refusal.errno in (errno.ENOENT, errno.EINVAL), True, str(refusal))
        else:
            raise AssertionError(f"{special:#x} was taken on the right")
    vs.refused(errno.ENOENT, "NO_SERVICE", dev.add, "exec", [a + 5])
    vs.refused(errno.ENOENT, "NO_SERVICE", dev.add, "exec", [], [a + 5])
    vs.eq(dev.rules(), [])


@vs.test
def values_are_checked(dev):
    """Malformed values: EINVAL"""
    long = "/" + "x" * (uapi.VS_PATH_LEN - 2)
    dev.add("exec", path=long)
    dev.add("connect", unix="@abstract")
    dev.add("connect", unix="@dir/*")
    wrong = (
        ("exec", {"path": long + "y"}),
        ("exec", {"path": ""}),
        ("exec", {"path": "relative"}),
        ("exec", {"path": "@x"}),
        ("connect", {"unix": "relative"}),
        ("connect", {"unix": ""}),
        ("exec", {"cgroup": "x"}),
        ("exec", {"cgroup": ""}),
        ("packet", {"iface": ""}),
        ("packet", {"iface": "x" * 16}),
        ("packet", {"proto": uapi.VS_PROTO_COUNT}),
        ("packet", {"proto": 255}),
        ("packet", {"local": "::", "local_len": 129}),
        ("packet", {"peer": "::", "peer_len": 255}),
    )
    for gate, properties in wrong:
        vs.refused(errno.EINVAL, "VALUE", dev.add, gate, **properties)
    vs.refused(
        errno.EINVAL,
        "PROPERTY",
        dev.call,
        "RULE_ADD",
        vs.fill(vs.rule("exec"), props=uapi.VS_P_ALL + 1),
    )
    vs.eq(len(dev.rules()), 3)


@vs.test
def priority_wins_first(dev):
    """The rule naming the service of highest priority wins over more conditions and over age"""
    low, high, any_ = (
        dev.create("low", priority=1),
        dev.create("high", priority=5),
        dev.create("any"),
    )
    anybody = dev.add("recv", [], [], uid=1, peer_port=5, proto="tcp")
    first = dev.add("recv", [low], [], uid=1)
    vs.eq(
        winner(dev, "recv", [low], uid=1, peer_port=5, proto="tcp"),
        first,
        "one that names any beats none",
    )
    second = dev.add("recv", [vs.ANY, high], [])
    vs.eq(
        winner(dev, "recv", [low, high], uid=1, peer_port=5, proto="tcp"),
        second,
        "the higher priority",
    )
    vs.eq(winner(dev, "recv", [low, any_], uid=1, peer_port=5, proto="tcp"), first)
    vs.eq(winner(dev, "recv", [any_, any_], uid=1, peer_port=5, proto="tcp"), anybody)
    dev.set_priority(low, 6)
    vs.eq(
        winner(dev, "recv", [low, high], uid=1, peer_port=5, proto="tcp"),
        first,
        "after the priorities changed",
    )
    dev.set_priority(low, -6)
    vs.eq(
        winner(dev, "recv", [low, any_], uid=1, peer_port=5, proto="tcp"),
        first,
        "a negative one still beats none",
    )


@vs.test
def specific_wins_next(dev):
    """Of rules with equal priority, most conditions win, then longer prefixes and deeper paths"""
    one = dev.add("exec", path="/usr/bin/x")
    two = dev.add("exec", path="/usr/*", uid=5)
    vs.eq(winner(dev, "exec", path="/usr/bin/x", uid=5), two, "more conditions")
    vs.eq(winner(dev, "exec", path="/usr/bin/x", uid=6), one)
    deep = dev.add("exec", path="/usr/bin/*")
    vs.eq(winner(dev, "exec", path="/usr/bin/y"), deep, "the deeper directory")
    vs.eq(winner(dev, "exec", path="/usr/bin/x"), one, "the whole path")
    wide = dev.add("packet", peer="10.0.0.0", peer_len=104)
    narrow = dev.add("packet", peer="10.1.0.0", peer_len=112)
    vs.eq(winner(dev, "packet", peer="10.1.2.3"), narrow, "the longer prefix")
    vs.eq(winner(dev, "packet", peer="10.2.2.3"), wide)
    vs.eq(winner(dev, "packet", peer="11.1.2.3"), None)


@vs.test
def older_wins_last(dev):
    """Of rules that are equal in all else, the older one wins"""
    first = dev.add("connect", uid=5)
    second = dev.add("connect", gid=6)
    vs.eq(winner(dev, "connect", uid=5, gid=6), first)
    dev.delete(first)
    vs.eq(winner(dev, "connect", uid=5, gid=6), second)
    again = dev.add("connect", uid=5)
    vs.eq(again > second, True, "numbers grow with age")
    vs.eq(winner(dev, "connect", uid=5, gid=6), second)
    equal = dev.add(
        "connect",
        gid=6,
    )
    vs.eq(winner(dev, "connect", gid=6), second, "of two alike the older")
    dev.delete(second)
    vs.eq(winner(dev, "connect", gid=6), equal, "of two alike the one that is left")


@vs.test
def prefixes_match_bit_by_bit(dev):
    """An address matches a prefix by exactly its bits, IPv4 and IPv6"""
    for address, length, inside, outside in (
        ("10.1.128.0", 96 + 17, "10.1.255.9", "10.1.127.9"),
        ("10.1.2.3", 128, "10.1.2.3", "10.1.2.2"),
        ("fe80::", 10, "febf::1", "fec0::1"),
        ("2001:db8::", 33, "2001:db8:7fff::1", "2001:db8:8000::1"),
        ("0.0.0.0", 96, "255.0.0.1", "::1"),
        ("::", 0, "255.0.0.1", None),
        ("::1", 128, "::1", "::2"),
    ):
        for field in ("local", "peer"):
            number = dev.add("connect", **{field: address, field + "_len": length})
            vs.eq(
                winner(dev, "connect", **{field: inside}), number, f"{inside} in {address}/{length}"
            )
            if outside:
                vs.eq(
                    winner(dev, "connect", **{field: outside}),
                    None,
                    f"{outside} not in {address}/{length}",
                )
            vs.eq(winner(dev, "connect"), None, "without an address")
            dev.delete(number)


@vs.test
def paths_match_whole_names(dev):
    """A directory with /* matches all below it, nothing else"""
    for field, gate in (("path", "exec"), ("cgroup", "exec"), ("unix", "connect")):
        number = dev.add(gate, **{field: "/srv/app/*"})
        for path in ("/srv/app/x", "/srv/app/x/y/z", "/srv/app/*"):
            vs.eq(winner(dev, gate, **{field: path}), number, f"{field} {path}")
        for path in ("/srv/app", "/srv/app/", "/srv/apple", "/srv/ap/x", "/", "/srv/x/app/y"):
            vs.eq(winner(dev, gate, **{field: path}), None, f"{field} {path}")
        dev.delete(number)
        number = dev.add(gate, **{field: "/*"})
        vs.eq(winner(dev, gate, **{field: "/x"}), number, f"{field} /*")
        dev.delete(number)
        number = dev.add(gate, **{field: "/srv/a*"})
        vs.eq(winner(dev, gate, **{field: "/srv/app"}), None, "a star within a name is a star")
        vs.eq(winner(dev, gate, **{field: "/srv/a*"}), number)
        dev.delete(number)
    number = dev.add("connect", unix="@x")
    vs.eq((winner(dev, "connect", unix="@x"), winner(dev, "connect", unix="/x")), (number, None))


@vs.test
def missing_properties_do_not_match(dev):
    """A rule that asks for a property which the call does not have does not match"""
    for name, value in VALUES.items():
        for gate, has in GATES.items():
            if name in has:
                number = dev.add(gate, **{name: value})
                vs.eq(winner(dev, gate), None, f"{gate} without {name}")
                vs.eq(winner(dev, gate, **{name: value}), number, f"{gate} with {name}")
                dev.delete(number)


@vs.test
def right_sides(dev):
    """Each entity gets the service that the right side names"""
    home, b, c, work = (dev.create(name) for name in ("home", "b", "c", "work"))
    for right, wanted in (
        ([vs.REF(1), vs.REF(2), vs.REF(0)], [b, c, work]),
        ([c, vs.ANY, vs.HOME], [c, b, home]),
        ([vs.ANY, vs.ANY, vs.ANY], [home, b, c]),
        ([vs.HOME, b, b], [home, b, b]),
    ):
        number = dev.add("send", [home], right)
        got = dev.try_call("send", [home, b, c], work)
        vs.eq(list(got.to), wanted, f"right side {right}")
        vs.eq((got.rule, got.matching), (number, 1))
        dev.delete(number)
    vs.eq(
        list(dev.try_call("send", [home, b, c], work).to), [home, b, c], "no rule: nothing changes"
    )
    dev.add("recv", [home], [vs.REF(2)])
    vs.eq(
        dev.try_call("recv", [home, b, vs.ROOT], work).to[0],
        home,
        "nobody's message: the task goes home",
    )
    dev.add("recv", [work], [b])
    vs.eq(dev.try_call("recv", [home, b, c], work).to[0], c, "a task is known by its home")
    dev.add("fork", [home], [vs.ANY, vs.ANY, vs.REF(0)])
    vs.eq(list(dev.try_call("fork", [home, home, work], work).to), [home, home, work], "fork")


@vs.test
def trying_counts_nothing(dev):
    """Trying a call has no effects, and reports how many rules match"""
    dev.add("exec", uid=1)
    dev.add("exec", gid=1)
    dev.add("exec", gid=2)
    got = dev.try_call("exec", uid=1, gid=1)
    vs.eq(got.matching, 2, "matching")
    vs.within(got.shapes, 1, 2, "look-ups")
    vs.eq([rule.hits for rule in dev.rules()], [0, 0, 0], "hits")


@vs.test
def list_pages(dev):
    """Rules are listed by number, in pages of any size, with the same content"""
    numbers = [dev.add("exec", uid=n) for n in range(23)]
    vs.eq(numbers, sorted(set(numbers)), "numbers grow")
    for room in (1, 3, 22, 23, 24, 100):
        vs.eq(
            [(rule.id, rule.uid) for rule in dev.rules(room=room)],
            list(zip(numbers, range(23))),
            f"pages of {room}",
        )
    page = (uapi.vs_rule * 5)()
    first = dev.call(
        "RULE_LIST",
        items=ctypes.addressof(page),
        room=5,
        after=uapi.VS_LIST_START,
        item_size=ctypes.sizeof(uapi.vs_rule),
    )
    dev.delete(numbers[4])
    second = dev.call(
        "RULE_LIST",
        items=ctypes.addressof(page),
        room=5,
        after=first.after,
        item_size=ctypes.sizeof(uapi.vs_rule),
    )
    vs.eq(
        [rule.id for rule in page[: second.count]],
        numbers[5:10],
        "after the last one given was deleted",
    )
    vs.eq(dev.info().rules, 22)


@vs.test
def deleting(dev):
    """Deleting a rule that does not exist: ENOENT; numbers are not used again"""
    number = dev.add("exec")
    dev.delete(number)
    vs.refused(errno.ENOENT, "NO_RULE", dev.delete, number)
    vs.refused(errno.ENOENT, "NO_RULE", dev.delete, 0xFFFFFFFE)
    vs.eq(dev.add("exec") > number, True, "a larger number")


@vs.test
def look_ups_have_a_limit(dev):
    """A gate takes rules by which a call takes 64 look-ups, as in networks nested 64 deep, and
    refuses the next, not a network beside them
    """
    for length in range(uapi.VS_SHAPES_MAX):
        dev.add("packet", peer="::", peer_len=length)
    vs.refused(errno.ENOSPC, "FULL", dev.add, "packet", peer="::", peer_len=uapi.VS_SHAPES_MAX)
    dev.add("packet", peer="ff00::", peer_len=8)
    dev.add("connect", peer="::", peer_len=uapi.VS_SHAPES_MAX)
    vs.eq(len(dev.rules()), uapi.VS_SHAPES_MAX + 2)


@vs.test
def networks_of_all_lengths(dev):
    """A gate takes a provider's list of networks, of more than 64 lengths; a call is in its own"""
    networks = [(f"10.{n}.128.0", 96 + 17 + n % 15) for n in range(256)]
    networks += [(f"2001:db8:{n:x}::", 48 + n % 70) for n in range(700)]
    rules = [
        vs.rule("packet", [vs.ANY], [1 + n % 2], peer=address, peer_len=length)
        for n, (address, length) in enumerate(networks)
    ]
    names = [vs.config_service(name) for name in "ab"]
    dev.apply(names, rules)
    ids = [dev.find(name).id for name in "ab"]
    for n, (address, _) in enumerate(networks):
        got = dev.try_call("packet", [vs.ROOT], peer=address)
        vs.eq(got.to[0], ids[n % 2], address)
        vs.within(got.shapes, 1, 2, f"look-ups for {address}")
    vs.eq(dev.try_call("packet", [vs.ROOT], peer="2001:db9::").matching, 0)
    dev.apply(names, [])


@vs.test
def look_ups_do_not_grow(dev):
    """With 2,000 rules a look-up takes as many steps as with one"""
    a = dev.create("a")
    one = dev.add("accept", [a], peer="10.0.0.0", peer_len=128, peer_port=1)
    few = dev.try_call("accept", [a], peer="10.0.0.0", peer_port=1)
    rules = [
        vs.rule("accept", [1], peer=f"10.0.{n >> 8}.{n & 255}", peer_port=1) for n in range(2000)
    ]
    dev.apply([vs.config_service("a")], rules)
    many = dev.try_call("accept", [a], peer="10.0.7.207", peer_port=1)
    vs.eq(dev.rules(room=256)[1999].id, many.rule, "the last one wins")
    vs.eq((few.rule, few.shapes, many.shapes), (one, 1, 1), "look-ups")


vs.main()
