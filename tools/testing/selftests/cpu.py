# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library of selftests of scheduler and accounting: tasks that spin, and the CPU time of each
service.

All figures are CPU times as vs.ko has charged them.
"""

import contextlib
import os
import pathlib
import signal
import time
import traceback

import gates
import vs

SCHED_EXT = pathlib.Path("/sys/kernel/sched_ext")
DONE, FAILED = b"x", b"!"
WARM_UP = 0.5  # seconds, until tasks that were just started have found their places
# seconds of CPU time in one VS, of tasks that change it: long beside the change itself, under
# emulation too
SLOT = 0.02 * vs.SLOWNESS


def scheduler():
    """The name of the sched_ext scheduler that runs, or None."""
    if (SCHED_EXT / "state").read_text(encoding="ascii").strip() != "enabled":
        return None
    return (SCHED_EXT / "root/ops").read_text(encoding="ascii").strip()


def scheduled(function):
    """Marks a case that needs gates and scheduler. Both are brought up for it, and the scheduler
    must outlive it.
    """

    def run(dev):
        vs.vsctl("up")
        try:
            vs.eq(scheduler(), "vs", "scheduler")
            function(dev)
            vs.eq(scheduler(), "vs", "scheduler at the end")
        finally:
            vs.vsctl("down")

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    return vs.test(run)


def service(dev, name, parent=vs.ROOT, **attributes):
    """Creates a service with attributes of its own (cpu_weight, cpu_cap); returns its id."""
    id = dev.create(name, parent)
    for attribute, value in attributes.items():
        dev.detach(id, attribute)
        dev.set(id, attribute, value)
    return id


def _spin():
    while True:
        pass


def _tried(job, /, *arguments, **more):
    """Does a job in a process of its own; returns whether it succeeded. An exception of the job
    ends here: otherwise the process would go on with the test as if it were its parent.
    """
    try:
        job(*arguments, **more)
        return True
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        return False


def _run(cpu, nice, job):
    """Runs in a process of spinning(): sets it up, then does its job."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    os.nice(nice)
    job()


@contextlib.contextmanager
def first_in_line():
    """Lets the test not wait for the tasks that it measures: it is real-time, its children are
    not.
    """
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def spinning(dev, *groups):
    """Runs tasks that never wait: for each (id, count), with a third element {cpu, nice, job} that
    says where and what they run. Yields their pids.
    """
    pids = []
    try:
        for id, number, *how in groups:
            for _ in range(number):
                pid = os.fork()
                if not pid:
                    _tried(
                        _run, **{"cpu": None, "nice": 0, "job": _spin, **(how[0] if how else {})}
                    )
                    os._exit(1)
                pids.append(pid)
                dev.place(pid, id)
        time.sleep(WARM_UP)
        yield pids
    finally:
        for pid in reversed(pids):  # tasks that starve the others come last, and are killed first
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def used(dev, ids, seconds):
    """Sleeps, and returns how many CPUs each service used meanwhile on average. The sleep can be
    longer than asked for.
    """
    began, before = time.monotonic(), [dev.stat(id).cpu_ns for id in ids]
    time.sleep(seconds)
    elapsed, after = time.monotonic() - began, [dev.stat(id).cpu_ns for id in ids]
    return [(end - start) / 1e9 / elapsed for start, end in zip(before, after)]


def shares(dev, ids, seconds):
    """Returns each service's part of their CPU time together, in percent."""
    had = used(dev, ids, seconds)
    return [100 * one / sum(had) for one in had]


def near(got, wanted, tolerance, what):
    """Checks figures one by one; the tolerance is absolute."""
    print(
        f"# {what}: " + ", ".join(f"{one:.2f} ({want:g})" for one, want in zip(got, wanted)),
        flush=True,
    )
    for one, want in zip(got, wanted):
        vs.within(one, want - tolerance, want + tolerance, what)


