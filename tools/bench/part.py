# SPDX-License-Identifier: MIT OR Apache-2.0
"""Gives every part in its guest the modules of the selftests, vs.ko, and a place for its
figures.
"""

import contextlib
import json
import os
import pathlib
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/testing/selftests"))
import vs  # pylint: disable=wrong-import-position


@contextlib.contextmanager
def loaded():
    """The module is there, and goes when the last of its users has."""
    vs.command("insmod", os.environ.get("VS_MODULE", "/vs/build/module/vs.ko"))
    yield
    vs.until(
        lambda: pathlib.Path("/sys/module/vs/refcnt").read_text(encoding="ascii").strip() == "0",
        60,
        "nobody uses the module",
    )
    vs.command("rmmod", "vs")


def keep(name, rows):
    """Leaves the figures of the part of this name for `run`."""
    (REPO / f"build/bench/{name}.json").write_text(
        json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8"
    )
