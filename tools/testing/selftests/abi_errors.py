#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every command of /dev/vsctl against arguments that are not what they should be.

The base of each case is a call that works (or, if it needs gates, one that gets as far as possible
without them). So a refusal is for the one thing that was changed, and has changed nothing.
"""

import ctypes
import errno
import itertools
import mmap
import os
import socket

import vs

import uapi

_serial = itertools.count()


def sound(dev, command):
    """A fresh argument for `command`, as a careful caller would fill it. It keeps the memory that
    it points to alive.
    """
    name = f"n{next(_serial)}"
    kind = uapi.commands["VS_IOC_" + command][1]
    made = kind()
    made.kept = None
    if command == "CREATE":
        vs.fill(made, name=name, id=vs.ANY)
    elif command == "DESTROY":
        vs.fill(made, id=dev.create(name), move_to=vs.ANY)
    elif command == "CHANGE":
        vs.fill(made, id=dev.create(name), what=uapi.VS_CHANGE_PRIORITY, priority=3)
    elif command == "SET_ATTR":
        vs.fill(made, id=dev.create(name), op=uapi.VS_ATTR_DETACH, attr=uapi.VS_ATTR_TASKS_MAX)
    elif command in ("LIST", "RULE_LIST"):
        item = uapi.vs_service if command == "LIST" else uapi.vs_rule
        made.kept = (item * 4)()
        vs.fill(
            made,
            items=ctypes.addressof(made.kept),
            room=4,
            after=uapi.VS_LIST_START,
            item_size=ctypes.sizeof(item),
        )
    elif command == "RULE_ADD":
        made = vs.rule("exec", right=[vs.HOME], path="/bin/" + name)
    elif command == "RULE_DEL":
        vs.fill(made, id=dev.add("exec", right=[vs.HOME], path="/bin/" + name))
    elif command == "RULE_TEST":
        made.kept = vs.rule("exec", [vs.ROOT], path="/bin/x", uid=0)
        vs.fill(made, call=ctypes.addressof(made.kept), call_size=ctypes.sizeof(made.kept))
    elif command == "PLACE_TASK":
        made.kept = Owned(os.pidfd_open(os.getpid()))
        vs.fill(made, pidfd=made.kept.fd, id=vs.ROOT)
    elif command in ("PLACE_SOCKET", "SOCKET"):
        made.kept = socket.socket()
        vs.fill(made, fd=made.kept.fileno(), id=vs.ROOT)
    elif command == "GATE":
        vs.fill(made, gate=uapi.VS_GATE_PACKET, on=0)
    elif command == "APPLY":
        made.kept = (
            (uapi.vs_config_service * 1)(vs.config_service(name)),
            (uapi.vs_rule * 1)(vs.rule("exec", right=[1])),
        )
        vs.fill(
            made,
            services=ctypes.addressof(made.kept[0]),
            nr_services=1,
            rules=ctypes.addressof(made.kept[1]),
            nr_rules=1,
            service_size=ctypes.sizeof(uapi.vs_config_service),
            rule_size=ctypes.sizeof(uapi.vs_rule),
        )
    return made


class Owned:
    """A file descriptor that is closed when it is not needed any more."""

    def __init__(self, fd):
        self.fd = fd

    def __del__(self):
        os.close(self.fd)


COMMANDS = [name.removeprefix("VS_IOC_") for name in uapi.commands]


def request(command, size=None):
    number, kind = uapi.commands["VS_IOC_" + command]
    return uapi.request(number, ctypes.sizeof(kind) if size is None else size)


def issue(dev, command, argument):
    """The errno that `command` ends with."""
    return vs.ioctl(dev.fd, request(command), ctypes.addressof(argument))


def longer(dev, command, size, tail):
    """The errno of a sound call with a structure of `size` bytes, with `tail` behind the
    structure's end; and that structure.
    """
    argument = sound(dev, command)
    known = ctypes.sizeof(argument)
    buffer = ctypes.create_string_buffer(bytes(argument) + tail.ljust(size - known, b"\0"), size)
    buffer.kept = argument
    return vs.ioctl(dev.fd, request(command, size), ctypes.addressof(buffer)), buffer


def unchanged(dev, function):
    """Checks that function() leaves everything that can be listed unchanged, the generation
    included.
    """
    before, generation = dev.state(), dev.info().generation
    result = function()
    vs.eq(dev.state() == before, True, "state unchanged")
    vs.eq(dev.info().generation, generation, "generation")
    return result


def name_of(number):
    return errno.errorcode.get(number, str(number))


@vs.test
def sound_calls_work(dev):
    """The calls that the other cases spoil work when they are not spoilt"""
    for command in COMMANDS:
        allowed = ("0", "ENOTCONN") if command.startswith("PLACE_") else ("0",)
        got = name_of(issue(dev, command, sound(dev, command)))
        if got not in allowed:
            raise AssertionError(f"{command}: {got}")


@vs.test
def unknown_commands(dev):
    """Unknown numbers, another magic, another direction: ENOTTY"""
    buffer = ctypes.create_string_buffer(16384)
    where = ctypes.addressof(buffer)
    count = len(COMMANDS)
    wrong = [uapi.request(number, 32) for number in (count, count + 1, 100, 255)]
    for command in COMMANDS:
        good = request(command)
        wrong += [
            good & 0x3FFFFFFF,
            good & 0x3FFFFFFF | 1 << 30,
            good & 0x3FFFFFFF | 2 << 30,
            good ^ 1 << 8,
        ]
    wrong += [0, 0xFFFFFFFF, 0x5401]
    for number in wrong:
        vs.eq(
            name_of(unchanged(dev, lambda n=number: vs.ioctl(dev.fd, n, where))),
            "ENOTTY",
            f"command {number:#x}",
        )


@vs.test
def shorter_structures(dev):
    """A structure shorter than version 1: EINVAL"""
    for command in COMMANDS:
        size = ctypes.sizeof(uapi.commands["VS_IOC_" + command][1])
        for short in {0, 1, 4, size // 2, size - 8, size - 1} - {size}:
            argument = sound(dev, command)
            got = unchanged(
                dev, lambda: vs.ioctl(dev.fd, request(command, short), ctypes.addressof(argument))
            )
            vs.eq(name_of(got), "EINVAL", f"{command} of {short} bytes")


@vs.test
def longer_structures_with_zeros(dev):
    """A longer structure whose unknown part is zero works, and that part is not written"""
    for command in COMMANDS:
        size = ctypes.sizeof(uapi.commands["VS_IOC_" + command][1])
        wanted = issue(dev, command, sound(dev, command))
        for more in (1, 8, 4096, 16383 - size):
            got, buffer = longer(dev, command, size + more, b"")
            vs.eq(name_of(got), name_of(wanted), f"{command} with {more} bytes more")
            vs.eq(bytes(buffer)[size:].strip(b"\0"), b"", f"{command}: the unknown part")


@vs.test
def longer_structures_with_content(dev):
    """A longer structure with a byte that is not zero anywhere in its unknown part: E2BIG"""
    for command in COMMANDS:
        size = ctypes.sizeof(uapi.commands["VS_IOC_" + command][1])
        for tail, more in ((b"\1", 1), (b"\0" * 7 + b"\x80", 8), (b"\0" * 5000 + b"\1", 8000)):
            dev.apply(prune=True)
            got, _ = longer(dev, command, size + more, tail)
            vs.eq(name_of(got), "E2BIG", f"{command} with {more} bytes more")


@vs.test
def reserved_fields(dev):
    """A reserved field that is not zero: EINVAL"""
    tried = set()
    for command in COMMANDS:
        probe = sound(dev, command)
        fields = [(name,) for name, _ in probe._fields_ if name.startswith("reserved")]
        if isinstance(probe, uapi.vs_rule_test):
            fields.append(("kept", "reserved1"))
        for path in fields:
            for value in (1, 0x80):
                argument = sound(dev, command)
                holder = argument
                for step in path[:-1]:
                    holder = getattr(holder, step)
                setattr(holder, path[-1], value)
                vs.eq(
                    name_of(unchanged(dev, lambda: issue(dev, command, argument))),
                    "EINVAL",
                    f"{command}.{path[-1]}",
                )
            tried.add(command)
    vs.eq(
        {"DESTROY", "CHANGE", "RULE_ADD", "RULE_DEL", "RULE_TEST", "APPLY", "TAGS"} <= tried,
        True,
        f"tried {tried}",
    )


@vs.test
def reserved_fields_in_configurations(dev):
    """A reserved field that is not zero in a configuration: EINVAL, and the place is reported"""

    def spoil_unknown_attribute(argument):
        argument.kept[0][0].attr[uapi.VS_ATTR_COUNT] = 1

    def spoil_last_attribute(argument):
        argument.kept[0][0].attr[uapi.VS_ATTR_MAX - 1] = 1

    def spoil_unknown_detached(argument):
        argument.kept[0][0].detached = 1 << uapi.VS_ATTR_COUNT

    def spoil_rule(argument):
        argument.kept[1][0].reserved1 = 1

    for spoil, place in (
        (spoil_last_attribute, (1, 0)),
        (spoil_unknown_attribute, (1, 0)),
        (spoil_unknown_detached, (1, 0)),
        (spoil_rule, (0, 1)),
    ):
        argument = sound(dev, "APPLY")
        spoil(argument)
        vs.eq(
            name_of(unchanged(dev, lambda: issue(dev, "APPLY", argument))), "EINVAL", spoil.__name__
        )
        vs.eq((argument.at_service, argument.at_rule), place, spoil.__name__)


@vs.test
def unknown_flags(dev):
    """Unknown flags, operations and choices: EINVAL"""
    wrong = {
        "CHANGE": {"what": 1 << 3},
        "SET_ATTR": {"op": uapi.VS_ATTR_OP_COUNT},
        "PLACE_TASK": {"flags": 1 << 1},
        "PLACE_SOCKET": {"flags": 1},
        "SOCKET": {"flags": 1},
        "APPLY": {"flags": 1 << 2},
        "GATE": {"gate": uapi.VS_GATE_COUNT, "on": 2},
        "TAGS": {"on": 2},
    }
    for command, fields in wrong.items():
        for name, value in fields.items():
            argument = sound(dev, command)
            setattr(argument, name, value | getattr(argument, name))
            vs.eq(
                name_of(unchanged(dev, lambda: issue(dev, command, argument))),
                "EINVAL",
                f"{command}.{name}",
            )
    argument = sound(dev, "SET_ATTR")
    argument.attr = uapi.VS_ATTR_COUNT
    vs.eq(
        name_of(unchanged(dev, lambda: issue(dev, "SET_ATTR", argument))), "EINVAL", "SET_ATTR.attr"
    )
    for op in (uapi.VS_ATTR_DETACH, uapi.VS_ATTR_SHARE):
        argument = vs.fill(sound(dev, "SET_ATTR"), op=op, value=5)
        vs.eq(
            name_of(unchanged(dev, lambda: issue(dev, "SET_ATTR", argument))),
            "EINVAL",
            "a value that is not asked for",
        )


@vs.test
def bad_pointers(dev):
    """Null, unmapped, kernel and half-mapped addresses: EFAULT"""
    page = mmap.PAGESIZE
    area = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    vs.eq(libc.mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0), 0, "mprotect")
    for command in COMMANDS:
        half = start + page - 4
        for where in (0, 8, half, start + page, 0xFFFF888000000000, (1 << 64) - 64):
            got = unchanged(dev, lambda w=where: vs.ioctl(dev.fd, request(command), w))
            vs.eq(name_of(got), "EFAULT", f"{command} at {where:#x}")


@vs.test
def bad_inner_pointers(dev):
    """Bad addresses of lists and configurations: EFAULT"""
    dev.add("exec", right=[vs.HOME])
    for command, field in (
        ("LIST", "items"),
        ("RULE_LIST", "items"),
        ("APPLY", "services"),
        ("APPLY", "rules"),
        ("RULE_TEST", "call"),
    ):
        for where in (0, 8, 0xFFFF888000000000, (1 << 64) - 64):
            argument = sound(dev, command)
            setattr(argument, field, where)
            vs.eq(
                name_of(unchanged(dev, lambda: issue(dev, command, argument))),
                "EFAULT",
                f"{command}.{field}",
            )


@vs.test
def item_sizes(dev):
    """Items shorter than version 1: EINVAL; longer items lie at their stride, filled up with
    zeros
    """
    services = [dev.create(name) for name in ("a", "b")]
    for command, kind in (("LIST", uapi.vs_service), ("RULE_LIST", uapi.vs_rule)):
        dev.add("exec", right=[vs.HOME])
        for short in (0, 4, ctypes.sizeof(kind) - 1):
            argument = vs.fill(sound(dev, command), item_size=short)
            vs.eq(
                name_of(issue(dev, command, argument)),
                "EINVAL",
                f"{command}, items of {short} bytes",
            )
        plain = dev.services() if command == "LIST" else dev.rules()
        stride = ctypes.sizeof(kind) + 24
        page = ctypes.create_string_buffer(b"\xaa" * stride * 4, stride * 4)
        argument = vs.fill(
            sound(dev, command), items=ctypes.addressof(page), item_size=stride, room=4
        )
        vs.eq(name_of(issue(dev, command, argument)), "0", command)
        vs.eq(argument.count, len(plain), f"{command}: count")
        for place, item in enumerate(plain):
            wanted = bytes(item) + bytes(24)
            vs.eq(
                bytes(page)[place * stride :][:stride] == wanted,
                True,
                f"{command}: item {place} as in a plain list",
            )
        rest = bytes(page)[len(plain) * stride :]
        vs.eq(rest.strip(b"\xaa"), b"", f"{command}: behind the last item")
    vs.eq(len(services), 2)
    for command, field in (
        ("APPLY", "service_size"),
        ("APPLY", "rule_size"),
        ("RULE_TEST", "call_size"),
    ):
        argument = sound(dev, command)
        setattr(argument, field, getattr(argument, field) - 1)
        vs.eq(name_of(unchanged(dev, lambda: issue(dev, command, argument))), "EINVAL", field)
    for command, field in (
        ("LIST", "item_size"),
        ("RULE_LIST", "item_size"),
        ("APPLY", "service_size"),
        ("APPLY", "rule_size"),
        ("RULE_TEST", "call_size"),
    ):
        for size in (mmap.PAGESIZE + 1, 0xFFFFFFFF):
            argument = vs.fill(sound(dev, command), **{field: size})
            vs.eq(
                name_of(unchanged(dev, lambda: issue(dev, command, argument))),
                "E2BIG",
                f"{command}.{field}",
            )


@vs.test
def longer_items_in_configurations(dev):
    """Longer items of a configuration: zeros at their end are accepted, else E2BIG, and the place
    is reported
    """
    for tail, wanted in ((b"\0" * 16, 0), (b"\0" * 15 + b"\1", errno.E2BIG)):
        one, two = (bytes(vs.config_service(name)) for name in ("a", "b"))
        table = ctypes.create_string_buffer(one + bytes(16) + two + tail, 2 * len(one) + 32)
        argument = uapi.vs_apply(
            services=ctypes.addressof(table),
            nr_services=2,
            service_size=len(one) + 16,
            rule_size=ctypes.sizeof(uapi.vs_rule),
            flags=uapi.VS_APPLY_CHECK,
        )
        vs.eq(name_of(issue(dev, "APPLY", argument)), name_of(wanted), "services")
        vs.eq(argument.at_service, 2 if wanted else 0, "place")
        rule = bytes(vs.rule("exec", right=[vs.HOME]))
        table = ctypes.create_string_buffer(rule + tail, len(rule) + 16)
        argument = uapi.vs_apply(
            rules=ctypes.addressof(table),
            nr_rules=1,
            rule_size=len(rule) + 16,
            service_size=len(one),
            flags=uapi.VS_APPLY_CHECK,
        )
        vs.eq(name_of(issue(dev, "APPLY", argument)), name_of(wanted), "rules")
        vs.eq(argument.at_rule, 1 if wanted else 0, "place")
        call = bytes(vs.rule("exec", [vs.ROOT]))
        table = ctypes.create_string_buffer(call + tail, len(call) + 16)
        argument = uapi.vs_rule_test(call=ctypes.addressof(table), call_size=len(call) + 16)
        vs.eq(name_of(issue(dev, "RULE_TEST", argument)), name_of(wanted), "a call")


@vs.test
def counts_beyond_limits(dev):
    """Configurations beyond the limits are refused before memory is allocated"""
    for field in ("nr_services", "nr_rules"):
        for count in (uapi.VS_RULES_MAX + 1, 0x80000000, 0xFFFFFFFF):
            argument = vs.fill(sound(dev, "APPLY"), **{field: count})
            vs.eq(
                name_of(unchanged(dev, lambda: issue(dev, "APPLY", argument))),
                "ENOSPC",
                f"{field} {count:#x}",
            )
            vs.eq(vs.why(argument.reason), "FULL")


@vs.test
def read_only_argument(dev):
    """An argument that cannot be written: EFAULT"""
    area = mmap.mmap(-1, mmap.PAGESIZE)
    where = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    vs.eq(
        libc.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ),
        0,
        "mprotect",
    )
    for command in ("INFO", "STAT"):
        vs.eq(name_of(vs.ioctl(dev.fd, request(command), where)), "EFAULT", command)


ASKING = ("INFO", "QUERY", "LIST", "STAT", "RULE_LIST", "RULE_TEST", "SOCKET")


def _answers(dev, asker, wanted, asking="0"):
    """Makes a function that issues all commands, those that only ask first. It returns those whose
    answer was not as wanted, nor `asking` for commands that ask.
    """
    arguments = {command: sound(dev, command) for command in COMMANDS}

    def issue_all():
        wrong = []
        for command in sorted(arguments, key=lambda command: command not in ASKING):
            got = name_of(issue(asker, command, arguments[command]))
            if got != (asking if command in ASKING else wanted):
                wrong.append(f"{command}: {got}")
        return ", ".join(wrong)

    return issue_all


def become_nobody():
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


@vs.test
def callers_without_the_right(dev):
    """A caller without CAP_SYS_ADMIN that was given the open device may ask; commands that change
    something are refused: EPERM
    """
    probe = _answers(dev, dev, "EPERM")

    def unprivileged():
        become_nobody()
        return probe()

    before = dev.state()
    vs.eq(vs.in_child(unprivileged), "", "answers")
    vs.eq(dev.state() == before, True, "state unchanged")


@vs.test
def root_of_another_user_namespace(dev):
    """CAP_SYS_ADMIN in another user namespace is not enough: EPERM"""
    probe = _answers(dev, dev, "EPERM")

    def namespaced():
        os.unshare(os.CLONE_NEWUSER)
        return probe()

    before = dev.state()
    vs.eq(vs.in_child(namespaced), "", "answers")
    vs.eq(dev.state() == before, True, "state unchanged")


@vs.test
def opened_for_one_thing(dev):
    """A device open for reading answers, and changes nothing even for root: EBADF; one open for
    writing alone does not answer
    """
    for flags, asking, changing in ((os.O_RDONLY, "0", "EBADF"), (os.O_WRONLY, "EBADF", None)):
        asker = vs.Device(flags=flags)
        try:
            if changing:
                probe = _answers(dev, asker, changing, asking)
                before = dev.state()
                vs.eq(probe(), "", "answers")
                vs.eq(dev.state() == before, True, "state unchanged")
            for command in ASKING:
                vs.eq(name_of(issue(asker, command, sound(dev, command))), asking, command)
        finally:
            asker.close()
    writer = vs.Device(flags=os.O_WRONLY)
    vs.eq(writer.create("written") != vs.ROOT, True, "open for writing")
    writer.close()


@vs.test
def readers_ask(dev):
    """A caller whose group may read the device can ask without a capability, and can neither write
    nor change anything
    """
    a = dev.create("a")
    os.chown(vs.DEVICE, 0, 65534)
    os.chmod(vs.DEVICE, 0o640)
    try:

        def reader():
            become_nobody()
            asker = vs.Device(flags=os.O_RDONLY)
            try:
                os.open(vs.DEVICE, os.O_RDWR)
            except PermissionError:
                pass
            else:
                return "opened for writing"
            return (
                [vs.text(service.name) for service in asker.services()],
                asker.stat(a).tasks,
                asker.info().services,
            )

        vs.eq(vs.in_child(reader), str((["root", "a"], 0, 2)))
    finally:
        os.chown(vs.DEVICE, 0, 0)
        os.chmod(vs.DEVICE, 0o600)


@vs.test
def whose_a_socket_is(dev):
    """SOCKET answers for sockets that can carry tags; for anything else EBADF, FD"""
    with socket.socket() as sock:
        vs.eq(dev.socket_of(sock), vs.ROOT)
    for fd in (-1, 10000, dev.fd):
        vs.refused(errno.EBADF, "FD", dev.call, "SOCKET", fd=fd)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        vs.refused(errno.EBADF, "FD", dev.socket_of, sock)


@vs.test
def device_is_roots():
    """Only root can open the device"""
    vs.eq(os.stat(vs.DEVICE).st_mode & 0o7777, 0o600, "mode")

    def unprivileged():
        os.setresuid(65534, 65534, 65534)
        try:
            os.open(vs.DEVICE, os.O_RDWR)
        except PermissionError:
            return "refused"
        return "opened"

    vs.eq(vs.in_child(unprivileged), "refused")


vs.main()
