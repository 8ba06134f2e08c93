#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The tree of services and their attributes: create, destroy, rename, move, rank, detach, set,
share.
"""

import errno

import vs

import uapi


def attribute(dev, id, name):
    return dev.query(id).attr[uapi.constants["VS_ATTR_" + name.upper()]]


def names(dev):
    return sorted(vs.text(service.name) for service in dev.services())


def chain(dev, prefix, length, parent=vs.ROOT):
    """Makes services one below the other; returns their ids."""
    made = []
    for level in range(length):
        made.append(dev.create(f"{prefix}{level}", made[-1] if made else parent))
    return made


@vs.test
def root_is_there(dev):
    """Root is there, alone, with the defaults as its own"""
    [root] = dev.services()
    vs.eq(
        (root.id, root.parent, vs.text(root.name), root.depth, root.children, root.priority),
        (0, 0, "root", 0, 0, 0),
    )
    vs.eq(root.detached, (1 << uapi.VS_ATTR_COUNT) - 1, "detached")
    vs.eq(
        list(root.attr),
        [*vs.DEFAULTS.values()] + [0] * (uapi.VS_ATTR_MAX - uapi.VS_ATTR_COUNT),
        "attributes",
    )
    vs.eq(dev.info().services, 1, "count")


@vs.test
def created_is_found(dev):
    """A created service is found by id, by name and in the list"""
    a = dev.create("a", priority=-7)
    b = dev.create("b", a, priority=9)
    service = dev.query(b)
    vs.eq(
        (
            service.id,
            service.parent,
            vs.text(service.name),
            service.priority,
            service.depth,
            service.children,
        ),
        (b, a, "b", 9, 2, 0),
    )
    vs.eq(dev.query(a).children, 1)
    vs.eq(bytes(dev.find("b")), bytes(service), "found by name")
    vs.eq([s.id for s in dev.services()], sorted([0, a, b]), "list")
    vs.eq(dev.info().services, 3)


@vs.test
def names_are_checked(dev):
    """Names: 1 to 63 characters of a-z 0-9 . _ -, and unique"""
    for good in ("a", "0", "web-1.example_org", "x" * 63):
        dev.create(good)
    for bad in ("", "A", "a b", "a/b", "\xe9", "a\n", "x" * 64, "a\x01"):
        vs.refused(errno.EINVAL, "NAME_BAD", dev.create, bad.encode("latin-1"))
        vs.refused(errno.EINVAL, "NAME_BAD", dev.rename, dev.find("a").id, bad.encode("latin-1"))
    vs.refused(errno.EEXIST, "NAME_TAKEN", dev.create, "a")
    vs.refused(errno.EEXIST, "NAME_TAKEN", dev.create, "root")
    vs.eq(len(dev.services()), 5)


@vs.test
def absent_services(dev):
    """A service that does not exist: ENOENT"""
    a = dev.create("a")
    gone = dev.create("gone")
    dev.destroy(gone)
    for id in (
        gone,
        dev.info().ids_max - 1,
        dev.info().ids_max,
        0x10000 + a,
        vs.REF(0),
        vs.HOME,
        0xFFFFFFFE,
    ):
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.create, "b", id)
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.query, id)
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.stat, id)
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.destroy, id)
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.destroy, a, id)
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.rename, id, "b")
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.move, a, id)
        vs.refused(errno.ENOENT, "NO_SERVICE", dev.detach, id, "tasks_max")
    vs.refused(errno.ENOENT, "NO_SERVICE", dev.find, "gone")


@vs.test
def root_stays(dev):
    """Root cannot be destroyed, renamed, moved, or share; its attributes and priority can be set"""
    a = dev.create("a")
    vs.refused(errno.EINVAL, "ROOT", dev.destroy, vs.ROOT)
    vs.refused(errno.EINVAL, "ROOT", dev.destroy, vs.ROOT, a)
    vs.refused(errno.EINVAL, "ROOT", dev.rename, vs.ROOT, "base")
    vs.refused(errno.EINVAL, "ROOT", dev.move, vs.ROOT, a)
    vs.refused(errno.EINVAL, "ROOT", dev.share, vs.ROOT, "tasks_max")
    dev.set(vs.ROOT, "cpu_weight", 7)
    vs.eq(attribute(dev, a, "cpu_weight"), 7, "shared by a")
    dev.set(vs.ROOT, "cpu_weight", 100)
    dev.set_priority(vs.ROOT, 3)
    vs.eq(dev.query(vs.ROOT).priority, 3)
    dev.set_priority(vs.ROOT, 0)


@vs.test
def depth_has_a_limit(dev):
    """16 levels below root and no more, by creating and by moving"""
    ids = chain(dev, "d", uapi.VS_DEPTH_MAX)
    vs.eq(dev.query(ids[-1]).depth, uapi.VS_DEPTH_MAX)
    vs.refused(errno.EMLINK, "DEPTH", dev.create, "deeper", ids[-1])
    pair = chain(dev, "e", 2)
    vs.refused(errno.EMLINK, "DEPTH", dev.move, pair[0], ids[-2])
    dev.move(pair[0], ids[-3])
    vs.eq(
        [dev.query(id).depth for id in pair],
        [uapi.VS_DEPTH_MAX - 1, uapi.VS_DEPTH_MAX],
        "depths after the move",
    )


@vs.test
def cycles_are_refused(dev):
    """A service cannot be put below itself"""
    a, b, c = chain(dev, "c", 3)
    for target in (a, b, c):
        vs.refused(errno.ELOOP, "CYCLE", dev.move, a, target)
    dev.move(c, vs.ROOT)
    dev.move(a, c)
    vs.eq([dev.query(id).parent for id in (a, b, c)], [c, a, vs.ROOT])
    vs.eq([dev.query(id).depth for id in (a, b, c)], [2, 3, 1])


@vs.test
def change_is_whole_or_nothing(dev):
    """A change of name, parent and priority of which one part is refused changes none"""
    a, b = chain(dev, "w", 2)
    before = dev.state()
    for spoilt in (
        {"name": "W", "parent": vs.ROOT},
        {"name": "new", "parent": b + 1000},
        {"name": "w1", "parent": vs.ROOT},
        {"name": "new", "parent": b},
    ):
        fields = {"id": a, "priority": 5, "what": 7, **spoilt}
        try:
            dev.call("CHANGE", **fields)
        except vs.Refused:
            vs.eq(dev.state() == before, True, "state unchanged")
        else:
            raise AssertionError(f"{spoilt} was not refused")
    dev.call("CHANGE", id=b, what=7, name="x", parent=vs.ROOT, priority=5)
    got = dev.query(b)
    vs.eq((vs.text(got.name), got.parent, got.priority, got.depth), ("x", vs.ROOT, 5, 1))


@vs.test
def names_are_free_again(dev):
    """A name is free again after a rename or a destruction"""
    a = dev.create("a")
    dev.rename(a, "b")
    again = dev.create("a")
    dev.destroy(a)
    dev.rename(again, "b")
    vs.eq(dev.find("b").id, again)
    dev.rename(again, "b")


@vs.test
def destroying_needs_an_empty_service(dev):
    """A service with children or rules is not destroyed, and their number is reported"""
    a = dev.create("a")
    b, c = dev.create("b", a), dev.create("c", a)
    refusal = vs.refused(errno.EBUSY, "HAS_CHILDREN", dev.destroy, a)
    vs.eq(refusal.argument.children, 2, "children")
    vs.refused(errno.EBUSY, "HAS_CHILDREN", dev.destroy, a, vs.ROOT)
    number = dev.add("exec", [b], [c], path="/bin/x")
    dev.add("exec", [c], [b])
    for id in (b, c):
        vs.eq(vs.refused(errno.EBUSY, "HAS_RULES", dev.destroy, id).argument.rules, 2, "rules")
    dev.delete(number)
    vs.eq(vs.refused(errno.EBUSY, "HAS_RULES", dev.destroy, b).argument.rules, 1, "rules")
    vs.eq(names(dev), ["a", "b", "c", "root"])


@vs.test
def destroyed_with_an_heir(dev):
    """destroy with move_to: the heir takes the rules over"""
    a, b, heir = (dev.create(name) for name in ("a", "b", "heir"))
    dev.add("exec", [a], [b], path="/bin/x")
    dev.add("accept", [b], [a])
    dev.destroy(a, heir)
    first, second = dev.rules()
    vs.eq((first.to[0], getattr(first, "from")[0]), (b, heir))
    vs.eq((second.to[0], getattr(second, "from")[0]), (heir, b))
    vs.eq(names(dev), ["b", "heir", "root"])
    vs.refused(errno.ENOENT, "NO_SERVICE", dev.destroy, a)


@vs.test
def heir_is_not_itself(dev):
    """A service cannot be its own heir"""
    a = dev.create("a")
    try:
        dev.destroy(a, a)
    except vs.Refused as refusal:
        vs.eq(refusal.errno in (errno.EINVAL, errno.ENOENT, errno.ELOOP), True, str(refusal))
    else:
        raise AssertionError("not refused")
    vs.eq(names(dev), ["a", "root"])


@vs.test
def attributes_are_shared(dev):
    """An attribute is the parent's until detached, then its own, then the parent's again"""
    a = dev.create("a")
    b = dev.create("b", a)
    for name, wanted in vs.DEFAULTS.items():
        vs.eq(attribute(dev, b, name), wanted, name)
        value = 50 if wanted == vs.UNLIMITED or wanted == 100 else errno.EPERM
        vs.refused(errno.EPERM, "SHARED", dev.set, a, name, value)
        dev.detach(a, name)
        vs.eq(attribute(dev, a, name), wanted, f"{name} when detached")
        dev.set(a, name, value)
        vs.eq((attribute(dev, a, name), attribute(dev, b, name)), (value, value), name)
        vs.eq(attribute(dev, vs.ROOT, name), wanted, f"root's {name}")
        dev.detach(b, name)
        dev.share(a, name)
        vs.eq(
            (attribute(dev, a, name), attribute(dev, b, name)),
            (wanted, value),
            f"{name} when shared again",
        )
    number = uapi.VS_ATTR_COUNT
    vs.eq((dev.query(a).detached, dev.query(b).detached), (0, (1 << number) - 1), "detached")


@vs.test
def attributes_follow_a_move(dev):
    """After a move a shared attribute is the new parent's"""
    a, b = dev.create("a"), dev.create("b")
    child = dev.create("child", a)
    for id, value in ((a, 11), (b, 22)):
        dev.detach(id, "tasks_max")
        dev.set(id, "tasks_max", value)
    vs.eq(attribute(dev, child, "tasks_max"), 11)
    dev.move(child, b)
    vs.eq(attribute(dev, child, "tasks_max"), 22)


