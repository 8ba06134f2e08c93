#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
# module: no
"""Network namespaces with traffic come and go while the gate goes on and off; and the module is
unloaded meanwhile.
"""

import fcntl
import os
import socket
import struct
import subprocess
import threading
import time

import netns
import vs
from netns import Namespace
from threads import Thread

MODULE = os.environ["VS_MODULE"]
NAMESPACES = 200


class Talker(Thread):
    """Sends datagrams by loopback in a namespace while the test goes on."""

    def __init__(self, space):
        super().__init__(self.talk)
        self.space, self.stop, self.count = space, threading.Event(), 0

    def talk(self):
        with self.space.inside():
            one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        with one, other:
            for sock in one, other:
                sock.settimeout(10)
                sock.bind(("127.0.0.1", 0))
            while not self.stop.is_set():
                one.sendto(bytes(100), other.getsockname())
                other.recv(200)
                self.count += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.end()
        if not self.count:
            raise AssertionError("there was no traffic")


def flash():
    """Makes a namespace for the calling thread, uses it, and ends the thread with it."""
    os.unshare(os.CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # SIOCSIFFLAGS, IFF_UP
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 1))
        sock.settimeout(10)
        sock.bind(("127.0.0.1", 5000))
        sock.sendto(b"x", ("127.0.0.1", 5000))
        vs.eq(sock.recv(10), b"x", "a datagram to itself")


def storm(count):
    """Makes so many namespaces, one after the other."""
    for _ in range(count):
        one = Thread(flash)
        one.start()
        one.end()


@vs.test
def storms():
    """200 namespaces come and go while the gate goes on and off 20 times"""
    vs.command("insmod", MODULE)
    try:
        device = vs.Device()
        with Namespace("calm") as calm:
            with Talker(calm):
                halves = [Thread(storm, NAMESPACES // 2) for _ in range(2)]
                for one in halves:
                    one.start()
                for n in range(20):
                    device.packets(1 - n % 2)
                device.packets(1)
                for one in halves:
                    one.end()
            before = netns.settled(lambda: netns.counted(device))
            with Talker(calm) as more:
                time.sleep(0.2)
            counted = netns.difference(before, netns.settled(lambda: netns.counted(device)))
            vs.eq((counted[0], counted[2]), (more.count, more.count), "packets counted in and out")
        device.close()
    finally:
        vs.command("rmmod", "vs")


@vs.test
def unload():
    """The module is unloaded while the gate is on and packets are under way, ten times"""
    with Namespace("one") as one, Namespace("two"), Talker(one):
        for _ in range(10):
            vs.command("insmod", MODULE)
            device = vs.Device()
            device.packets(1)
            before = netns.counted(device)
            vs.until(lambda: netns.counted(device) != before, what="packets counted")
            device.close()
            vs.command("rmmod", "vs")
    hooks = subprocess.run(
        ["nft", "list", "hooks"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout
    if "[vs]" in hooks:
        raise AssertionError(f"hooks are left:\n{hooks}")


vs.main()
