# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library of selftests in Python: /dev/vsctl by raw ioctls, and TAP.

A test file defines cases with @vs.test and ends with vs.main(). Each case starts with no service
but root and no rule; its docstring is the title that TAP shows. Tests that call vsctl test vsctl;
this library speaks to the module directly.
"""

import ctypes
import errno
import inspect
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

import uapi
from uapi import constants

ANY, ROOT, HOME, UNLIMITED = uapi.VS_ANY, uapi.VS_ROOT, uapi.VS_HOME, uapi.VS_UNLIMITED
REF = uapi.VS_REF
DEVICE = "/dev/vsctl"
SLOWNESS = int(os.environ.get("VS_SLOWNESS", "1"))  # the factor for limits in this kernel

# root's attributes after loading, in the order of enum vs_attr
DEFAULTS = {
    "cpu_weight": 100,
    "cpu_cap": UNLIMITED,
    "tasks_max": UNLIMITED,
    "sockets_max": UNLIMITED,
    "tasks_errno": errno.EAGAIN,
    "sockets_errno": errno.ENOBUFS,
    "accept_order": 0,
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]


def ioctl(fd, request, address):
    """A raw ioctl: 0 or the errno."""
    return ctypes.get_errno() if _libc.ioctl(fd, request, address) < 0 else 0


def why(number):
    """The name of a reason, without the prefix VS_WHY_."""
    names = uapi.enums["vs_reason"]
    return names[number][7:] if number < len(names) else f"?{number}"


class Refused(Exception):
    """A command was refused: errno, reason (by its name, None if the command has none), and the
    argument as it came back.
    """

    def __init__(self, command, number, argument):
        self.errno, self.argument = number, argument
        self.reason = why(argument.reason) if hasattr(argument, "reason") else None
        super().__init__(f"{command}: {errno.errorcode.get(number, number)}, {self.reason}")


def fill(struct, **fields):
    """Sets fields of a structure; strings, bytes and sequences go into arrays."""
    for name, value in fields.items():
        if not hasattr(struct, name):
            raise TypeError(f"{type(struct).__name__} has no field {name}")
        target = getattr(struct, name)
        if isinstance(value, str):
            value = value.encode()
        if isinstance(target, ctypes.Array):
            if len(value) > len(target):
                raise ValueError(f"{name} takes {len(target)} values")
            for place, item in enumerate(value):
                target[place] = item
        else:
            setattr(struct, name, value)
    return struct


def text(array):
    """The string in an array of bytes."""
    return bytes(array).split(b"\0", 1)[0].decode()


def address(literal):
    """An IPv4 or IPv6 address as rules hold it: 16 bytes in network order."""
    import ipaddress

    parsed = ipaddress.ip_address(literal)
    return b"\0" * 10 + b"\xff\xff" + parsed.packed if parsed.version == 4 else parsed.packed


# how many entities a call of each gate has; the others take no rules
ENTITIES = {
    "fork": 3,
    "exec": 1,
    "setuid": 1,
    "setgid": 1,
    "socket": 2,
    "socketpair": 3,
    "connect": 2,
    "accept": 2,
    "send": 3,
    "recv": 3,
    "packet": 1,
    "hint": 2,
}


def rule(gate, left=(), right=(), **properties):
    """A struct vs_rule. left and right: ids by entity, caller first; missing ones are VS_ANY.

    A property is set by its field (uid=1, local="10.0.0.0", local_len=104, path="/usr/bin/x",
    unix="@name"); its bit in props is set with it.
    """
    made = uapi.vs_rule()
    wild = [ANY] * uapi.VS_ENTITIES
    fill(
        made,
        gate=constants["VS_GATE_" + gate.upper()],
        **{"from": [*left, *wild][: uapi.VS_ENTITIES], "to": [*right, *wild][: uapi.VS_ENTITIES]},
    )
    bits = {"local_port": "LPORT", "peer_port": "PPORT"}
    for name, value in properties.items():
        if name in ("local_len", "peer_len"):
            fill(made, **{name: value})
            continue
        if name in ("local", "peer"):
            if not made.local_len and name == "local":
                made.local_len = properties.get("local_len", 128)
            if not made.peer_len and name == "peer":
                made.peer_len = properties.get("peer_len", 128)
            value = address(value) if isinstance(value, str) else value
        if name == "proto" and isinstance(value, str):
            value = constants["VS_PROTO_" + value.upper().replace("-", "_")]
        made.props |= constants["VS_P_" + bits.get(name, name.upper())]
        fill(made, **{"path" if name == "unix" else name: value})
    return made


def same_rule(one, other):
    """Whether two rules say the same: number, hits and reason aside."""

    def essence(r):
        copy = type(r).from_buffer_copy(r)
        copy.id = copy.hits = copy.reason = 0
        return bytes(copy)

    return essence(one) == essence(other)


def config_service(name, parent=0, priority=0, id=0, **attributes):
    """A struct vs_config_service; attributes by enum name in lower case (cpu_weight=300) are
    detached ones.
    """
    made = fill(uapi.vs_config_service(), name=name, id=id, parent=parent, priority=priority)
    for attribute, value in attributes.items():
        number = constants["VS_ATTR_" + attribute.upper()]
        made.detached |= 1 << number
        made.attr[number] = value
    return made


class Device:
    """/dev/vsctl, a method for each command. Each raises Refused if the command is refused."""

    def __init__(self, path=DEVICE, flags=os.O_RDWR):
        self.fd = os.open(path, flags | os.O_CLOEXEC)

    def close(self):
        os.close(self.fd)

    def call(self, command, argument=None, **fields):
        """Issues VS_IOC_<command> with `fields` set in a fresh argument, or with the one given;
        returns it.
        """
        number, kind = uapi.commands["VS_IOC_" + command]
        argument = fill(kind() if argument is None else argument, **fields)
        failed = ioctl(
            self.fd, uapi.request(number, ctypes.sizeof(kind)), ctypes.addressof(argument)
        )
        if failed:
            raise Refused(command, failed, argument)
        return argument

    def info(self):
        return self.call("INFO")

    def create(self, name, parent=ROOT, priority=0, id=ANY):
        return self.call("CREATE", name=name, parent=parent, priority=priority, id=id).id

    def destroy(self, id, move_to=ANY):
        return self.call("DESTROY", id=id, move_to=move_to)

    def rename(self, id, name):
        self.call("CHANGE", id=id, what=uapi.VS_CHANGE_NAME, name=name)

    def move(self, id, parent):
        self.call("CHANGE", id=id, what=uapi.VS_CHANGE_PARENT, parent=parent)

    def set_priority(self, id, priority):
        self.call("CHANGE", id=id, what=uapi.VS_CHANGE_PRIORITY, priority=priority)

    def _attr(self, op, id, attribute, value=0):
        self.call(
            "SET_ATTR", id=id, op=op, attr=constants["VS_ATTR_" + attribute.upper()], value=value
        )

    def set(self, id, attribute, value):
        self._attr(uapi.VS_ATTR_SET, id, attribute, value)

    def detach(self, id, attribute):
        self._attr(uapi.VS_ATTR_DETACH, id, attribute)

    def share(self, id, attribute):
        self._attr(uapi.VS_ATTR_SHARE, id, attribute)

    def query(self, id):
        return self.call("QUERY", id=id).service

    def find(self, name):
        query = uapi.vs_query(id=ANY)
        fill(query.service, name=name)
        return self.call("QUERY", query).service

    def _list(self, command, kind, room):
        items, after = [], uapi.VS_LIST_START
        while True:
            page = (kind * room)()
            got = self.call(
                command,
                items=ctypes.addressof(page),
                room=room,
                after=after,
                item_size=ctypes.sizeof(kind),
            )
            items += [kind.from_buffer_copy(item) for item in page[: got.count]]
            if got.count < room:
                return items
            after = got.after

    def services(self, room=64):
        return self._list("LIST", uapi.vs_service, room)

    def rules(self, room=64):
        return self._list("RULE_LIST", uapi.vs_rule, room)

    def stat(self, id):
        return self.call("STAT", id=id)

    def add(self, gate, left=(), right=(), **properties):
        """Adds a rule; returns its number."""
        return self.call("RULE_ADD", rule(gate, left, right, **properties)).id

    def delete(self, number):
        self.call("RULE_DEL", id=number)

    def try_call(self, gate, left=(ROOT,), work=None, **properties):
        """VS_IOC_RULE_TEST: the classification of a call of the services `left` with these
        properties.
        """
        left = [*left] + [ROOT] * (ENTITIES.get(gate, 0) - len(left))
        made = rule(gate, left, **properties)
        return self.call(
            "RULE_TEST",
            call=ctypes.addressof(made),
            call_size=ctypes.sizeof(made),
            work=left[0] if work is None else work,
        )

    def packets(self, on):
        """Turns the gate packet on or off."""
        self.call("GATE", gate=uapi.VS_GATE_PACKET, on=int(on))

    def place(self, pid, id, flags=0):
        pidfd = os.pidfd_open(pid)
        try:
            self.call("PLACE_TASK", pidfd=pidfd, id=id, flags=flags)
        finally:
            os.close(pidfd)

    def place_socket(self, sock, id):
        self.call("PLACE_SOCKET", fd=sock.fileno(), id=id)

    def socket_of(self, sock):
        """The id of the service that a socket of this process belongs to."""
        return self.call("SOCKET", fd=sock.fileno()).id

    def apply(self, services=(), rules=(), check=False, prune=False):
        """Applies a configuration. `rules` may also be one array, for large numbers."""
        table = (uapi.vs_config_service * len(services))(*services)
        listed = rules if isinstance(rules, ctypes.Array) else (uapi.vs_rule * len(rules))(*rules)
        return self.call(
            "APPLY",
            services=ctypes.addressof(table),
            nr_services=len(services),
            rules=ctypes.addressof(listed),
            nr_rules=len(rules),
            service_size=ctypes.sizeof(uapi.vs_config_service),
            rule_size=ctypes.sizeof(uapi.vs_rule),
            flags=check * uapi.VS_APPLY_CHECK | prune * uapi.VS_APPLY_PRUNE,
        )

    def wipe(self):
        """Removes all but root, and resets it to its state after loading."""
        self.apply(prune=True)
        root = self.query(ROOT)
        if root.priority:
            self.set_priority(ROOT, 0)
        for number, (name, value) in enumerate(DEFAULTS.items()):
            if root.attr[number] != value:
                self.set(ROOT, name, value)

    def state(self):
        """All that can be listed, byte for byte, counters of hits aside."""
        rules = self.rules()
        for one in rules:
            one.hits = 0
        return [bytes(item) for item in self.services() + rules]


def libc(name, *arguments):
    """Calls a function of the C library; raises OSError if it fails."""
    result = getattr(_libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


class Skip(Exception):
    pass


def skip(reason):
    """Ends a case that cannot be decided here."""
    raise Skip(reason)


def eq(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def within(got, low, high, what="value"):
    if not low <= got <= high:
        raise AssertionError(f"{what}: got {got!r}, wanted {low!r} to {high!r}")


def refused(number, reason, function, *arguments, **named):
    """Checks that a call is refused with this errno and reason; returns the Refused."""
    try:
        function(*arguments, **named)
    except Refused as refusal:
        wanted = f"{errno.errorcode[number]}, {reason}"
        eq(
            f"{errno.errorcode.get(refusal.errno, refusal.errno)}, {refusal.reason}",
            wanted,
            "refusal",
        )
        return refusal
    raise AssertionError(f"not refused; {errno.errorcode[number]}, {reason} was to come")


def run(*command, **options):
    """Runs a command to its end and captures its output as text; does not check its exit status."""
    return subprocess.run(command, capture_output=True, text=True, **options)


def command(*words):
    """Runs a command that must succeed and say nothing on its standard error."""
    done = run(*words)
    eq((done.returncode, done.stderr), (0, ""), " ".join(words))


def vsctl(*arguments):
    """Runs vsctl; raises AssertionError with its messages if it fails; returns its output."""
    done = run("vsctl", *arguments)
    if done.returncode:
        raise AssertionError(
            f"vsctl {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout


def dies_with_parent():
    """The calling process is killed when its parent ends, also by an error."""
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def in_child(function):
    """Runs function() in a forked child and returns its result (a string), or raises its exception
    as AssertionError. The caller's work in hand goes on: to read a pipe would end it.
    """
    with os.fdopen(os.memfd_create("result"), "w+b", buffering=0) as file:
        pid = os.fork()
        if not pid:
            status = 0
            try:
                file.write(str(function()).encode())
            except BaseException:  # pylint: disable=broad-except
                file.write(traceback.format_exc().encode())
                status = 1
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        file.seek(0)
        result = file.read().decode()
    if status:
        raise AssertionError(f"in a child: {result or status}")
    return result


def unshare(*kinds):
    """Gives the calling process namespaces of its own (os.CLONE_NEW*); in a user namespace it is
    root.
    """
    os.unshare(sum(kinds))
    if os.CLONE_NEWUSER in kinds:
        pathlib.Path("/proc/self/uid_map").write_text("0 0 1", encoding="ascii")


def until(condition, seconds=5, what="condition"):
    """Waits for condition() to hold; longer in slow kernels."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def listens(port):
    """Is there a server at 127.0.0.1?"""
    with socket.socket() as one:
        return not one.connect_ex(("127.0.0.1", port))


