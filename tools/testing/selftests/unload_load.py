#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 300
# module: no
"""Unloading during traffic: refused while something uses the module, and clean once nothing
does.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess

import cpu
import vs
from threads import Repeating, end

ROUNDS = int(os.environ.get("VS_ROUNDS", 1))
MODULE = "/tmp/vs.ko"
shutil.copy(os.environ["VS_MODULE"], MODULE)
# steady, but no flood: a long wait for vsctl would show nothing
FORKS = ["nice", "-n", "19", "bash", "-c", "while :; do (:); (:) & sleep 0.02; done"]


def refused(why):
    """Checks that rmmod is refused, and says that the module is in use."""
    done = vs.run("rmmod", "vs")
    if not done.returncode or "in use" not in done.stderr:
        raise AssertionError(f"rmmod with {why}: exit {done.returncode}: {done.stderr}")


def gone():
    """Unloads the module at once, and checks that nothing of it is left."""
    vs.command("rmmod", "vs")
    left = [
        path for path in ("/dev/vsctl", "/sys/module/vs", "/sys/fs/bpf/vs") if os.path.exists(path)
    ]
    vs.eq((left, cpu.scheduler()), ([], None), "left behind")


class Traffic:
    """Makes connections, datagrams and forks, one after the other, in this process and a child;
    `rounds` counts exchanges.
    """

    def __init__(self):
        self.threads = [Repeating(work, 0.01) for work in (self._connect, self._send)]

    @property
    def rounds(self):
        return sum(one.rounds for one in self.threads)

    @staticmethod
    def _connect():
        with socket.create_server(("127.0.0.1", 0)) as server:
            with (
                socket.create_connection(server.getsockname(), 20) as client,
                server.accept()[0] as worker,
            ):
                client.sendall(b"x" * 1000)
                vs.eq(worker.recv(1000, socket.MSG_WAITALL), b"x" * 1000, "what was sent")

    @staticmethod
    def _send():
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            one.settimeout(20)
            one.bind(("127.0.0.1", 0))
            other.sendto(b"y", one.getsockname())
            vs.eq(one.recv(10), b"y", "a datagram")

    def _failures(self):
        return [one.failure for one in self.threads if one.failure]

    def goes_on(self):
        """Checks that there is traffic now."""
        was = self.rounds
        vs.until(lambda: self._failures() or self.rounds > was + 5, 20, "traffic goes on")
        vs.eq(self._failures(), [], "failures")

    def __enter__(self):
        self.forks = subprocess.Popen(FORKS, start_new_session=True)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        try:
            end(self.threads)
        finally:
            vs.kill_sessions(self.forks)


@contextlib.contextmanager
def opened():
    dev = vs.Device()
    try:
        yield dev
    finally:
        dev.close()


@vs.test
def rounds():
    """Unloading is refused while gates and scheduler run; after `vsctl down` it succeeds at once,
    during tagged traffic
    """
    with Traffic() as traffic:
        for _ in range(ROUNDS):
            vs.command("insmod", MODULE)
            vs.vsctl("up")
            with opened() as dev:
                dev.place(os.getpid(), dev.create("a"))
                dev.place(traffic.forks.pid, dev.create("b"))
                dev.add("accept", [], [vs.REF(1)])
            traffic.goes_on()
            refused("gates and scheduler")
            vs.vsctl("up", "--no-sched")
            refused("gates")
            traffic.goes_on()
            vs.eq(vs.run("vsctl", "down").returncode, 0, "down")
            gone()
            traffic.goes_on()


@vs.test
def open_device():
    """Unloading is refused while the device is open; `vsctl down` says so, with the name of the
    process that has it open
    """
    vs.command("insmod", MODULE)
    with opened():
        vs.vsctl("up", "--no-sched")
        done = vs.run("vsctl", "down")
        vs.eq(done.returncode, 0, done.stderr)
        name = pathlib.Path("/proc/self/comm").read_text(encoding="ascii").strip()
        if f"{os.getpid()} ({name}) has /dev/vsctl open" not in done.stderr:
            raise AssertionError(f"down does not say who: {done.stderr}")
        refused("an open device")
    gone()


@vs.test
def pinned_elsewhere():
    """Unloading is refused while another pin holds a gate; `vsctl down` says so; unloading is clean
    when that pin is gone
    """
    vs.command("insmod", MODULE)
    vs.vsctl("up", "--no-sched")
    other = pathlib.Path("/sys/fs/bpf/kept")
    vs.command(
        "bpftool", "link", "pin", "pinned", "/sys/fs/bpf/vs/links/fork__task_alloc", str(other)
    )
    try:
        done = vs.run("vsctl", "down")
        vs.eq(done.returncode, 6, done.stderr)
        if "fork__task_allo" not in done.stderr:
            raise AssertionError(f"down does not say what: {done.stderr}")
        refused("a pinned gate")
    finally:
        other.unlink()
    vs.eq(vs.run("vsctl", "down").returncode, 0, "down again")
    gone()


vs.adopt()
vs.main()
