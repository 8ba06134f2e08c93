# SPDX-License-Identifier: MIT OR Apache-2.0
"""An io_uring for the selftests."""

import ctypes
import mmap
import struct

_SETUP, _ENTER = 425, 426


class Ring:
    """An io_uring, without a library."""

    TIMEOUT, ACCEPT, READ, RECV = 11, 13, 22, 27  # IORING_OP_*
    SQPOLL, GETEVENTS, WAKEUP = 1 << 1, 1, 2

    def __init__(self, flags=0, idle=0):
        self.libc = ctypes.CDLL(None, use_errno=True)
        params = bytearray(120)
        struct.pack_into("III", params, 8, flags, 0, idle)
        raw = (ctypes.c_char * 120).from_buffer(params)
        self.fd = self.libc.syscall(_SETUP, 8, ctypes.byref(raw))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        self.sq = struct.unpack_from("8I", params, 40)
        self.cq = struct.unpack_from("8I", params, 80)
        self.rings = mmap.mmap(self.fd, 4096, mmap.MAP_SHARED)
        self.entries = mmap.mmap(self.fd, 4096, mmap.MAP_SHARED, offset=0x10000000)

    def queue(self, opcode, fd, address, length):
        tail = struct.unpack_from("I", self.rings, self.sq[1])[0]
        slot = tail & 7
        self.entries[slot * 64 : slot * 64 + 64] = struct.pack(
            "<BBHiQQIIQ24x", opcode, 0, 0, fd, 0, address, length, 0, 1
        )
        struct.pack_into("I", self.rings, self.sq[6] + slot * 4, slot)
        struct.pack_into("I", self.rings, self.sq[1], tail + 1)

    def enter(self, submit, wait, flags):
        return self.libc.syscall(_ENTER, self.fd, submit, wait, flags, None, 0)

    def result(self):
        """The result of the operation that has completed last."""
        tail, mask = (struct.unpack_from("I", self.rings, self.cq[n])[0] for n in (1, 2))
        return struct.unpack_from("i", self.rings, self.cq[5] + (tail - 1 & mask) * 16 + 8)[0]

    def done(self):
        """Returns how many operations have completed, and consumes the completions."""
        tail = struct.unpack_from("I", self.rings, self.cq[1])[0]
        struct.pack_into("I", self.rings, self.cq[0], tail)
        return tail