def adopt():
    """Makes processes that outlive their parent children of this process, so that kill_sessions()
    reaps them: a zombie counts as a task.
    """
    _libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def reap(flags=os.WNOHANG):
    """Waits for children: for those that have ended, or with flags=0 for all."""
    try:
        while os.waitpid(-1, flags)[0]:
            pass
    except ChildProcessError:
        pass


def kill_sessions(*leaders):
    """Kills processes that lead sessions, with all processes in these, and reaps them. No other
    child may be running.
    """
    for leader in leaders:
        os.killpg(leader.pid, signal.SIGKILL)
    for leader in leaders:
        leader.communicate()
    reap(0)


class Sleeper:
    """A process that only waits; killed and reaped at the end of the with block."""

    def __enter__(self):
        self.process = subprocess.Popen(["sleep", "1000"])
        return self.process.pid

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


_cases = []
_attached = False


def test(function):
    """Marks a case. It is called with an open Device if it takes an argument."""
    _cases.append(function)
    return function


def gated(function):
    """Marks a case that needs the gates, all of them, but not the scheduler. Attached once, they
    stay to the test's end.
    """
    function.gated = True
    return test(function)


def title(function):
    """The first paragraph of a function's docstring as one line, for the name of a case; without
    one, the function's own name.
    """
    text = inspect.getdoc(function) or function.__name__.replace("_", " ")
    return " ".join(text.split("\n\n", 1)[0].split("\n"))


def _case(function):
    global _attached
    if getattr(function, "gated", False) and not _attached:
        vsctl("up", "--no-sched")
        _attached = True
    if not inspect.signature(function).parameters:
        return function()
    device = Device()
    try:
        device.wipe()
        return function(device)
    finally:
        device.close()


def main():
    """Runs the cases in order, speaks TAP, and exits 0, 1 (a case failed) or 4 (all were skipped).

    VS_CASE=REGEX runs only cases whose function's name matches: a failed case can make the next
    ones fail.
    """
    _cases[:] = [
        function
        for function in _cases
        if re.search(os.environ.get("VS_CASE", ""), function.__name__)
    ]
    print(f"TAP version 13\n1..{len(_cases)}", flush=True)
    failures = skipped = 0
    for number, function in enumerate(_cases, 1):
        name = title(function).rstrip(".")
        try:
            _case(function)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            skipped += 1
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failures += 1
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"not ok {number} - {name}", flush=True)
    sys.exit(1 if failures else 4 if skipped == len(_cases) else 0)