def three_to_one(dev):
    """Checks that services of weights 300 and 100 share by them, four spinning tasks each."""
    ids = [service(dev, "a", cpu_weight=300), service(dev, "b", cpu_weight=100)]
    with spinning(dev, *((id, 4) for id in ids)):
        # on two CPUs in real time a checking kernel, four times slower on a busy host, has had 76.1
        near(shares(dev, ids, 8), [75, 25], 1 if vs.SLOWNESS == 1 else 2, "percent")


def runtime(pid):
    """CPU seconds of a task, by the kernel's own count."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def _blocked(pid):
    return (
        pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        == "S"
    )


def _work(job, start, done):
    """Runs in a process of exact(): waits for the start, does its job, reports whether it
    succeeded, and waits to be killed.
    """
    os.read(start, 1)
    os.write(done, DONE if _tried(job) else FAILED)
    os.read(start, 1)


def exact(dev, ids, *jobs):
    """Runs each job in a process of ids[0]; checks that the charges of the services `ids` together
    equal the kernel's count for these processes, to the nanosecond. Both figures are read while all
    processes wait.
    """
    start, done, pids = os.pipe(), os.pipe(), []

    def figures():
        vs.until(lambda: all(map(_blocked, pids)), 20, "all wait")
        time.sleep(0.2)  # a task that is about to wait is asleep then, and its CPU has switched
        counted = sum(
            int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
            for pid in pids
        )
        return counted, sum(dev.stat(id).cpu_ns for id in ids)

    try:
        for job in jobs:
            pid = os.fork()
            if not pid:
                _tried(_work, job, start[0], done[1])
                os._exit(1)
            pids.append(pid)
            dev.place(pid, ids[0])
        counted, charged = figures()
        os.write(start[1], b"x" * len(jobs))
        for _ in jobs:
            vs.eq(os.read(done[0], 1), DONE, "how a job ended")
        counted, charged = (now - was for now, was in zip(figures(), (counted, charged)))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        for fd in start + done:
            os.close(fd)
    print(f"# counted {counted} ns, charged {charged - counted:+d} ns", flush=True)
    vs.eq(charged, counted, "charged ns, beside what the kernel has counted")


def spin(seconds):
    """A job: runs for as many seconds of its own CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def ping_pong(rounds):
    """Two jobs that hand a byte to and fro, mostly in context switches."""
    there, back = os.pipe(), os.pipe()

    def ask():
        for _ in range(rounds):
            os.write(there[1], b"x")
            os.read(back[0], 1)

    def answer():
        for _ in range(rounds):
            os.read(there[0], 1)
            os.write(back[1], b"x")

    return ask, answer


def alternate(dev, one, other, seconds, last=vs.ROOT):
    """Works for `one` and for `other`, which gets twice as much, in turns, then for `last`; returns
    the CPU seconds in each.
    """
    spent = {one: 0.0, other: 0.0}
    gates.enter(dev, one)
    at, current = time.thread_time(), one
    end = at + seconds
    while at < end:
        until = at + (SLOT if current == one else 2 * SLOT)
        while time.thread_time() < until:
            pass
        following = other if current == one else one
        gates.enter(dev, following)
        now = time.thread_time()
        spent[current] += now - at
        at, current = now, following
    gates.enter(dev, last)
    return spent[one], spent[other]


def alternating(dev, crowd):
    """Checks that a task which changes its VS every few ms, among `crowd` others, is charged to
    each for its own time.
    """
    ids = service(dev, "a", cpu_weight=100), service(dev, "b", cpu_weight=100)
    with spinning(dev, (vs.ROOT, crowd)):
        alternate(dev, *ids, 0.2)  # so that all pages it needs are in memory
        before = [dev.stat(id).cpu_ns for id in ids]
        true = alternate(dev, *ids, 2)
        charged = [(dev.stat(id).cpu_ns - was) / 1e9 for id, was in zip(ids, before)]
    print(
        f"# {crowd} others: true {true[0]:.4f} {true[1]:.4f},"
        f" charged {charged[0]:.4f} {charged[1]:.4f}",
        flush=True,
    )
    for got, wanted in zip(charged, true):
        vs.within(got / wanted, 0.98, 1.02, "charged, in terms of the true time")
