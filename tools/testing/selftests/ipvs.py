# SPDX-License-Identifier: MIT OR Apache-2.0
"""IPVS services by firewall mark, set up by generic netlink as ipvsadm does."""

import os
import socket
import struct

GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
NEW_SERVICE, NEW_DEST = 1, 5
ATTR_SERVICE, ATTR_DEST = 1, 2
NESTED = 0x8000


def _attribute(kind, payload):
    whole = struct.pack("HH", 4 + len(payload), kind) + payload
    return whole + bytes(-len(whole) % 4)


def _ask(sock, family, command, payload):
    """Sends a command, and returns the payload of its answer; an error is an OSError."""
    body = struct.pack("BBH", command, 1, 0) + payload
    # NLM_F_REQUEST | NLM_F_ACK
    sock.send(struct.pack("IHHII", 16 + len(body), family, 5, 1, 0) + body)
    answer = b""
    while True:
        data = sock.recv(65536)
        while data:
            size, kind = struct.unpack_from("IH", data)
            if kind == 2:  # NLMSG_ERROR, with error 0 it is the acknowledgement
                error = -struct.unpack_from("i", data, 16)[0]
                if error:
                    raise OSError(error, os.strerror(error))
                return answer
            answer, data = data[20:size], data[(size + 3) & ~3 :]


def by_mark(mark, address, port, scheduler="rr"):
    """Makes a service for packets with `mark`, by masquerading to one real server, in the caller's
    network namespace.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as sock:  # NETLINK_GENERIC
        answer = _ask(
            sock, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, _attribute(CTRL_ATTR_FAMILY_NAME, b"IPVS\0")
        )
        family = None
        while answer:
            size, kind = struct.unpack_from("HH", answer)
            if kind == CTRL_ATTR_FAMILY_ID:
                family = struct.unpack_from("H", answer, 4)[0]
            answer = answer[(size + 3) & ~3 :]
        key = _attribute(1, struct.pack("H", socket.AF_INET)) + _attribute(
            5, struct.pack("I", mark)
        )
        service = (
            key
            + _attribute(6, scheduler.encode() + b"\0")
            + _attribute(7, struct.pack("II", 0, 0xFFFFFFFF))
            + _attribute(8, struct.pack("I", 0))
            + _attribute(9, struct.pack("I", 0xFFFFFFFF))
        )
        _ask(sock, family, NEW_SERVICE, _attribute(ATTR_SERVICE | NESTED, service))
        real = (
            _attribute(1, socket.inet_aton(address) + bytes(12))
            + _attribute(2, struct.pack("!H", port))
            + _attribute(3, struct.pack("I", 0))
            + _attribute(4, struct.pack("I", 1))
            + _attribute(5, struct.pack("I", 0))
            + _attribute(6, struct.pack("I", 0))
            + _attribute(11, struct.pack("H", socket.AF_INET))
        )
        _ask(
            sock,
            family,
            NEW_DEST,
            _attribute(ATTR_SERVICE | NESTED, key) + _attribute(ATTR_DEST | NESTED, real),
        )
