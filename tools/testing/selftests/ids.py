#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Ids: a tag that still exists must never name a tenant that it was not made for."""

import errno
import socket
import subprocess

import vs


@vs.test
def ids_go_round(dev):
    """A freed id is not the next to be given out"""
    given = []
    for n in range(200):
        given.append(dev.create(f"n{n}"))
        dev.destroy(given[-1])
    vs.eq(len(set(given)), 200, "different ids")
    vs.within(min(given), 1, dev.info().ids_max - 1)


@vs.test
def ids_can_be_asked_for(dev):
    """An id can be asked for, except one that is in use or is no id"""
    vs.eq(dev.create("a", id=4321), 4321)
    vs.refused(errno.EEXIST, "ID_TAKEN", dev.create, "b", id=4321)
    vs.refused(errno.EEXIST, "ID_TAKEN", dev.create, "b", id=vs.ROOT)
    vs.eq(dev.create("last", id=dev.info().ids_max - 1), dev.info().ids_max - 1)
    for id in (dev.info().ids_max, 0xFFF0, 0xFFFF, 0x10000, vs.REF(0), vs.HOME, 0xFFFFFFFE):
        try:
            dev.create("b", id=id)
        except vs.Refused as refusal:
            vs.eq(refusal.errno in (errno.EINVAL, errno.ENOENT, errno.ERANGE), True, str(refusal))
        else:
            raise AssertionError(f"id {id:#x} was given out")


def given(dev, id):
    """Creates a service with this id if it can be had."""
    try:
        return dev.create("next", id=id) == id
    except vs.Refused:
        return False


@vs.gated
def carried_id_is_not_given_out(dev):
    """An id that a process carries is not given out again until the process has ended"""
    a, heir = dev.create("a"), dev.create("heir")
    with vs.Sleeper() as pid:
        dev.place(pid, a)
        refusal = vs.refused(errno.EBUSY, "HAS_TASKS", dev.destroy, a)
        vs.eq(refusal.argument.tasks, 1, "tasks")
        dev.destroy(a, heir)
        vs.eq(dev.stat(heir).tasks, 1, "the heir's tasks")
        vs.refused(errno.EEXIST, "ID_TAKEN", dev.create, "thief", id=a)
    vs.until(lambda: dev.stat(heir).tasks == 0, what="the heir has no task")
    vs.until(lambda: given(dev, a), what="the id is free again")


@vs.gated
def marks_of_a_destroyed_service(dev):
    """A socket that carries a destroyed service's id keeps the id from being given out, as long as
    it lives
    """
    a = dev.create("a")
    with socket.socket() as sock:
        dev.place_socket(sock, a)
        refusal = vs.refused(errno.EBUSY, "HAS_SOCKETS", dev.destroy, a)
        vs.eq(refusal.argument.sockets, 1, "sockets")
        dev.destroy(a, vs.ROOT)
        vs.refused(errno.EEXIST, "ID_TAKEN", dev.create, "thief", id=a)
    vs.until(lambda: given(dev, a), what="the id is free again")


@vs.gated
def child_of_the_moved(dev):
    """A child forked after its parent's service was destroyed belongs to the heir"""
    a, heir = dev.create("a"), dev.create("heir")
    shell = subprocess.Popen(
        ["bash", "-c", "read; sleep 1000 & echo; wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        dev.place(shell.pid, a)
        dev.destroy(a, heir)
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        shell.stdout.readline()
        vs.eq(dev.stat(heir).tasks, 2, "the heir's tasks")
    finally:
        vs.kill_sessions(shell)
    vs.until(lambda: dev.stat(heir).tasks == 0, what="the heir has no task")


vs.adopt()
vs.main()
