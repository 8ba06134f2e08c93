# SPDX-License-Identifier: MIT OR Apache-2.0
"""uapi/vs.h as Python: its constants by name, its structures as ctypes, its commands as ioctl
numbers.

The header is read when this module is imported, so the two cannot differ. The reader knows only the
constructs that the header uses (fixed-width members, arrays, nested structures, plain enums) and
stops at anything else. abi_layout.py compares its result with the C compiler's.
"""

import ctypes
import pathlib
import re

HEADER = pathlib.Path(__file__).resolve().parents[3] / "uapi" / "vs.h"

_SCALARS = {
    "char": ctypes.c_char,
    "__u8": ctypes.c_uint8,
    "__u16": ctypes.c_uint16,
    "__u32": ctypes.c_uint32,
    "__u64": ctypes.c_uint64,
    "__s8": ctypes.c_int8,
    "__s16": ctypes.c_int16,
    "__s32": ctypes.c_int32,
    "__s64": ctypes.c_int64,
}

constants = {}  # macros and enumerators by name
enums = {}  # enum name -> its enumerators, in order
structs = {}  # struct name -> ctypes class
commands = {}  # VS_IOC_X -> (number within the magic, ctypes class)


def request(number, size):
    """The ioctl request of command `number` for an argument of `size` bytes (_IOWR)."""
    return 3 << 30 | size << 16 | constants["VS_IOC_MAGIC"] << 8 | number


def _plain(expression):
    """A C expression without the suffixes of its numbers."""
    return re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uU]?[lL]{0,2}\b", r"\1", expression)


def _value(expression):
    return eval(_plain(expression), {}, constants)


def _read_struct(name, body):
    fields = []
    for member in filter(None, (part.strip() for part in body.split(";"))):
        match = re.fullmatch(r"(struct \w+|\w+)\s+(\w+)(?:\[([^]]+)\])?", member)
        if not match:
            raise SyntaxError(f"{HEADER}: struct {name}: {member!r} is beyond this reader")
        kind, field, length = match.groups()
        ctype = structs[kind[7:]] if kind.startswith("struct ") else _SCALARS[kind]
        # bytes, not char: ctypes would cut char arrays at the first NUL and hide what follows
        if length and ctype is ctypes.c_char:
            ctype = ctypes.c_uint8
        fields.append((field, ctype * _value(length) if length else ctype))
    structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields})


def _read(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    pattern = re.compile(
        r"^#define\s+(?P<macro>\w+)(?:\((?P<arg>\w+)\))?[ \t]+(?P<body>[^\n]+)$"
        r"|^enum\s+(?P<enum>\w+)\s*\{(?P<items>[^}]*)\};"
        r"|^struct\s+(?P<struct>\w+)\s*\{(?P<members>[^}]*)\};",
        re.M,
    )
    for found in pattern.finditer(text):
        if found["enum"]:
            enums[found["enum"]] = names = [
                item.strip() for item in found["items"].split(",") if item.strip()
            ]
            constants.update((name, value) for value, name in enumerate(names))
        elif found["struct"]:
            _read_struct(found["struct"], found["members"])
        elif found["arg"]:
            constants[found["macro"]] = eval(
                f"lambda {found['arg']}: {_plain(found['body'])}", dict(constants)
            )
        elif command := re.fullmatch(
            r"_IOWR\(VS_IOC_MAGIC, (\d+), struct (\w+)\)", found["body"].strip()
        ):
            commands[found["macro"]] = int(command[1]), structs[command[2]]
        else:
            constants[found["macro"]] = _value(found["body"])


_read(HEADER.read_text())
globals().update(constants)
globals().update(structs)
