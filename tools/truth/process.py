# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tells when a process that has been placed can begin."""

import pathlib
import time

import vs

STILL = 0.1  # seconds without CPU time


def used(pid):
    """The CPU time that a process of one thread has used, in nanoseconds."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


def until_waiting(*pids):
    """Waits until all processes have slept for a while: they have read nothing yet, so they wait
    for their first line.
    """

    def still():
        before = [used(pid) for pid in pids]
        time.sleep(STILL)
        states = [
            pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1][0]
            for pid in pids
        ]
        return set(states) <= {"S"} and before == [used(pid) for pid in pids]

    vs.until(still, 60, "all wait to be told")