@vs.test
def ranges_are_checked(dev):
    """Values outside an attribute's range: ERANGE, nothing is changed"""
    a = dev.create("a")
    good = {
        "cpu_weight": (1, 10000),
        "cpu_cap": (10, 100000, vs.UNLIMITED),
        "tasks_max": (0, 1, vs.UNLIMITED),
        "sockets_max": (0, vs.UNLIMITED),
        "tasks_errno": (1, 133),
        "sockets_errno": (1, errno.EMFILE),
        "accept_order": (0, 1),
    }
    bad = {
        "cpu_weight": (0, 10001, vs.UNLIMITED),
        "cpu_cap": (0, 9),
        "tasks_errno": (0, 134, vs.UNLIMITED),
        "sockets_errno": (0, 134, vs.UNLIMITED),
        "accept_order": (2, vs.UNLIMITED),
    }
    for name, values in good.items():
        dev.detach(a, name)
        for value in values:
            dev.set(a, name, value)
            vs.eq(attribute(dev, a, name), value, name)
        for value in bad.get(name, ()):
            vs.refused(errno.ERANGE, "RANGE", dev.set, a, name, value)
            vs.eq(attribute(dev, a, name), values[-1], f"{name} after a refusal")


@vs.test
def list_pages(dev):
    """A list comes in pages of any size, by id, also when it changes in between"""
    ids = [dev.create(f"s{n}") for n in range(25)]
    whole = [service.id for service in dev.services(room=1000)]
    vs.eq(whole, sorted([0, *ids]))
    for room in (1, 2, 7, 25, 26, 27):
        vs.eq([service.id for service in dev.services(room=room)], whole, f"pages of {room}")
    page = (uapi.vs_service * 10)()
    import ctypes

    first = dev.call(
        "LIST",
        items=ctypes.addressof(page),
        room=10,
        after=uapi.VS_LIST_START,
        item_size=ctypes.sizeof(uapi.vs_service),
    )
    vs.eq((first.count, first.after), (10, whole[9]))
    dev.destroy(whole[9])
    second = dev.call(
        "LIST",
        items=ctypes.addressof(page),
        room=10,
        after=first.after,
        item_size=ctypes.sizeof(uapi.vs_service),
    )
    vs.eq(
        [service.id for service in page[: second.count]],
        whole[10:20],
        "after the last one given was destroyed",
    )
    empty = dev.call(
        "LIST", items=0, room=0, after=uapi.VS_LIST_START, item_size=ctypes.sizeof(uapi.vs_service)
    )
    vs.eq(empty.count, 0, "no room")


