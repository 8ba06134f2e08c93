#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 1200
"""vsctl is killed at a step of up, apply or down: the state is the old or the new one, and the next
call completes the work.

A step is a system call, before which vsctl is killed. Each call that changes what is in force is
tried; of calls that prepare the change or clean up, one of so many (VS_EACH=1: each). Two things do
not happen at the one instant at which a set of gates takes effect: the packet gate, which belongs
to the module, is switched just before or after it; and a set that replaces another is in force
beside the old one until that is unmounted.
"""

import collections
import json
import os
import pathlib
import signal
import tempfile

import cpu
import vs

import uapi

# system calls, each with the step from one tried call to the next
STEPS = {"ioctl": 1, "move_mount": 1, "umount2": 1, "rmdir": 1, "bpf": 300, "unlink": 60}
EACH = os.environ.get("VS_EACH")
ROOT = pathlib.Path("/sys/fs/bpf/vs")
TRACE = "/tmp/vsctl.trace"


def programs():
    """The names of all BPF programs in the kernel, with the number of each."""
    listed = json.loads(vs.run("bpftool", "--json", "prog", "show").stdout or "[]")
    return collections.Counter(one.get("name") for one in listed)


def layers():
    """The number of file systems that are mounted at ROOT, one over the other."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return sum(line.split()[4] == str(ROOT) for line in mounts)


State = collections.namedtuple("State", "pins packet scheduler programs services rules tasks")


def state():
    """The state: the programs in force, the lists, and the programs in the kernel."""
    dev = vs.Device()
    try:
        info, services = dev.info(), dev.services()
        tasks = sum(dev.stat(one.id).tasks for one in services if one.id != vs.ROOT)
    finally:
        dev.close()
    names = {one.id: vs.text(one.name) for one in services}
    return State(
        sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()),
        bool(info.features & uapi.VS_FEATURE_PACKETS),
        cpu.scheduler(),
        programs(),
        sorted(
            (vs.text(one.name), names.get(one.parent), one.priority, one.detached, list(one.attr))
            for one in services
        ),
        [one["rule"] for one in json.loads(vs.vsctl("rule", "ls", "--json"))] if info.rules else [],
        tasks,
    )


def gates(found):
    return [
        pin
        for pin in found.pins
        if pin.startswith("links/") and not pin.startswith(("links/core__", "links/iter__"))
    ]


def left_over(found):
    """Whether programs of an ended scheduler still exist: the kernel frees them in the background,
    under PREEMPT_RT long after the end.
    """
    wanted = "links/sched" in found.pins or layers() > 1
    return not wanted and any(name.startswith(("vs_", "scheduler__")) for name in found.programs)


def settled():
    """The state, once the kernel has freed all that a killed vsctl had open."""
    seen = []

    def same():
        seen.append(state())
        return len(seen) > 1 and seen[-1] == seen[-2] and not left_over(seen[-1])

    vs.until(same, 30, "the state comes to rest")
    return seen[-1]


def counted(words):
    """Runs vsctl to its end; returns how often its first thread made each of the system calls of
    STEPS.
    """
    done = vs.run(
        "strace", "-f", "-qq", "-o", TRACE, "-e", f"trace={','.join(STEPS)}", "vsctl", *words
    )
    vs.eq((done.returncode, done.stderr if done.returncode else ""), (0, ""), " ".join(words))
    with open(TRACE, encoding="utf-8", errors="replace") as lines:
        calls = [line.split(maxsplit=1) for line in lines]
    return collections.Counter(
        text.split("(")[0] for thread, text in calls if thread == calls[0][0]
    )


def kill_at(call, at, words):
    """Runs vsctl, killed before the system call of this name for the `at`th time."""
    vs.eq(
        vs.run(
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=KILL:when={at}",
            "vsctl",
            *words,
        ).returncode,
        -signal.SIGKILL,
        f"status of vsctl {' '.join(words)}, killed before {call} {at}",
    )


def differs(found, wanted):
    """The difference of two states, in words; empty if there is none."""
    return "; ".join(
        f"{name}: {one!r}, not {other!r}"
        for name, one, other in zip(State._fields, found, wanted)
        if one != other
    )


def killed(words, back, between=lambda found, old, new: False):
    """Kills `vsctl words` at each step. `back()` restores the state before."""
    old = settled()
    calls = counted(words)
    new = settled()
    back()
    vs.eq(differs(settled(), old), "", "what was before, again")
    count = collections.Counter()
    steps = [
        (call, at)
        for call, stride in STEPS.items()
        for at in range(1 if EACH else stride, calls[call] + 1, 1 if EACH else stride)
    ]
    for call, at in steps:
        step = f"{' '.join(words)}, before {call} {at} of {calls[call]}"
        kill_at(call, at, words)
        found = settled()
        kind = (
            "old"
            if found == old and layers() < 2
            else "new"
            if found == new
            else "between"
            if between(found, old, new)
            else None
        )
        if not kind:
            raise AssertionError(
                f"{step}: neither as before: {differs(found, old)}\n"
                f"nor as after: {differs(found, new)}"
            )
        count[kind] += 1
        if kind == "old":
            continue
        print(f"# {step}: {kind}", flush=True)
        vs.vsctl(*words)
        vs.eq(differs(settled(), new), "", f"{step}, mended")
        back()
        vs.eq(differs(settled(), old), "", f"{step}, and back")
    print(f"# {' '.join(words)}: {dict(count)}", flush=True)
    vs.within(count["old"], 2, 1 << 20, "steps that changed nothing")


def config(text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as file:
        file.write(text)
    return file.name


def packet_first(found, old, new):
    """The old state, except that the packet gate is on already."""
    return found == old._replace(packet=new.packet)


def packet_last(found, old, new):
    """The new state, except that the packet gate is still on."""
    return found == new._replace(packet=old.packet)


def both(found, old, new):
    """The new set is mounted beneath the old one, and in force with it."""
    return layers() == 2 and found == old._replace(
        packet=found.packet, programs=old.programs | new.programs
    )


def gates_gone(found, old, new):
    """Gates and scheduler are gone, as after down; the programs that count are still there."""
    return not gates(found) and (found.scheduler, found.services, found.rules) == (
        None,
        old.services,
        old.rules,
    )


@vs.test
def up():
    """up, from nothing"""
    killed(["up"], lambda: vs.vsctl("down"), packet_first)


@vs.test
def narrower():
    """up with other gates and without the scheduler, from all gates and the scheduler"""
    vs.vsctl("up")
    killed(
        ["up", "--no-sched", "--gates", "fork,exec,connect"],
        lambda: vs.vsctl("up"),
        lambda *states: both(*states) or packet_last(*states),
    )


@vs.test
def apply():
    """apply, which changes services and rules and prunes"""
    vs.vsctl("up")
    before = config(
        "rules = ['accept task=x => task=conn']\n"
        "[services.x]\n[services.y]\nparent = 'x'\ncpu_weight = 7\n"
    )
    after = config(
        "rules = ['accept task=y => task=conn', 'fork task=z => child=y']\n"
        "[services.y]\n[services.z]\nparent = 'y'\n"
    )
    vs.vsctl("apply", before)
    killed(["apply", "--prune", after], lambda: vs.vsctl("apply", "--prune", before))


@vs.test
def down():
    """down, with a tagged task"""
    with vs.Sleeper() as pid:

        def back():
            vs.vsctl("up")
            vs.vsctl("place", str(pid), "y")

        back()
        killed(["down"], back, lambda *states: gates_gone(*states) or both(*states))


vs.main()
