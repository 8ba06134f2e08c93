# SPDX-License-Identifier: MIT OR Apache-2.0
"""The acts of the soak test on the module while its load runs. After each act everything is up
again, which `check` verifies.
"""

import collections
import json
import os
import pathlib
import subprocess
import time

import config
import cpu
import vs
from load import HOME, PATIENCE

CPU1 = pathlib.Path("/sys/devices/system/cpu/cpu1/online")
QUERIES = [
    query.split()
    for query in ("stat", "stat --sched", "tree", "ls", "rule ls", "ps", "ss", "show a", "status")
]
OPTIONAL_GATES = "fork exec exit setuid setgid socketpair connect send wait packet read".split()


def command(*words, fine=(0,)):
    """Runs a command; raises AssertionError unless it ends with one of these statuses. Returns its
    output.
    """
    done = vs.run(*words, timeout=PATIENCE)
    if done.returncode not in fine:
        raise AssertionError(
            f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout


def vsctl(*words, **options):
    return command("vsctl", *words, **options)


class Acts:
    """The acts, by name, chosen by weight; each act done is counted."""

    WEIGHTS = {
        "query": 6,
        "apply": 5,
        "rules": 5,
        "services": 4,
        "churn": 3,
        "scheduler": 2,
        "gates": 2,
        "killed": 2,
        "hotplug": 1,
        "reload": 1,
    }

    def __init__(self, rng, reach):
        self.rng, self.reach, self.load = rng, reach, None
        self.done = collections.Counter()
        self.names = ["root"]

    def one(self):
        """Does one act; returns its name."""
        name = self.rng.choices(list(self.WEIGHTS), list(self.WEIGHTS.values()))[0]
        getattr(self, name)()
        self.check()
        self.done[name] += 1
        return name

    @staticmethod
    def check():
        """Checks that the scheduler runs and all gates are in force."""
        said = json.loads(vsctl("status", "--json"))
        vs.eq(
            (said["scheduler"], said["scheduler_detail"], said["gates_off"]),
            ("running", None, []),
            "status",
        )

    def insert(self):
        """Loads the module, brings all up and places the servers. For the beginning, and after
        `remove`.
        """
        command("insmod", HOME / "bin/vs.ko")
        vsctl("up")
        self.apply()
        self.load.place()

    @staticmethod
    def remove():
        """Takes everything down. rmmod must succeed at once: `vsctl down` has waited for all that
        still held the module.
        """
        vsctl("down")
        command("rmmod", "vs")
        left = [
            path
            for path in ("/dev/vsctl", "/sys/module/vs", "/sys/fs/bpf/vs")
            if os.path.exists(path)
        ]
        vs.eq(left, [], "left behind")
        vs.eq(cpu.scheduler(), None, "scheduler")

    def query(self):
        for _ in range(3):
            vsctl(*self.rng.choice(QUERIES))

    def apply(self):
        text, names = config.text(self.rng)
        (HOME / "vs.toml").write_text(text, encoding="utf-8")
        if self.rng.random() < 0.5:
            # refused as a whole if a service that is to be pruned has tasks, which is possible
            if (
                "EBUSY"
                in vs.run("vsctl", "apply", HOME / "vs.toml", "--prune", timeout=PATIENCE).stderr
            ):
                self.done["apply refused"] += 1
        vsctl("apply", HOME / "vs.toml")
        self.names = names

    def rules(self):
        for _ in range(4):
            vsctl("rule", "add", config.rule(self.rng, self.names))
        known = [one["id"] for one in json.loads(vsctl("rule", "ls", "--json"))][
            len(config.FIXED) :
        ]
        vsctl("rule", "del", *map(str, self.rng.sample(known, min(3, len(known)))))

    def services(self):
        """A service is created, changed, moved with a process in it, and destroyed with an heir."""
        above, below = self.rng.choice(self.names), self.rng.choice(self.names)
        vsctl("create", "guest", "--parent", above)
        with vs.Sleeper() as pid:
            vsctl("place", str(pid), "guest")
            for name, value in config.attributes(self.rng).items():
                vsctl("detach", "guest", name)
                vsctl("set", "guest", f"{name}={value}")
            vsctl("mv", "guest", below)
            vsctl("destroy", "guest", "--move-to", "root")

    def churn(self):
        """Two hundred services come and go, through the device."""
        dev = vs.Device()
        try:
            parent = dev.find(self.rng.choice(self.names)).id
            with vs.Sleeper() as pid:
                last = vs.ROOT
                for number in range(200):
                    id = dev.create(f"churn{number}", parent)
                    dev.place(pid, id)
                    if last != vs.ROOT:
                        dev.destroy(last, id)
                    last = id
                dev.destroy(last, vs.ROOT)
        finally:
            dev.close()

    def scheduler(self):
        vsctl("up", "--no-sched")
        vs.eq(cpu.scheduler(), None, "scheduler")
        time.sleep(self.rng.random())
        vsctl("up")

    def gates(self):
        off = self.rng.sample(OPTIONAL_GATES, self.rng.randrange(1, len(OPTIONAL_GATES)))
        every = json.loads(vsctl("status", "--json"))["gates"]
        vsctl("up", "--gates", ",".join(gate for gate in every if gate not in off))
        time.sleep(self.rng.random())
        vsctl("up")

    def killed(self):
        """vsctl is killed somewhere in the middle; called again, it completes its work."""
        words = self.rng.choice([["up", "--no-sched"], ["up"], ["apply", str(HOME / "vs.toml")]])
        process = subprocess.Popen(
            ["vsctl", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(self.rng.random() * 2)
        process.kill()
        process.wait(PATIENCE)
        vsctl(*words)
        vsctl("up")

    def hotplug(self):
        """A CPU goes, which ends the scheduler, and comes again."""
        CPU1.write_text("0", encoding="ascii")
        try:
            vs.until(
                lambda: cpu.scheduler() is None, PATIENCE, "the scheduler ends when a CPU goes"
            )
            time.sleep(self.rng.random())
        finally:
            CPU1.write_text("1", encoding="ascii")
        vsctl("up")

    def reload(self):
        """The module is unloaded, which is refused at first, and loaded again, without a pause of
        the load.
        """
        self.reach.take()
        try:
            vs.eq(vs.run("rmmod", "vs").returncode != 0, True, "rmmod refused while all is up")
            self.remove()
            self.insert()
        finally:
            self.reach.give_back()
