# SPDX-License-Identifier: MIT OR Apache-2.0
"""Schedulers to be compared, each with a tree of parties in its own form: services or control
groups.

A tree is {name: (parent or None, weight, ...)}, parents first. Only one set-up exists at a time.
"""

import contextlib
import os
import pathlib
import signal
import subprocess

import cpu  # of the selftests
import gates
from part import loaded, vs

CGROUPS = pathlib.Path("/sys/fs/cgroup")
PEERS = pathlib.Path(f"/kernels/{os.environ['KREL']}/peers/build/bin")


@contextlib.contextmanager
def prepared():
    """The module is there, and control groups have weights."""
    (CGROUPS / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
    with loaded():
        yield


@contextlib.contextmanager
def spinning(where, names):
    """A task that spins for each name, in the party of that name (None: in none), until the end.
    They begin when all are in their places: a task that is moved while it waits for the CPU is
    served once more in its old party.
    """
    pids = []
    try:
        for name in names:
            pid = os.fork()
            if not pid:
                signal.raise_signal(signal.SIGSTOP)
                while True:
                    pass
            pids.append(pid)
            os.waitpid(pid, os.WUNTRACED)
            if name:
                where.place(pid, name)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


class Services:
    """Virtual services under scx_vs."""

    name = "scx_vs"

    def __init__(self, tree):
        self.device, self.ids = vs.Device(), {}
        for name, (parent, weight, *_) in tree.items():
            self.ids[name] = cpu.service(
                self.device, name, self.ids[parent] if parent else vs.ROOT, cpu_weight=weight
            )

    def place(self, pid, name):
        self.device.place(pid, self.ids[name])

    def enter(self, name):
        gates.enter(self.device, self.ids[name] if name else vs.ROOT)

    def used(self, name):
        return self.device.stat(self.ids[name]).cpu_ns / 1e9

    def close(self):
        self.device.wipe()
        self.device.close()

    @staticmethod
    @contextlib.contextmanager
    def scheduler():
        vs.vsctl("up")
        yield
        vs.eq(cpu.scheduler(), "vs", "scheduler at the end")
        vs.vsctl("down")


class Groups:
    """Control groups under the kernel's own scheduler."""

    name = "EEVDF, cpu.weight"

    def __init__(self, tree):
        self.paths = {}
        for name, (parent, weight, *_) in tree.items():
            path = self.paths[name] = (self.paths[parent] if parent else CGROUPS) / name
            if parent:
                (path.parent / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
            path.mkdir()
            (path / "cpu.weight").write_text(str(weight), encoding="ascii")

    def place(self, pid, name):
        (self.paths[name] / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def enter(self, name):
        ((self.paths[name] if name else CGROUPS) / "cgroup.procs").write_text("0", encoding="ascii")

    def used(self, name):
        return int((self.paths[name] / "cpu.stat").read_text(encoding="ascii").split()[1]) / 1e6

    def close(self):
        for path in reversed(self.paths.values()):
            vs.until(
                lambda path=path: (
                    "populated 0" in (path / "cgroup.events").read_text(encoding="ascii")
                ),
                what="empty",
            )
            path.rmdir()

    @staticmethod
    @contextlib.contextmanager
    def scheduler():
        vs.eq(cpu.scheduler(), None, "scheduler")
        yield


class Peer(Groups):
    """Control groups under another sched_ext scheduler."""

    peer = ""

    @classmethod
    @contextlib.contextmanager
    def scheduler(cls):
        with subprocess.Popen([PEERS / f"scx_{cls.peer}"], stdout=subprocess.DEVNULL) as process:
            vs.until(lambda: cpu.scheduler() == cls.peer, 20, f"scx_{cls.peer} runs")
            yield
            vs.eq(cpu.scheduler(), cls.peer, "scheduler at the end")
            process.terminate()
        vs.until(lambda: cpu.scheduler() is None, 20, f"scx_{cls.peer} has ended")


class Flat(Peer):
    """By the groups' weights. (Start it for each tree: it does not cope with a group's id that is
    used again.)
    """

    name, peer = "scx_flatcg, cpu.weight", "flatcg"


class Simple(Peer):
    """One queue for all: the groups have no meaning."""

    name, peer = "scx_simple", "simple"


class Accounted(Groups):
    """Control groups under the kernel's own scheduler, and the same tree of services, to which CPU
    time is charged.
    """

    name = "EEVDF, cpu.weight, up --no-sched"

    def __init__(self, tree):
        super().__init__(tree)
        self.services = Services(tree)

    def place(self, pid, name):
        super().place(pid, name)
        self.services.place(pid, name)

    def close(self):
        super().close()
        self.services.close()

    @staticmethod
    @contextlib.contextmanager
    def scheduler():
        vs.vsctl("up", "--no-sched")
        yield
        vs.vsctl("down")
