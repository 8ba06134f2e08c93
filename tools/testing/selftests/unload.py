#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
# module: no
"""Loading, using and unloading the module, fifty times; and unloading refused while something uses
it.
"""

import contextlib
import os
import shutil
import socket

import vs

ROUNDS = 50
MODULE = "/tmp/vs.ko"  # in memory, so that loading does not read it from the host over and over
shutil.copy(os.environ["VS_MODULE"], MODULE)


def load(*parameters):
    done = vs.run("insmod", MODULE, *parameters)
    if done.returncode:
        raise AssertionError(f"insmod: {done.stderr.strip()}")


def unload():
    return vs.run("rmmod", "vs").returncode


def idle():
    """Waits until nothing refers to the module: programs that were detached are freed a grace
    period later.
    """
    with open("/sys/module/vs/refcnt", encoding="ascii") as count:
        vs.until(
            lambda: count.seek(0) or int(count.read()) == 0, 10, "the module is not referred to"
        )


@contextlib.contextmanager
def loaded(*parameters):
    """The module, loaded; at the end it must go, with nothing left."""
    load(*parameters)
    try:
        yield
    except BaseException:
        vs.run("vsctl", "down")
        idle()
        unload()
        raise
    idle()
    vs.eq(unload(), 0, "rmmod")
    vs.eq(left_behind(), [])


def use():
    """Makes an example of everything that is kept in memory."""
    dev = vs.Device()
    try:
        a = dev.create("a")
        b = dev.create("b", a)
        dev.detach(a, "tasks_max")
        # an id that forwards to another's service, which comes before it
        dev.destroy(dev.create("gone", id=7002), dev.create("heir", id=7001))
        dev.add("accept", [a], [vs.REF(1)], peer="10.0.0.0", peer_len=104)
        dev.add("exec", [], [b], path="/usr/bin/x")
        dev.apply(
            [vs.config_service(f"n{n}", n) for n in range(8)],
            [vs.rule("exec", [n % 9]) for n in range(100)],
        )
        dev.packets(1)
    finally:
        dev.close()


def left_behind():
    return [
        path for path in ("/dev/vsctl", "/sys/module/vs", "/sys/fs/bpf/vs") if os.path.exists(path)
    ]


@vs.test
def fifty_times():
    """Loaded, used and unloaded 50 times, with services, rules and packet hooks in place at the
    end
    """
    for number in range(ROUNDS):
        load()
        use()
        vs.eq(unload(), 0, f"rmmod, round {number + 1}")
        vs.eq(left_behind(), [], f"left, round {number + 1}")


@vs.test
def never_used():
    """Loaded and unloaded at once"""
    with loaded():
        pass


@vs.test
def refused_while_open():
    """While the device is open the module stays; when it is closed it goes"""
    with loaded():
        dev = vs.Device()
        try:
            vs.eq(unload() != 0, True, "rmmod refused")
            dev.create("a")
        finally:
            dev.close()


@vs.test
def refused_while_gates_are_attached():
    """While gates are attached the module stays, and works; after vsctl down it goes"""
    with loaded():
        vs.vsctl("up", "--no-sched")
        vs.vsctl("create", "a")
        vs.eq(unload() != 0, True, "rmmod refused")
        vs.eq("a" in vs.vsctl("ls"), True, "the service is still there")
        vs.vsctl("down")


@vs.test
def generation_begins():
    """The generation of a module just loaded is not 0, the value in the scheduler's copies before
    they are made
    """
    with loaded():
        dev = vs.Device()
        try:
            vs.eq(dev.info().generation > 0, True, "generation")
        finally:
            dev.close()


@vs.test
def down_with_tags_about():
    """Down while processes and sockets carry tags: they go on, and the module can be unloaded"""
    with socket.socket() as sock, vs.Sleeper() as pid:
        with loaded():
            vs.vsctl("up", "--no-sched")
            dev = vs.Device()
            try:
                a = dev.create("a")
                dev.place(pid, a)
                dev.place_socket(sock, a)
            finally:
                dev.close()
            vs.vsctl("down")
        os.kill(pid, 0)


vs.main()
