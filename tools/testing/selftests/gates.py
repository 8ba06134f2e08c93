# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library of the gates' selftests: it reads the tags of tasks and sockets, and makes the test a
task of a service.
"""

import contextlib
import ctypes
import functools
import os
import signal
import socket
import struct
import threading

import vs

_libc = ctypes.CDLL(None, use_errno=True)
_BPF, _PIDFD_OPEN = 321, 434
_MAP_LOOKUP_ELEM, _PROG_LOAD, _OBJ_PIN, _OBJ_GET, _PROG_ATTACH = 1, 5, 6, 7, 8
_OBJ_GET_INFO_BY_FD = 15
_PIDFD_THREAD = os.O_EXCL
SO_MARK = 36


def _bpf(command, attribute):
    result = _libc.syscall(_BPF, command, ctypes.byref(attribute), ctypes.sizeof(attribute))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class _Object(ctypes.Structure):
    _fields_ = [("pathname", ctypes.c_uint64), ("fd", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class _Element(ctypes.Structure):
    _fields_ = [
        ("map", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("key", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
    ]


class _Info(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_uint32), ("size", ctypes.c_uint32), ("info", ctypes.c_uint64)]


class _Map(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
    ]


class _Load(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("code", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log", ctypes.c_uint64),
        ("version", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
        ("ifindex", ctypes.c_uint32),
        ("expected", ctypes.c_uint32),
    ]


class _Attach(ctypes.Structure):
    _fields_ = [
        ("target", ctypes.c_uint32),
        ("program", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]


def load_program(kind, code, expected=0):
    """Loads a BPF program, given as instructions; returns its descriptor."""
    text, gpl, log = (
        ctypes.create_string_buffer(code),
        ctypes.create_string_buffer(b"GPL"),
        ctypes.create_string_buffer(65536),
    )
    try:
        return _bpf(
            _PROG_LOAD,
            _Load(
                type=kind,
                count=len(code) // 8,
                code=ctypes.addressof(text),
                license=ctypes.addressof(gpl),
                log_level=1,
                log_size=65536,
                log=ctypes.addressof(log),
                expected=expected,
            ),
        )
    except OSError as error:
        raise AssertionError(f"the program is refused: {error}\n{log.value.decode()}") from error


def pin(program, path):
    """Pins a BPF object in a BPF file system."""
    name = ctypes.create_string_buffer(path.encode())
    _bpf(_OBJ_PIN, _Object(pathname=ctypes.addressof(name), fd=program))


def attach_program(program, cgroup, kind):
    """Attaches a program to a cgroup, beside others."""
    # BPF_F_ALLOW_MULTI
    _bpf(_PROG_ATTACH, _Attach(target=cgroup, program=program, type=kind, flags=2))


def _value_size(map):
    told = _Map()
    _bpf(
        _OBJ_GET_INFO_BY_FD,
        _Info(fd=map, size=ctypes.sizeof(told), info=ctypes.addressof(told)),
    )
    return told.value_size


def tag(tid=0):
    """(home, current) of a thread, by default the calling one; (0, 0) without a tag."""
    path = ctypes.create_string_buffer(b"/sys/fs/bpf/vs/vs_tags")
    tags = _bpf(_OBJ_GET, _Object(pathname=ctypes.addressof(path), flags=1 << 3))  # BPF_F_RDONLY
    pidfd = _libc.syscall(_PIDFD_OPEN, tid or threading.get_native_id(), _PIDFD_THREAD)
    try:
        key, value = ctypes.c_int(pidfd), ctypes.create_string_buffer(_value_size(tags))
        _bpf(
            _MAP_LOOKUP_ELEM,
            _Element(map=tags, key=ctypes.addressof(key), value=ctypes.addressof(value)),
        )
        return struct.unpack_from("HH", value)
    except FileNotFoundError:
        return (0, 0)
    finally:
        os.close(tags)
        os.close(pidfd)


def vs_of(sock):
    """The VS that a socket belongs to."""
    asker = vs.Device(flags=os.O_RDONLY)
    try:
        return asker.socket_of(sock)
    finally:
        asker.close()


def enter(dev, id):
    """The calling thread becomes a task of `id`."""
    pidfd = _libc.syscall(_PIDFD_OPEN, threading.get_native_id(), _PIDFD_THREAD)
    try:
        dev.call("PLACE_TASK", pidfd=pidfd, id=id, flags=1)
    finally:
        os.close(pidfd)


def case(function):
    """Marks a case that needs the gates and runs in a child of its own, whose tag it may change."""

    @functools.wraps(function)
    def run(dev):
        vs.in_child(lambda: function(dev))
        gone(dev, *(service.id for service in dev.services() if service.id != vs.ROOT))

    return vs.gated(run)


def listener(family=socket.AF_INET, kind=socket.SOCK_STREAM, address=None):
    """A listening (or, of datagrams, a bound) socket at a free address; unix ones get an abstract
    name.
    """
    sock = socket.socket(family, kind)
    if family == socket.AF_UNIX:
        sock.bind(address or b"\0" + os.urandom(8).hex().encode())
    else:
        sock.bind(address or ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    if kind != socket.SOCK_DGRAM:
        sock.listen()
    return sock


def client(dev, id, server, kind=socket.SOCK_STREAM):
    """A socket made by a task of `id`, connected to `server`. The calling thread is root's
    afterwards.
    """
    enter(dev, id)
    sock = socket.socket(server.family, kind)
    sock.connect(server.getsockname())
    enter(dev, vs.ROOT)
    return sock


def thread(function):
    """Runs function() in a new thread and returns its result."""
    result = []

    def body():
        try:
            result.append(function())
        except BaseException as error:  # pylint: disable=broad-except
            result.append(error)

    one = threading.Thread(target=body)
    one.start()
    one.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def gone(dev, *ids):
    """Waits until no task and no socket of these services is left."""
    for id in ids:
        vs.until(
            lambda id=id: (dev.stat(id).tasks, dev.stat(id).sockets) == (0, 0),
            what=f"{id} is empty",
        )


@contextlib.contextmanager
def processes(dev, *groups):
    """Runs each (id, function, argument...) in a process of that service; kills them at the end."""
    pids = []
    try:
        for id, function, *arguments in groups:
            pid = os.fork()
            if not pid:
                try:
                    vs.dies_with_parent()
                    enter(dev, id)
                    function(*arguments)
                except BaseException as error:  # pylint: disable=broad-except
                    print(f"# {function.__name__}: {error!r}", flush=True)
                finally:
                    os._exit(1)
            pids.append(pid)
        yield pids
        for pid in pids:
            vs.eq(os.waitpid(pid, os.WNOHANG), (0, 0), "a process that has ended")
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
