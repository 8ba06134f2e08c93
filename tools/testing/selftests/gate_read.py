#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gate read: work ends when the task receives something by what is no socket, as nothing tells for
whom that is; and by nothing else that it reads or writes.
"""

import collections
import ctypes
import errno
import os
import pathlib
import queue
import select
import signal
import socket
import struct
import subprocess
import threading

import gates
import vs
from ring import Ring
from server import Server

import uapi

BY_SOCKET = [uapi.VS_REF(1)]
TRACING = pathlib.Path("/sys/kernel/tracing")


def filled():
    """A pipe with eight bytes in it."""
    reader, writer = os.pipe()
    os.write(writer, b"12345678")
    return reader, writer


def reads(fd, size=8):
    return lambda: os.read(fd, size)


def reads_parts(fd):
    return lambda: os.readv(fd, [bytearray(4), bytearray(4)])


def finds_nothing(fd):
    """The read of an empty pipe or the like."""
    os.set_blocking(fd, False)

    def read():
        try:
            os.read(fd, 999)
        except BlockingIOError:
            return
        raise AssertionError("there was something to read")

    return read


def fifo():
    path = f"/tmp/fifo{os.getpid()}"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    os.unlink(path)
    os.write(fd, b"12345678")
    return fd


def terminal(by_master):
    master, slave = os.openpty()
    os.write(slave if by_master else master, b"line\n")
    return master if by_master else slave


def timer():
    fd = os.timerfd_create(1)
    os.timerfd_settime(fd, initial=0.001)
    select.select([fd], [], [])
    return fd


def pending_signal():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    mask = ctypes.create_string_buffer(struct.pack("Q", 1 << signal.SIGUSR1 - 1), 128)
    fd = vs.libc("signalfd", -1, mask, 0)
    os.kill(os.getpid(), signal.SIGUSR1)
    return fd


def watched(name, init, add, *arguments):
    """A watch of the folder NAME, in which something has happened."""
    os.makedirs(name, exist_ok=True)
    fd = vs.libc(init, *arguments)
    add(fd)
    open(f"{name}/x", "w", encoding="utf-8").close()
    return fd


def inotify():
    name = b"/tmp/inotify"  # IN_CLOSE_WRITE
    return watched(
        name.decode(), "inotify_init1", lambda fd: vs.libc("inotify_add_watch", fd, name, 8), 0
    )


def fanotify():
    # FAN_MARK_ADD, FAN_CLOSE_WRITE | FAN_EVENT_ON_CHILD
    name, events = b"/tmp/fanotify", ctypes.c_uint64(0x08000008)
    return watched(
        name.decode(),
        "fanotify_init",
        lambda fd: vs.libc("fanotify_mark", fd, 1, events, -100, name),
        0,
        0,
    )


def faults():
    """A userfaultfd, which tells EINVAL as it is not set up."""
    fd = vs.libc("syscall", ctypes.c_long(323), ctypes.c_long(1))  # UFFD_USER_MODE_ONLY

    def read():
        try:
            os.read(fd, 32)
        except OSError as error:
            vs.eq(error.errno, errno.EINVAL, "userfaultfd")

    return read


def queued():
    """A message in a System V queue; it is received."""
    number = vs.libc("msgget", 0, 0o1600)
    message = ctypes.create_string_buffer(struct.pack("q8s", 1, b"message"))
    vs.libc("msgsnd", number, message, 8, 0)

    def receives():
        vs.eq(
            vs.libc("msgrcv", number, message, ctypes.c_size_t(8), ctypes.c_long(0), 0), 8, "bytes"
        )
        vs.libc("msgctl", number, 0, None)

    return receives


def posted():
    """A message in a POSIX queue; it is received."""
    name = b"/vs%d" % os.getpid()
    number = vs.libc("mq_open", name, os.O_RDWR | os.O_CREAT, 0o600, None)
    vs.libc("mq_unlink", name)
    vs.libc("mq_send", number, b"message", ctypes.c_size_t(8), 1)
    room = ctypes.create_string_buffer(8192)
    return lambda: vs.libc("mq_receive", number, room, ctypes.c_size_t(8192), None)


def spliced_to(fd, *_kept):
    reader = filled()[0]
    return lambda: vs.eq(os.splice(reader, fd, 8), 8, "spliced")


def connected():
    """A connected socket, and its peer."""
    ours, peer = socket.socketpair()
    return ours.detach(), peer.detach()


def teed():
    reader, other = filled()[0], os.pipe()[1]
    return lambda: vs.eq(vs.libc("tee", reader, other, ctypes.c_size_t(8), 0), 8, "bytes")


def vector(data):
    """A struct iovec of one buffer, and the buffer."""
    room = ctypes.create_string_buffer(data, 8)
    return ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(room), 8)), room


def copied_out():
    reader, (parts, room) = filled()[0], vector(b"")

    def copies():
        vs.eq(vs.libc("vmsplice", reader, parts, ctypes.c_size_t(1), 0), 8, "bytes")
        vs.eq(room.raw, b"12345678", "copied")

    return copies


def by_ring():
    """The same by an io_uring, from a pipe."""
    ring, room, reader = Ring(), ctypes.create_string_buffer(8), filled()[0]

    def receives():
        ring.queue(ring.READ, reader, ctypes.addressof(room), 8)
        vs.eq((ring.enter(1, 0, 0), ring.done(), room.raw), (1, 1, b"12345678"), "the ring")

    return receives


def file(name="/tmp/file"):
    fd = os.open(name, os.O_RDWR | os.O_CREAT)
    if name == "/tmp/file":
        os.pwrite(fd, b"12345678", 0)
    return fd


def file_sent(fd, *_kept):
    vs.eq(os.sendfile(fd, file(), 0, 8), 8, "sent")


# each: by what it is received, and a function that prepares the receipt and returns it
RECEIPTS = {
    "a pipe": lambda: reads(filled()[0]),
    "a pipe, by readv": lambda: reads_parts(filled()[0]),
    "an empty pipe": lambda: finds_nothing(os.pipe()[0]),
    "a pipe, by io_uring": by_ring,
    "a FIFO": lambda: reads(fifo()),
    "a terminal": lambda: reads(terminal(False)),
    "a terminal's other end": lambda: reads(terminal(True)),
    "an eventfd": lambda: reads(os.eventfd(1)),
    "an eventfd of 0": lambda: finds_nothing(os.eventfd(0)),
    "a timerfd": lambda: reads(timer()),
    "a timerfd before its time": lambda: finds_nothing(os.timerfd_create(1)),
    "a signalfd": lambda: reads(pending_signal(), 128),
    "inotify": lambda: reads(inotify(), 999),
    "fanotify": lambda: reads(fanotify(), 999),
    "userfaultfd": faults,
    "a System V queue": queued,
    "a POSIX queue": posted,
    "splice to a file": lambda: spliced_to(file("/tmp/copy")),
    "splice to a socket": lambda: spliced_to(*connected()),
    "splice to a pipe": lambda: spliced_to(os.pipe()[1]),
    "splice to nowhere": lambda: spliced_to(file("/dev/null")),
    "tee": teed,
    "vmsplice": copied_out,
}


def prepared():
    """All receipts, each prepared; but those which this kernel is configured without."""
    for what, prepares in RECEIPTS.items():
        try:
            receive = prepares()
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            print(f"# this kernel has no {what}")
            continue
        yield what, receive


def sent_by_queue():
    number = vs.libc("msgget", 0, 0o1600)
    vs.libc("msgsnd", number, ctypes.create_string_buffer(struct.pack("q8s", 1, b"")), 8, 0)
    vs.libc("msgctl", number, 0, None)


def vmspliced_in():
    writer, (parts, _) = os.pipe()[1], vector(b"message")
    vs.eq(vs.libc("vmsplice", writer, parts, ctypes.c_size_t(1), 0), 8, "bytes")


OTHERS = {
    "a file": lambda: os.pread(file(), 8, 0),
    "a file of /proc": lambda: pathlib.Path("/proc/self/stat").read_bytes(),
    "a device without events": lambda: os.read(file("/dev/zero"), 8),
    "a write to a pipe": lambda: filled(),
    "a write to an eventfd": lambda: os.eventfd_write(os.eventfd(0), 1),
    "a message to a queue": sent_by_queue,
    "sendfile to a socket": lambda: file_sent(*connected()),
    "sendfile to a file": lambda: file_sent(file("/tmp/copy")),
    "sendfile to nowhere": lambda: file_sent(file("/dev/null")),
    "sendfile to a pipe": lambda: file_sent(os.pipe()[1]),
    "copy_file_range": lambda: os.copy_file_range(file(), file("/tmp/copy"), 8, 0, 0),
    "splice to a pipe from a file": lambda: os.splice(file(), os.pipe()[1], 8),
    "vmsplice to a pipe": vmspliced_in,
    "a look at a pipe": lambda: select.select([filled()[0]], [], [], 0),
}


def receipts(dev, server):
    """Checks all that ends work: once each, and as a receipt."""
    a = server.ids[0]
    for what, receive in prepared():
        server.serve(0)
        before = dev.stat(a)
        receive()
        server.is_home(what)
        after = dev.stat(a)
        more = [n - m for n, m in zip(after.hits, before.hits)]
        vs.eq(more[uapi.VS_GATE_READ], 1, f"{what}: counted")
        vs.eq(after.ends[uapi.VS_END_RECEIPT] - before.ends[uapi.VS_END_RECEIPT], 1, what)


def serving(dev, *names):
    server = Server(dev, *names)
    dev.add("recv", [server.s], BY_SOCKET)
    return server


@gates.case
def work_ends(dev):
    """A task that reads from what is no socket and no file, or takes a message of a queue, is home
    again
    """
    receipts(dev, serving(dev, "a"))


@gates.case
def nothing_else(dev):
    """Reading a file ends no work, nor does writing to a pipe or a queue, nor a pipe of the
    kernel's own
    """
    server = serving(dev, "a")
    for what, function in OTHERS.items():
        server.serve(0)
        function()
        server.is_at_work(0, what)


@gates.case
def without_work(dev):
    """A task without work in hand stays what it is, and nothing is counted"""
    server = Server(dev, "a")
    for id in (server.s, vs.ROOT):
        gates.enter(dev, id)
        before = sum(dev.stat(one).hits[uapi.VS_GATE_READ] for one in (id, *server.ids))
        for what, receive in prepared():
            receive()
            vs.eq(gates.tag(), (id, id), what)
        after = sum(dev.stat(one).hits[uapi.VS_GATE_READ] for one in (id, *server.ids))
        vs.eq(after, before, "counted")


@gates.case
def own_home(dev):
    """A process that is at home with its client reads from pipes for the client"""
    a, s = dev.create("a"), dev.create("s")
    dev.add("recv", [s], BY_SOCKET)
    dev.add("recv", [a], BY_SOCKET)
    server = gates.listener()
    peer = gates.client(dev, a, server)
    gates.enter(dev, a)
    conn = server.accept()[0]
    peer.send(b"request")
    conn.recv(9)
    os.read(filled()[0], 8)
    vs.eq(gates.tag(), (a, a), "home and work are the client's")


class Pool:
    """Threads that are handed jobs through memory and tell an event loop of each that is done, by
    `tell`.
    """

    def __init__(self, tell):
        self.jobs, self.results = queue.SimpleQueue(), collections.deque()
        self.threads = [threading.Thread(target=self._work, args=(tell,)) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def _work(self, tell):
        while (job := self.jobs.get()) is not None:
            self.results.append(job)
            tell()

    def close(self):
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            thread.join()


def pooled(dev, ready, tell):
    """An event loop that hands the requests of `a` on without a reply, and in the same round finds
    a job of `b` done, of which `ready` tells it.
    """
    server = serving(dev, "a", "b")
    pool, loop = Pool(tell), select.epoll()
    try:
        for one in (*server.conns, ready):
            loop.register(one, select.EPOLLIN)
        for turn in range(6):
            server.serve(1, "b's request")
            pool.jobs.put(server.conns[1])
            server.peers[0].send(b"request")
            found = set()
            while len(found) < 2:
                found |= {fd for fd, _ in loop.poll()}
            vs.eq(found, {server.conns[0].fileno(), ready}, "ready")
            server.conns[0].recv(99)
            server.is_at_work(0, f"a's request, round {turn}")
            os.read(ready, 8)
            server.is_home("b's result is not a's work")
            conn = pool.results.popleft()
            conn.send(b"result")
            server.is_home("b's reply")
            vs.eq(server.peers[1].recv(99), b"result", "b's result")
            gates.enter(dev, server.s)
    finally:
        pool.close()
        loop.close()


@gates.case
def pool_by_pipe(dev):
    """An event loop that learns by a pipe of jobs which its pool has done works for no tenant on
    them, whose request it has handed on last
    """
    reader, writer = os.pipe()
    pooled(dev, reader, lambda: os.write(writer, b"12345678"))


@gates.case
def pool_by_eventfd(dev):
    """So does one that learns it by an eventfd"""
    ready = os.eventfd(0)
    pooled(dev, ready, lambda: os.eventfd_write(ready, 1))


@gates.case
def jobs_by_pipe(dev):
    """A thread that fetches jobs from a pipe is at home after each, even if it was bound between"""
    server = serving(dev, "a")
    reader, writer = os.pipe()
    for turn in range(4):
        os.write(writer, b"job")
        server.serve(0)
        os.read(reader, 3)
        server.is_home(f"job {turn}")


@gates.case
def helper(dev):
    """What a task does after its helper has answered is its own, also in the midst of a request, up
    to the next receipt: nothing tells that the answer belongs to the request
    """
    server = serving(dev, "a")
    server.serve(0)
    with subprocess.Popen(["echo", "answer"], stdout=subprocess.PIPE) as echo:
        vs.eq(echo.stdout.read(), b"answer\n", "the helper")
    server.is_home("after the answer")
    server.conns[0].send(b"reply")
    server.is_home("after the reply")
    server.serve(0, "the next request")


@gates.case
def off(dev):
    """With the gate off, a receipt by a pipe ends nothing; on again, it does"""
    server = serving(dev, "a")

    def switch(on):
        dev.call("GATE", gate=uapi.VS_GATE_READ, on=on)
        vs.eq(bool(dev.info().features & uapi.VS_FEATURE_READ), bool(on), "features")

    try:
        for _ in range(2):
            switch(0)
            server.serve(0)
            os.read(filled()[0], 8)
            server.is_at_work(0, "off")
    finally:
        for _ in range(2):
            switch(1)
    os.read(filled()[0], 8)
    server.is_home("on")


@gates.case
def traced(dev):
    """Work ends as well while others watch the same functions by ftrace, and what the gate calls"""
    if not (TRACING / "current_tracer").exists():
        vs.run("mount", "-t", "tracefs", "none", str(TRACING))
    server = serving(dev, "a")
    tracer, functions = TRACING / "current_tracer", TRACING / "set_ftrace_filter"
    functions.write_text("*pipe_read eventfd_read do_*splice vs_*", encoding="utf-8")
    tracer.write_text("function", encoding="utf-8")
    try:
        receipts(dev, server)
        seen = (TRACING / "trace").read_text(encoding="utf-8")
    finally:
        tracer.write_text("nop", encoding="utf-8")
        functions.write_text("", encoding="utf-8")
    for name in "anon_pipe_read", "eventfd_read", "vs_bind ":
        vs.eq(name in seen, True, f"{name} was traced")


vs.main()
