#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 120
"""A task's tag goes on to children, threads and executed programs, and the counts of tasks with
it.
"""

import ctypes
import errno
import os
import signal
import subprocess
import threading

import vs

import uapi

CGROUPS = "/sys/fs/cgroup"


class Shell:
    """A shell in its own session that runs one line at a time; all of the session is killed at the
    end.
    """

    def __enter__(self):
        self.process = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid
        return self

    def __call__(self, line):
        """Runs a line to its end; returns the last line of what it printed."""
        self.process.stdin.write(f"{line}\necho '' done\n")
        self.process.stdin.flush()
        said = ""
        while (got := self.process.stdout.readline()) not in (" done\n", ""):
            said = got.strip()
        return said

    def __exit__(self, *_):
        vs.kill_sessions(self.process)


def tasks(dev, id):
    return dev.stat(id).tasks


@vs.gated
def children_inherit(dev):
    """A placed process's children and their children belong to its service; when they end they are
    counted off
    """
    a = dev.create("a")
    with Shell() as shell:
        dev.place(shell.pid, a)
        vs.eq(tasks(dev, a), 1)
        shell("sleep 1000 & (sleep 1000 & sleep 1000 & wait) &")
        vs.until(lambda: tasks(dev, a) == 5, what="five tasks")
        shell("kill %1; wait %1")
        vs.until(lambda: tasks(dev, a) == 4, what="four tasks")
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


@vs.gated
def orphans_stay(dev):
    """A process that outlives its parent, as daemons do, stays in the service"""
    a = dev.create("a")
    with Shell() as shell:
        dev.place(shell.pid, a)
        shell("( (sleep 1000 & ) & )")
        # the two shells in between may become this test's children when they end
        vs.until(lambda: vs.reap() or tasks(dev, a) == 2, what="two tasks")
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


@vs.gated
def executing_keeps_it(dev):
    """A program that a placed process executes belongs to its service, also after vfork and
    posix_spawn
    """
    a = dev.create("a")
    with Shell() as shell:
        dev.place(shell.pid, a)
        shell("sleep 1000 &")
        shell('python3 -c \'import subprocess; subprocess.Popen(["sleep", "1000"])\'')
        vs.until(lambda: tasks(dev, a) == 3, what="three tasks")
        shell.process.stdin.write("exec sleep 1000\n")
        shell.process.stdin.flush()
        vs.until(lambda: os.readlink(f"/proc/{shell.pid}/exe").endswith("sleep"), what="executed")
        vs.eq(tasks(dev, a), 3)
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


@vs.gated
def threads_are_tasks(dev):
    """All threads of a placed process belong to its service, also those that come later"""
    a = dev.create("a")

    def threaded():
        end = threading.Event()
        old = [threading.Thread(target=end.wait) for _ in range(3)]
        new = [threading.Thread(target=end.wait) for _ in range(2)]
        for thread in old:
            thread.start()
        dev.place(os.getpid(), a)
        counts = [tasks(dev, a)]
        for thread in new:
            thread.start()
        counts.append(tasks(dev, a))
        end.set()
        for thread in old + new:
            thread.join()
        return counts

    vs.eq(vs.in_child(threaded), "[4, 6]", "tasks before and after")
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


@vs.gated
def one_thread_alone(dev):
    """With VS_PLACE_THREAD one thread is placed, the rest of its process is not"""
    a = dev.create("a")

    def threaded():
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        dev.place(os.getpid(), a, uapi.VS_PLACE_THREAD)
        count = tasks(dev, a)
        end.set()
        thread.join()
        return count

    vs.eq(vs.in_child(threaded), "1", "tasks")
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


@vs.gated
def placing_again(dev):
    """Placing moves the counts: from service to service, and back to root"""
    a, b = dev.create("a"), dev.create("b")
    with vs.Sleeper() as pid:
        dev.place(pid, a)
        dev.place(pid, a)
        vs.eq((tasks(dev, a), tasks(dev, b)), (1, 0))
        dev.place(pid, b)
        vs.eq((tasks(dev, a), tasks(dev, b)), (0, 1))
        dev.place(pid, vs.ROOT)
        vs.eq((tasks(dev, a), tasks(dev, b)), (0, 0))


