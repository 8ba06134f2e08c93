#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 120
"""`vsctl up` while another sched_ext scheduler runs: the kernel source's scx_simple."""

import contextlib
import errno
import os
import pathlib
import subprocess

import cpu
import vs

PEER = pathlib.Path(f"/kernels/{os.environ.get('KREL')}/peers/build/bin/scx_simple")
PINS = pathlib.Path("/sys/fs/bpf/vs")


@contextlib.contextmanager
def simple():
    """Runs scx_simple; in a with block."""
    if not PEER.exists():
        vs.skip("scx_simple is not built: tools/vm/setup --peers")
    with subprocess.Popen([PEER], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as peer:
        try:
            vs.until(lambda: cpu.scheduler() == "simple", 20, "scx_simple runs")
            yield
            vs.eq(cpu.scheduler(), "simple", "scheduler, still")
        finally:
            peer.terminate()
    vs.until(lambda: cpu.scheduler() is None, 20, "scx_simple has ended")


@vs.test
def refused(dev):
    """`vsctl up` names it, ends with status 5, and leaves nothing half up"""
    with simple():
        done = vs.run("vsctl", "up")
        vs.eq(done.returncode, 5, "exit status")
        if "simple" not in done.stderr:
            raise AssertionError(f"it is not named: {done.stderr}")
        vs.eq(
            PINS.exists() and [path.name for path in PINS.rglob("*") if path.is_file()],
            False,
            "pinned",
        )
        vs.refused(errno.ENOTCONN, "NO_GATES", dev.place, os.getpid(), dev.create("a"))


@vs.test
def accounts(dev):
    """Beside another scheduler, after `vsctl up --no-sched`, charges equal the kernel's count"""
    with simple():
        vs.vsctl("up", "--no-sched")
        try:
            if "simple" not in vs.vsctl("status"):
                raise AssertionError("`vsctl status` does not name it")
            cpu.exact(dev, [dev.create("a")], lambda: cpu.spin(0.5), *cpu.ping_pong(500))
        finally:
            vs.vsctl("down")


@cpu.scheduled
def afterwards(dev):
    """Once the other scheduler has gone, scx_vs runs and shares"""
    ids = [cpu.service(dev, "a", cpu_weight=300), cpu.service(dev, "b", cpu_weight=100)]
    with cpu.spinning(dev, *((id, 3) for id in ids)):
        cpu.near(cpu.shares(dev, ids, 5), [75, 25], 1.5, "percent")


@cpu.scheduled
def ours(dev):
    """While scx_vs runs, the other scheduler is refused"""
    if not PEER.exists():
        vs.skip("scx_simple is not built: tools/vm/setup --peers")
    done = subprocess.run(
        [PEER], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=False
    )
    if not done.returncode:
        raise AssertionError("scx_simple was not refused")
    vs.eq(dev.find("root").id, vs.ROOT)


vs.main()