@vs.test
def generation_grows(dev):
    """The generation grows with each change and only then"""

    def grown(function, *arguments):
        before = dev.info().generation
        result = function(*arguments)
        vs.eq(dev.info().generation > before, True, f"{function.__name__}{arguments}")
        return result

    a = grown(dev.create, "a")
    grown(dev.rename, a, "b")
    grown(dev.set_priority, a, 4)
    grown(dev.detach, a, "cpu_weight")
    grown(dev.set, a, "cpu_weight", 7)
    grown(dev.share, a, "cpu_weight")
    rule = grown(dev.add, "exec", [a], [vs.HOME])
    grown(dev.delete, rule)
    grown(dev.destroy, a)
    before = dev.info().generation
    dev.services()
    dev.rules()
    dev.stat(vs.ROOT)
    dev.try_call("exec", path="/bin/x")
    vs.eq(dev.info().generation, before, "after questions")


@vs.test
def statistics_begin_at_zero(dev):
    """A new service has done nothing"""
    a = dev.create("a")
    got = dev.stat(a)
    vs.eq(
        [
            getattr(got, name)
            for name, _ in got._fields_
            if name not in ("id", "reason", "refused", "ends", "hits")
        ],
        [0] * 9,
    )
    vs.eq(
        (list(got.refused), list(got.ends), list(got.hits)),
        ([0] * uapi.VS_RESOURCE_MAX, [0] * uapi.VS_END_MAX, [0] * uapi.VS_GATE_MAX),
    )


vs.main()
