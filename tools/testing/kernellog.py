# SPDX-License-Identifier: GPL-2.0
"""What the kernel has reported in its log."""
import os
import re

from selftest import REPO

FAULT = re.compile("|".join(line for line in (REPO / "tools/vm/reports").read_text().splitlines() if not line.startswith("#")))


class KernelLog:
    """The kernel's log from the moment this is made."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def faults(self, expected=()):
        """The lines since the last call that tell of a fault, those that match one of `expected` left out."""
        found = []
        while True:
            try:
                line = os.read(self.fd, 8192).decode(errors="replace").split(";", 1)[-1].split("\n", 1)[0]
            except BlockingIOError:
                return found
            except BrokenPipeError:
                continue  # overrun: the oldest lines are gone, the reader is now at the next one
            if FAULT.search(line) and not any(re.search(pattern, line) for pattern in expected):
                found.append(line)
