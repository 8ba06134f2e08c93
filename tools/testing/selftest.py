# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads the head of a selftest, and keeps results: shared by `run` (host) and `inside` (guest).

A selftest is an executable file of selftests/; a new one is run without further steps. The comment
at its top may say

    # guest: cpus=4 memory=3G     the guest it wants; icount=N: virtual time, one CPU;
                                `none`: no guest, the build tree; `host`: neither
    # limit: 120                  seconds it may take (60 by default); longer in slow kernels, by
                                one factor for all; VS_LIMIT=n: at least n for any, for tests that
                                were told to do more
    # module: no                  it loads vs.ko itself
    # expect: REGEX               lines that the kernel may log in this test though they look like a
                                fault
    # open: CASE | TEXT           known to be wrong and not mended: if this case fails, it is shown
                                and counts as skipped; `*`: any case, for a selftest that has not
                                been seen passing yet

Tests that want the same guest share one boot. A result is a line of JSON in
build/check/<guest>.results.
"""

import json
import os
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]
RESULTS = REPO / "build" / "check"

# How many times as long the tests take in a kernel of tools/vm/debug as in the stock kernel, at
# most.
SLOW_KERNELS = {"lockdep": 6, "kasan": 6}
ROW = os.environ.get("KERNEL") or os.environ.get("KREL", "").rpartition("-vs-")[2]
SLOWNESS = SLOW_KERNELS.get(ROW, 1)
LIMIT = int(os.environ.get("VS_LIMIT", 0))


class Selftest:
    def __init__(self, path):
        self.path, self.name = path, path.name
        header = {"guest": [], "limit": ["60"], "module": ["yes"], "expect": [], "open": []}
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    break
                if match := re.match(r"# (guest|limit|module|expect|open): (.*)", line):
                    header[match[1]] = (
                        header[match[1]] + [match[2].strip()]
                        if match[1] in ("expect", "open")
                        else [match[2].strip()]
                    )
        self.limit = max(int(header["limit"][-1]), LIMIT) * SLOWNESS
        self.module = header["module"][-1] != "no"
        self.expect = header["expect"]
        self.open = dict(map(str.strip, line.split("|", 1)) for line in header["open"])
        words = dict.fromkeys(["cpus", "memory", "icount"])
        wanted = header["guest"][-1] if header["guest"] else ""
        self.guest = (wanted,) if wanted in ("none", "host") else self._guest(path, words, wanted)

    @staticmethod
    def _guest(path, words, wanted):
        for word in wanted.split():
            key, _, value = word.partition("=")
            if key not in words or not value:
                raise SystemExit(f"{path}: no such kind of guest: {word}")
            words[key] = value
        if words["icount"]:
            words["cpus"] = "1"
        return words["cpus"] or "2", words["memory"] or "2G", words["icount"] or ""


def find(names=()):
    """All selftests, or those named, in order of their names."""
    tests = [
        Selftest(path)
        for path in sorted((HERE / "selftests").iterdir())
        if path.is_file() and path.stat().st_mode & 0o100
    ]
    known = {test.name: test for test in tests}
    for name in names:
        if name not in known:
            raise SystemExit(f"no selftest is called {name}")
    return [test for test in tests if not names or test.name in names]


def record(stream, name, status, seconds, note=""):
    """Writes one result: status is pass, fail or skip."""
    stream.write(
        json.dumps({"name": name, "status": status, "seconds": round(seconds, 2), "note": note})
        + "\n"
    )
    stream.flush()


def show(name, status, seconds, note=""):
    """One result as a line for the reader."""
    word = {"pass": "ok  ", "fail": "FAIL", "skip": "skip"}[status]
    print(f"{word} {seconds:7.2f}s  {name}{'  (' + note + ')' if note else ''}", flush=True)
