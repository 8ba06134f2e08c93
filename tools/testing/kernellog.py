# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads the kernel's reports: its log, and those of kmemleak."""

import os
import pathlib
import re
import time

from selftest import REPO

LEAKS = pathlib.Path("/sys/kernel/debug/kmemleak")
FAULT = re.compile(
    "|".join(
        line
        for line in (REPO / "tools/vm/reports").read_text().splitlines()
        if not line.startswith("#")
    )
)


class KernelLog:
    """The kernel's log from the moment this is made."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def faults(self, expected=()):
        """The lines since the last call that report a fault, without those that match one of
        `expected`.
        """
        found = []
        while True:
            try:
                line = (
                    os.read(self.fd, 8192)
                    .decode(errors="replace")
                    .split(";", 1)[-1]
                    .split("\n", 1)[0]
                )
            except BlockingIOError:
                return found
            except BrokenPipeError:
                continue  # overrun: the oldest lines are gone, the reader is now at the next one
            if FAULT.search(line) and not any(re.search(pattern, line) for pattern in expected):
                found.append(line)


def leaks():
    """Runs kmemleak and returns its reports; None in a kernel without it.

    An object counts as lost when two scans find no pointer to it and it has not changed between
    them; kmemleak leaves out the youngest objects, so an object that the last test lost must first
    be 5 seconds old.
    """
    if not LEAKS.exists():
        return None
    for _ in range(2):
        time.sleep(6)
        LEAKS.write_text("scan", encoding="ascii")
    found = re.split(
        r"^(?=unreferenced object)", LEAKS.read_text(encoding="utf-8", errors="replace"), flags=re.M
    )
    return [report for report in found if report.strip()]
