# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fault injection: allocations fail in the middle of one call, in kernels that can do this (make
check-debug).

There are two systematic ways. nth(): the first allocation that the call makes fails, then the
second, and so on until it makes no more. shortage(): the call has a limited number of bytes of slab
memory, from none up to as many as it needs. So code that falls back on another allocation when one
fails finds that one refused, too.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import sys

import vs

DEBUG = pathlib.Path("/sys/kernel/debug")
SLAB, PAGES, COPIES = DEBUG / "failslab", DEBUG / "fail_page_alloc", DEBUG / "fail_usercopy"
MANY = 1000000000
ENDLESS = 5000  # no call tested here makes so many allocations
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number, *arguments):
    """Makes a raw system call; returns its result, or minus the errno."""
    result = _libc.syscall(
        ctypes.c_long(number),
        *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments),
    )
    return -ctypes.get_errno() if result < 0 else result


def _set(directory, **values):
    for name, value in values.items():
        (directory / name.replace("_", "-")).write_text(str(value), encoding="ascii")


class _Thread:
    """A file of the calling thread's in /proc, opened once: nothing but the call lies between
    arming and disarming.
    """

    def __init__(self, name):
        self.fd = os.open(f"/proc/thread-self/{name}", os.O_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def write(self, value):
        try:
            os.write(self.fd, value)
        except OSError as error:
            # the fault that was left over has hit this very write
            if error.errno != errno.EFAULT:
                raise
            os.write(self.fd, value)


def once(n, call, file=None):
    """Calls call() with its nth allocation failing. Returns its result, and whether a fault was
    injected.
    """
    with contextlib.ExitStack() as stack:
        file = file or stack.enter_context(_Thread("fail-nth"))
        number = b"%d" % n
        file.write(number)
        result = call()
        try:
            left = os.pread(file.fd, 16, 0)
        except OSError:
            left = b"1"  # the fault has hit this read
        file.write(b"0")
    return result, left.strip() == b"0"


def nth(call):
    """Calls call() with its nth allocation failing, n = 1, 2, ... Yields n and its result, as long
    as a fault was injected; at last 0 and its result without a fault.
    """
    with _Thread("fail-nth") as file:
        for n in range(1, ENDLESS):
            result, injected = once(n, call, file)
            yield n if injected else 0, result
            if not injected:
                return
    raise AssertionError(f"faults without end: {ENDLESS}")


def shortage(call, step=64):
    """Calls call() with 0, step, 2 * step, ... bytes of slab memory left. Yields as nth() does,
    with the number of the step for n, from 1.
    """
    with _Thread("make-it-fail") as file:
        for n in range(1, ENDLESS):
            _set(SLAB, space=(n - 1) * step, times=MANY, probability=100)
            file.write(b"1")
            result = call()
            file.write(b"0")
            _set(SLAB, probability=0)
            injected = int((SLAB / "times").read_text(encoding="ascii")) != MANY
            yield n if injected else 0, result
            if not injected:
                return
    raise AssertionError(f"no end after {ENDLESS * step} bytes")


def caches(files, percent):
    """Lets allocations from some caches fail at random, in any context; 0: no more."""
    _set(SLAB, probability=0)  # first: without the filter, everything would fail
    for file in files:
        file.write_text("1" if percent else "0", encoding="ascii")
    _set(
        SLAB,
        cache_filter="Y" if percent else "N",
        task_filter="N" if percent else "Y",
        times=-1,
        space=0,
        probability=percent,
    )


def main():
    """Calls vs.main() if faults can be injected."""
    if not (SLAB.exists() and os.path.exists("/proc/self/fail-nth")):
        print("1..0 # SKIP this kernel injects no faults: make check-debug has one that does")
        sys.exit(4)
    for directory in SLAB, PAGES, COPIES:
        _set(directory, probability=0, interval=1, times=-1, space=0, verbose=0)
    for directory in SLAB, PAGES:
        _set(directory, ignore_gfp_wait="N")
    _set(SLAB, task_filter="Y")
    _set(PAGES, min_order=0)
    # a fault must hit the call, not a page of this process that is not mapped yet
    _libc.mlockall(3)
    vs.main()
