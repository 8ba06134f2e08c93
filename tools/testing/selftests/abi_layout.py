#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: none
"""The ABI is unchanged: sizes, offsets and numbers that tools built long ago use.

The figures in this file are written by hand, and change only together with VS_ABI_VERSION; a
structure may grow at its end, which adds a line here. The C compiler, and the reader of the header
that all Python tests use, must agree with them.
"""

import ctypes
import subprocess
import tempfile

import vs

import uapi

LAYOUT = """
vs_info 32: abi 0, ids_max 4, features 8, services 16, rules 20, generation 24
vs_create 80: name 0, id 64, parent 68, priority 72, reason 76
vs_destroy 40: id 0, move_to 4, children 8, rules 12, tasks 16, sockets 24, reason 32, reserved 36
vs_change 88: id 0, what 4, name 8, parent 72, priority 76, reason 80, reserved 84
vs_set_attr 16: id 0, op 4, attr 6, value 8, reason 12
vs_service 216: id 0, parent 4, name 8, priority 72, depth 76, children 80, detached 84, attr 88
vs_query 224: id 0, reason 4, service 8
vs_list 24: items 0, room 8, after 12, count 16, item_size 20
vs_rule 624: id 0, gate 4, from 8, to 20, props 32, uid 36, gid 40, proto 44, local_len 45,
    peer_len 46, reserved1 47, local_port 48, peer_port 50, local 52, peer 68, iface 84, path 100,
    cgroup 356, reason 612, hits 616
vs_rule_test 48: call 0, call_size 8, work 12, rule 16, matching 20, shapes 24, to 28, reason 40,
    reserved 44
vs_place_task 16: pidfd 0, id 4, flags 8, reason 12
vs_place_socket 16: fd 0, id 4, flags 8, reason 12
vs_stat 720: id 0, reason 4, cpu_ns 8, tasks 16, sockets 24, rebinds 32, unattributed 40,
    refused 48, packets_in 112, bytes_in 120, packets_out 128, bytes_out 136, ends 144, hits 208
vs_socket 16: fd 0, id 4, flags 8, reason 12
vs_config_service 208: name 0, id 64, parent 68, priority 72, detached 76, attr 80
vs_apply 56: services 0, rules 8, nr_services 16, nr_rules 20, flags 24, reason 28, at_service 32,
    at_rule 36, service_size 40, rule_size 44, scope 48, reserved 52
vs_gate_switch 8: gate 0, on 4
vs_tags 8: on 0, reserved 4
"""

NUMBERS = """
INFO c020b500, CREATE c050b501, DESTROY c028b502, CHANGE c058b503, SET_ATTR c010b504,
QUERY c0e0b505, LIST c018b506, STAT c2d0b507, RULE_ADD c270b508, RULE_DEL c270b509,
RULE_LIST c018b50a, RULE_TEST c030b50b, PLACE_TASK c010b50c, PLACE_SOCKET c010b50d, APPLY c038b50e,
GATE c008b50f, SOCKET c010b510, TAGS c008b511
"""

ENUMERATORS = {
    "vs_gate": "FORK EXEC EXIT SETUID SETGID SOCKET SOCKETPAIR CONNECT ACCEPT SEND RECV CLOSE WAIT "
    "PACKET HINT READ",
    "vs_end": "RECEIPT CLOSE WAIT SLEEP AGE REPLY HINT",
    "vs_proto": "OTHER TCP UDP UNIX_STREAM UNIX_DGRAM UNIX_SEQPACKET",
    "vs_attr": "CPU_WEIGHT CPU_CAP TASKS_MAX SOCKETS_MAX TASKS_ERRNO SOCKETS_ERRNO ACCEPT_ORDER",
    "vs_order": "ARRIVAL SHARE",
    "vs_resource": "TASKS SOCKETS",
    "vs_attr_op": "ATTR_SET ATTR_DETACH ATTR_SHARE",
    "vs_reason": "NONE NAME_BAD NAME_TAKEN ID_TAKEN NO_SERVICE ROOT DEPTH CYCLE FULL HAS_CHILDREN "
    "HAS_TASKS HAS_SOCKETS HAS_RULES SHARED RANGE GATE PROPERTY ENTITY VALUE NO_RULE NO_TASK FD "
    "NO_GATES DUPLICATE ORDER OTHER_ID",
}


