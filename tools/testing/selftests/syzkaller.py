#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: none
"""tools/testing/syzkaller/vs.txt describes the ABI as uapi/vs.h does: every command, structure,
field and enumerator.
"""

import ctypes
import pathlib
import re

import vs

import uapi

TEXT = (pathlib.Path(__file__).resolve().parents[1] / "syzkaller/vs.txt").read_text(
    encoding="ascii"
)
SIZES = {
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "ptr64": 8,
    "vs_id": 4,
    "vs_rule_id": 4,
    "uid": 4,
    "gid": 4,
    "fd_pidfd": 4,
    "sock": 4,
    "vs_name": uapi.VS_NAME_LEN,
    "vs_path": uapi.VS_PATH_LEN,
}


def value(word):
    return int(word, 0) if word[0].isdigit() else vs.constants[word]


def size_of(kind):
    """Bytes of a field's type: a name, or one that says its size or length last."""
    name, _, inside = kind.partition("[")
    if name in structures:
        return sum(size_of(field) for _, field in structures[name])
    if not inside or name in SIZES:
        return SIZES[name]
    *_, last = re.split(r",\s*(?![^[]*\])", inside[:-1])
    if name == "array":
        return size_of(inside[:-1].rpartition(",")[0]) * value(last)
    return value(last) if name == "string" else SIZES[last]


structures = {}  # name -> [(field, its type)]
for name, body in re.findall(r"^(?:type )?(vs_\w+)(?:\[\w+\])? \{\n(.*?)^\}", TEXT, re.M | re.S):
    lines = [re.sub(r"\s*\((in|out|inout)\)$", "", line.strip()) for line in body.splitlines()]
    structures[name] = [tuple(re.split(r"\s+", line, maxsplit=1)) for line in lines]


@vs.test
def commands():
    """Every command, with its structure"""
    found = dict(
        re.findall(
            r"^ioctl\$(VS_IOC_\w+)\(fd fd_vs, cmd const\[\1\], arg ptr\[inout, (vs_\w+)", TEXT, re.M
        )
    )
    vs.eq(found, {name: kind.__name__ for name, (_, kind) in uapi.commands.items()})


@vs.test
def fields():
    """Every structure, field by field, with its size"""
    wanted = {
        name: [(field, ctypes.sizeof(kind)) for field, kind in struct._fields_]
        for name, struct in uapi.structs.items()
    }
    vs.eq(sorted(structures), sorted(wanted))
    for name, members in structures.items():
        vs.eq([(field, size_of(kind)) for field, kind in members], wanted[name], name)


@vs.test
def names():
    """Every enumerator and flag that a caller may use"""
    flags = {
        name for name in vs.constants if re.match(r"VS_(P_|CHANGE_|APPLY_[CP]|PLACE_)", name)
    } - {"VS_P_ALL"}
    for enum in "vs_gate", "vs_proto", "vs_attr", "vs_attr_op":
        flags |= {name for name in uapi.enums[enum] if not name.endswith("_COUNT")}
    used = set(re.findall(r"VS_\w+", TEXT))
    vs.eq(sorted(flags - used), [], "not described")
    vs.eq(
        sorted(
            name
            for name in used
            if name not in vs.constants
            and name not in uapi.commands
            and "SIZEOF" not in name
            and name != "VS_IOC_PLACE_"
        ),
        [],
        "not in the header",
    )


vs.main()
