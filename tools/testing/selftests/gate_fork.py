#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gates fork and exit: the home of a new task, also over threads and exec, and limits on tasks."""

import ctypes
import errno
import os
import pathlib
import subprocess
import sys
import time

import gates
import vs

STORM = """import os, sys
with open(sys.argv[1], "w") as group:
    group.write("0")
while True:
    try:
        pid = os.fork()
    except OSError:
        continue
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""
IMPORT = (
    f"import sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r}); import gates"
)


def child_tag():
    return vs.in_child(gates.tag)


@gates.case
def untagged_stays_untagged(dev):
    """A child of a task of root is root's, and has no tag"""
    vs.eq(child_tag(), "(0, 0)")


@gates.case
def inherited(dev):
    """A child is at home where its parent is: fork, vfork, a thread, and over exec"""
    a = dev.create("a")
    gates.enter(dev, a)
    wanted = (a, a)
    vs.eq(gates.tag(), wanted, "own tag")
    vs.eq(child_tag(), str(wanted), "fork")
    vs.eq(gates.thread(gates.tag), wanted, "thread")
    program = [sys.executable, "-c", f"{IMPORT}; sys.exit(gates.tag() != {wanted})"]
    vs.eq(subprocess.run(program, check=False).returncode, 0, "vfork and exec")
    # the exit status is the program's
    vs.eq(vs.in_child(lambda: os.execv(program[0], program)), "", "exec")


@gates.case
def grandchildren(dev):
    """The child's children are at home there, too, after the parent has gone"""
    a = dev.create("a")
    gates.enter(dev, a)
    vs.eq(vs.in_child(lambda: vs.in_child(child_tag)), str((a, a)))


@gates.case
def ruled(dev):
    """A rule places the child, and only if it applies"""
    a, b = dev.create("a"), dev.create("b")
    dev.add("fork", [a], [vs.ANY, b])
    vs.eq(child_tag(), "(0, 0)", "root's child")
    gates.enter(dev, a)
    vs.eq(child_tag(), str((b, b)), "a's child")
    vs.eq(gates.tag(), (a, a), "the parent")


@gates.case
def counted(dev):
    """Tasks are counted where they are at home, and no longer when they are gone"""
    a = dev.create("a")
    gates.enter(dev, a)
    vs.eq(dev.stat(a).tasks, 1, "placed")
    vs.eq(int(vs.in_child(lambda: dev.stat(a).tasks)), 2, "with a child")
    vs.eq(dev.stat(a).tasks, 1, "waited for")
    vs.eq(int(gates.thread(lambda: dev.stat(a).tasks)), 2, "with a thread")
    vs.until(lambda: dev.stat(a).tasks == 1, what="one task")
    gates.enter(dev, vs.ROOT)
    gates.gone(dev, a)
    dev.destroy(a)


@gates.case
def limited(dev):
    """At its own limit, or that of a service above, fork fails with the error set, and succeeds
    again when there is room
    """
    a = dev.create("a")
    b = dev.create("b", a)
    dev.detach(a, "tasks_max")
    dev.set(a, "tasks_max", 3)
    gates.enter(dev, b)
    for number in (errno.EAGAIN, errno.ENOMEM):
        dev.detach(a, "tasks_errno")
        dev.set(a, "tasks_errno", number)
        readers, pids = [], []
        for _ in range(2):
            reader, writer = os.pipe()
            pids.append(os.fork())
            if not pids[-1]:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
            os.close(reader)
            readers.append(writer)
        refused = dev.stat(b).refused[vs.uapi.VS_RESOURCE_TASKS]
        try:
            os.fork() or os._exit(0)
            raise AssertionError("a fourth task was forked")
        except OSError as error:
            vs.eq(error.errno, number, "errno")
        vs.eq(dev.stat(b).refused[vs.uapi.VS_RESOURCE_TASKS], refused + 1, "refused")
        for writer in readers:
            os.close(writer)
        for pid in pids:
            os.waitpid(pid, 0)
        vs.eq(dev.stat(b).tasks, 1, "room again")
        vs.eq(child_tag(), str((b, b)), "fork with room")


@gates.case
def one_after_another(dev):
    """Tasks that are reaped make room at once: with a limit of two, hundreds can run one after
    another
    """
    a = dev.create("a")
    dev.detach(a, "tasks_max")
    dev.set(a, "tasks_max", 2)
    gates.enter(dev, a)
    for _ in range(300):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
    vs.eq((dev.stat(a).tasks, sum(dev.stat(a).refused)), (1, 0), "tasks, refused")


@gates.case
def failed_fork(dev):
    """A fork that fails after the gate leaves no count behind"""
    a = dev.create("a")
    gates.enter(dev, a)
    libc = ctypes.CDLL(None, use_errno=True)

    # clone3() with a tid that is taken fails late: EEXIST
    class Arguments(ctypes.Structure):
        _fields_ = [
            (name, ctypes.c_uint64)
            for name in (
                "flags",
                "pidfd",
                "child_tid",
                "parent_tid",
                "exit_signal",
                "stack",
                "stack_size",
                "tls",
                "set_tid",
                "set_tid_size",
                "cgroup",
            )
        ]

    tid = ctypes.c_int(os.getpid())
    arguments = Arguments(exit_signal=17, set_tid=ctypes.addressof(tid), set_tid_size=1)
    for _ in range(100):
        vs.eq(libc.syscall(435, ctypes.byref(arguments), ctypes.sizeof(arguments)), -1, "clone3")
        vs.eq(ctypes.get_errno(), errno.EEXIST, "errno")
    vs.until(lambda: dev.stat(a).tasks == 1, what="one task")


@gates.case
def failed_forks(dev):
    """Many forks that fail at once, at the limit of a control group, leave no count behind"""
    a = dev.create("a")
    group = pathlib.Path("/sys/fs/cgroup/vs-forks")
    (group.parent / "cgroup.subtree_control").write_text("+pids", encoding="ascii")
    group.mkdir()
    (group / "pids.max").write_text("12", encoding="ascii")
    vs.adopt()
    try:
        gates.enter(dev, a)
        storm = [
            subprocess.Popen(
                [sys.executable, "-c", STORM, str(group / "cgroup.procs")], start_new_session=True
            )
            for _ in range(8)
        ]
        gates.enter(dev, vs.ROOT)
        time.sleep(10)
        vs.kill_sessions(*storm)
        vs.until(lambda: dev.stat(a).tasks == 0, 20, "no task")
    finally:
        vs.until(
            lambda: not (group / "cgroup.procs").read_text(encoding="ascii"), 20, "an empty group"
        )
        group.rmdir()


@gates.case
def hits(dev):
    """Both gates count the calls of each service"""
    a = dev.create("a")
    gates.enter(dev, a)
    before = list(dev.stat(a).hits)
    for _ in range(5):
        child_tag()
    after = list(dev.stat(a).hits)
    vs.eq(after[0] - before[0], 5, "fork")
    vs.eq(after[2] - before[2], 5, "exit")


vs.main()