def pinned():
    for line in LAYOUT.strip().replace("\n   ", "").splitlines():
        head, members = line.split(": ")
        name, size = head.split()
        yield (
            name,
            int(size),
            {
                member: int(offset)
                for member, offset in (one.split() for one in members.split(", "))
            },
        )


def compiled(expressions):
    """Returns the values that the C compiler computes for constant expressions over the header."""
    lines = "".join(f'printf("%llx\\n", (unsigned long long)({one}));\n' for one in expressions)
    with tempfile.TemporaryDirectory() as folder:
        source = (
            "#include <stdio.h>\n#include <stddef.h>\n#include <vs.h>\n"
            f"int main(void) {{\n{lines}return 0; }}\n"
        )
        subprocess.run(
            [
                "gcc",
                "-Wall",
                "-Wpadded",
                "-Werror",
                "-I",
                uapi.HEADER.parent,
                "-x",
                "c",
                "-",
                "-o",
                f"{folder}/a",
            ],
            input=source,
            text=True,
            check=True,
        )
        said = subprocess.run([f"{folder}/a"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [int(line, 16) for line in said.split()]


@vs.test
def structures_are_pinned():
    """Each structure has the members, offsets and size written down"""
    for name, size, offsets in pinned():
        struct = uapi.structs[name]
        vs.eq(
            {member: getattr(struct, member).offset for member, _ in struct._fields_}, offsets, name
        )
        vs.eq(ctypes.sizeof(struct), size, name)
    vs.eq(list(uapi.structs), [name for name, _, _ in pinned()], "structures")


@vs.test
def compiler_agrees():
    """The C compiler gives the same sizes and offsets, and finds no padding"""
    wanted, expressions = [], []
    for name, size, offsets in pinned():
        wanted += [size, *offsets.values()]
        expressions += [
            f"sizeof(struct {name})",
            *(f"offsetof(struct {name}, {member})" for member in offsets),
        ]
    vs.eq(compiled(expressions), wanted)


@vs.test
def commands_are_pinned():
    """Each command has the number written down"""
    numbers = dict(one.split() for one in NUMBERS.replace("\n", " ").strip().split(", "))
    wanted = {"VS_IOC_" + name: int(number, 16) for name, number in numbers.items()}
    vs.eq(
        {
            name: uapi.request(number, ctypes.sizeof(kind))
            for name, (number, kind) in uapi.commands.items()
        },
        wanted,
    )
    vs.eq(dict(zip(wanted, compiled(wanted))), wanted, "compiled")


@vs.test
def constants_agree():
    """Every constant has the value the C compiler gives it"""
    plain = {name: value for name, value in uapi.constants.items() if isinstance(value, int)}
    vs.eq(dict(zip(plain, compiled(plain))), plain)
    vs.eq(compiled(["VS_REF(0)", "VS_REF(2)"]), [vs.REF(0), vs.REF(2)])


@vs.test
def enumerators_are_pinned():
    """Enumerators stand in the order written down"""
    for name, wanted in ENUMERATORS.items():
        prefix = {"vs_reason": "VS_WHY_", "vs_attr_op": "VS_"}.get(name, name.upper() + "_")
        have = [one.removeprefix(prefix) for one in uapi.enums[name] if not one.endswith("_COUNT")]
        vs.eq(have, wanted.split(), name)


@vs.test
def headers_stand_alone():
    """Each header compiles alone as C and as C++"""
    for header in sorted(uapi.HEADER.parent.glob("*.h")):
        for language in ("c", "c++"):
            flags = "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", language
            done = subprocess.run(
                ["clang", *flags, header], stderr=subprocess.PIPE, text=True, check=False
            )
            vs.eq(done.returncode, 0, f"{header.name}, {language}: {done.stderr}")


vs.main()
