#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 240
"""Several threads make changes at once while tasks are born, die and change their service: counts
come out even.
"""

import os
import signal
import subprocess
import time

import vs
from threads import Thread

FUZZ = os.path.join(os.environ["VS_BUILD"], "testing/fuzz")
STORM = ["bash", "-c", "while :; do (:); (:) & done"]


def settled(dev):
    """Checks that every service is free of tasks and sockets, and that all can go."""

    def held():
        return [
            (vs.text(s.name), dev.stat(s.id).tasks, dev.stat(s.id).sockets)
            for s in dev.services()
            if s.id and (dev.stat(s.id).tasks or dev.stat(s.id).sockets)
        ]

    vs.until(lambda: not held(), 10, "no service has a task or socket")
    dev.apply(prune=True)
    vs.eq(len(dev.services()), 1)


@vs.test
def many_threads(dev):
    """Two threads of random commands leave a well formed tree"""
    done = vs.run(FUZZ, "60000", "7", "2")
    vs.eq(done.returncode, 0, done.stdout)
    settled(dev)


@vs.gated
def fork_storm(dev):
    """Random commands and placements of two threads in a storm of forks: no task is left counted"""
    storm = [subprocess.Popen(STORM, start_new_session=True) for _ in range(2)]
    try:
        done = vs.run(FUZZ, "30000", "11", "2")
        vs.eq(done.returncode, 0, done.stdout)
        ids = [dev.create(f"storm{number}") for number in range(4)]
        for number in range(40):
            dev.place(storm[number & 1].pid, ids[number & 3])
    finally:
        vs.kill_sessions(*storm)
    settled(dev)


@vs.gated
def destroyed_under_their_feet(dev):
    """Services destroyed with an heir while their tasks fork: the heir gets all tasks"""
    heir = dev.create("heir")
    storm = subprocess.Popen(STORM, start_new_session=True)
    try:
        for number in range(60):
            victim = dev.create(f"victim{number}")
            dev.place(storm.pid, victim)
            dev.destroy(victim, heir)
            vs.within(dev.stat(heir).tasks, 1, 100000, "the heir's tasks")
    finally:
        vs.kill_sessions(storm)
    settled(dev)


@vs.gated
def moved_while_counting(dev):
    """A subtree moved between limited parents while its tasks come and go: all counts end at
    nothing
    """
    left, right = dev.create("left"), dev.create("right")
    child = dev.create("child", left)
    for id in (left, right):
        dev.detach(id, "tasks_max")
        dev.set(id, "tasks_max", 1000)
    storm = subprocess.Popen(STORM, start_new_session=True)

    def move():
        own = vs.Device()
        for number in range(200):
            own.move(child, (right, left)[number & 1])
        own.close()

    mover = Thread(move)
    try:
        dev.place(storm.pid, child)
        mover.start()
        while mover.is_alive():
            dev.stat(child)
            time.sleep(0.01)
        mover.end()
    finally:
        mover.join()
        vs.kill_sessions(storm)
    vs.until(lambda: dev.stat(child).tasks == 0, 10, "the child has no task")
    # nothing must count against the limits any more: each admits its full number again
    for id in (left, right):
        dev.set(id, "tasks_max", 2)
    dev.move(child, right)
    vs.eq(
        vs.in_child(lambda: dev.place(os.getpid(), child) or forks(3)),
        "1",
        "forks within a limit of 2",
    )
    settled(dev)


def forks(count):
    """How many children of `count` can be forked, all alive at once."""
    made = []
    for _ in range(count):
        try:
            pid = os.fork()
        except OSError:
            break
        if not pid:
            signal.pause()
        made.append(pid)
    for pid in made:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(made)


vs.adopt()
vs.main()