@vs.gated
def what_cannot_be_placed(dev):
    """A descriptor that is no pidfd: EBADF; a task that has exited: ESRCH; an unknown service:
    ENOENT
    """
    a = dev.create("a")
    for fd in (-1, dev.fd, 12345):
        vs.refused(errno.EBADF, "FD", dev.call, "PLACE_TASK", pidfd=fd, id=a)
    child = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(child.pid)
    child.wait()
    vs.refused(errno.ESRCH, "NO_TASK", dev.call, "PLACE_TASK", pidfd=pidfd, id=a)
    os.close(pidfd)
    vs.refused(errno.ENOENT, "NO_SERVICE", dev.place, os.getpid(), a + 1)
    vs.eq(tasks(dev, a), 0)


def forks(count):
    """The errno at which forking `count` children, all alive at once, stops (0: it does not), and
    how many there were.
    """
    made, number = [], 0
    while len(made) < count and not number:
        try:
            pid = os.fork()
        except OSError as failure:
            number = failure.errno
            break
        if not pid:
            signal.pause()
        made.append(pid)
    for pid in made:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return errno.errorcode.get(number, "0"), len(made)


@vs.gated
def limits_above_bound_too(dev):
    """A limit bounds the service and all below it together"""
    a = dev.create("a")
    b, c = dev.create("b", a), dev.create("c", a)
    for id, limit in ((a, 5), (b, 3)):
        dev.detach(id, "tasks_max")
        dev.set(id, "tasks_max", limit)

    def within(id):
        dev.place(os.getpid(), id)
        return forks(10)

    with vs.Sleeper() as one, vs.Sleeper() as other:
        dev.place(one, c)
        dev.place(other, a)
        # a task that was reaped does not count any more: there is room again at once
        for _ in range(5):
            vs.eq(vs.in_child(lambda: within(b)), "('EAGAIN', 2)", "in b, its own limit")
            vs.eq(vs.in_child(lambda: within(c)), "('EAGAIN', 2)", "in c, the limit above")
    vs.eq((tasks(dev, a), tasks(dev, b), tasks(dev, c)), (0, 0, 0), "tasks")


@vs.gated
def fork_that_fails_late(dev):
    """A fork that fails after it was counted (the cgroup's limit of processes) is counted off"""
    if "pids" not in open(f"{CGROUPS}/cgroup.controllers", encoding="ascii").read().split():
        vs.skip("no pids controller")
    a = dev.create("a")
    group = f"{CGROUPS}/vs-late"
    with open(f"{CGROUPS}/cgroup.subtree_control", "w", encoding="ascii") as control:
        control.write("+pids")
    os.mkdir(group)
    try:
        with open(f"{group}/pids.max", "w", encoding="ascii") as limit:
            limit.write("3")

        def within():
            with open(f"{group}/cgroup.procs", "w", encoding="ascii") as procs:
                procs.write("0")
            dev.place(os.getpid(), a)
            got = [forks(10) for _ in range(20)]
            return set(got), tasks(dev, a)

        vs.eq(vs.in_child(within), "({('EAGAIN', 2)}, 1)", "forks, and tasks after them")
        vs.eq(sum(dev.stat(a).refused), 0, "refused by us")
    finally:
        vs.until(
            lambda: not open(f"{group}/cgroup.procs", encoding="ascii").read(), what="empty group"
        )
        os.rmdir(group)
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


@vs.gated
def clone_variants(dev):
    """After spawning (vfork, shared memory) and after clones that are refused the count is right"""
    a = dev.create("a")
    libc = ctypes.CDLL(None, use_errno=True)

    def variants():
        dev.place(os.getpid(), a)
        for _ in range(20):
            os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)
        for _ in range(50):
            # CLONE_SIGHAND without CLONE_VM is not possible
            vs.eq(libc.syscall(56, 0x800 | 17, 0, 0, 0, 0), -1, "clone")
        return tasks(dev, a)

    vs.eq(vs.in_child(variants), "1", "tasks")
    vs.until(lambda: tasks(dev, a) == 0, what="no task")


vs.adopt()
vs.main()
