# SPDX-License-Identifier: MIT OR Apache-2.0
"""Servers from packages, for `make truth`. These cannot say for which tenant they work. But in a
phase in which only one tenant asks, all CPU time beyond the clients' own is that tenant's or the
server's, and any other tenant's account must stand still.
"""

import dataclasses
import glob
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "testing/soak"))
# pylint: disable=wrong-import-position
import load
import vs
from idioms import ACCEPT, FORK, MESSAGES, RECV, SEND
from process import until_waiting, used

PACKAGES = pathlib.Path("/vs/build/truth/packages")
TENANTS, SERVER = ("a", "b", "c"), "s"
# for each phase: the tenants that ask, and how many times the least load
PHASES = [{"a": 1}, {"b": 3}, {"a": 1, "b": 3, "c": 2}, {"c": 2}]
PATIENCE = 120  # seconds
SECONDS = 1  # duration of a run of wrk
START = 'read -r go; exec "$@"'


class Held:
    """A command that waits to be placed in a service."""

    def __init__(self, dev, service, command, output=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            ["sh", "-c", START, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        dev.place(self.process.pid, service)
        self.before = 0

    def tell(self):
        self.before = used(self.process.pid)
        self.process.stdin.write("\n")
        self.process.stdin.close()

    def end(self):
        """Waits for its end; returns its output, and the CPU time in ns that it used after it was
        let go.
        """
        said = self.process.stdout.read()
        self.process.stdout.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        vs.eq(self.process.returncode, 0, f"{self.process.args}: {said}")
        return said, (usage.ru_utime + usage.ru_stime) * 1e9 - self.before


def redis_client(more):
    return ["redis-benchmark", "-c", str(2 * more), "-n", str(100 * more), "-r", "300"] + [
        "-t",
        "set,get",
        "-q",
    ]


def wrk(more):
    return ["wrk", "-t", "1", "-c", str(2 * more), "-d", str(SECONDS), "http://127.0.0.1:8080/"]


def pgbench(more, *options):
    command = glob.glob("/usr/lib/postgresql/*/bin/pgbench")[0]
    return [
        command,
        "-n",
        "-S",
        "-h",
        "127.0.0.1",
        "-U",
        "a",
        "-c",
        str(more),
        "-t",
        "100",
        *options,
        "bench",
    ]


def dig(more, *options):
    names = pathlib.Path(f"/tmp/names-{more}")
    names.write_text("host.soak\n" * 100 * more, encoding="ascii")
    return ["dig", "@127.0.0.1", "-p", "5300", "+short", "+tries=3", *options, "-f", str(names)]


def of_soak(name):
    """The command and the port of a server of the soak test."""
    return load.SERVERS[name][:2]


def packaged(path, *words):
    """The command for a program that tools/truth/packages has fetched."""
    libraries = PACKAGES / "usr/lib/x86_64-linux-gnu"
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(PACKAGES / path), *words]


def memcached():
    words = "-u root -l 127.0.0.1 -p 11211 -U 0 -t 2"
    return packaged("usr/bin/memcached", *words.split())


def cache(more):
    return [str(HERE / "cache.py"), str(2 * more), "50"]


PGBOUNCER = f"""
[databases]
bench = host={load.HOME} port=5432 dbname=bench user=a
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits
"""


def pgbouncer():
    settings = load.HOME / "pgbouncer.ini"
    settings.write_text(PGBOUNCER, encoding="ascii")
    account = "--reuid postgres --regid postgres --clear-groups --"
    return ["setpriv", *account.split(), *packaged("usr/sbin/pgbouncer", str(settings))]


@dataclasses.dataclass
class Server:
    """A server and those behind it, its clients, and a function that reads the number of requests
    served from their output.
    """

    name: str
    starts: tuple  # the command and the port of each server, in the order in which they start
    client: object
    count: object
    rules: tuple = (RECV,)
    options: tuple = ()
    after: tuple = ()  # each tenant's command at a phase's end, for background work
    reason: str = ""

    def run(self, dev):
        """All phases, from the start of the server to its end; returns the row."""
        if not load.HOME.exists():
            load.prepare()
        ids = {name: dev.find(name).id for name in (SERVER, *TENANTS)}
        servers = []
        try:
            for command, port in self.starts:
                servers.append(Held(dev, ids[SERVER], [*command(), *self.options]))
                servers[-1].tell()
                vs.until(lambda port=port: vs.listens(port), PATIENCE, f"{self.name} answers")
            time.sleep(1)  # the servers' own work as they start
            return self.phases(dev, ids)
        finally:
            for server in reversed(servers):
                server.process.terminate()
                server.process.wait(PATIENCE)

            def empty():
                vs.reap()
                return not any(dev.stat(id).tasks for id in ids.values())

            vs.until(empty, PATIENCE, "all tasks have gone")

    def phases(self, dev, ids):
        requests, right, home, wrong, how, phases = 0, 0, 0, 0, [], []
        all_ids = ids | {"root": vs.ROOT}
        for number, asking in enumerate(PHASES):
            clients = {
                name: Held(dev, ids[name], self.client(more), subprocess.PIPE)
                for name, more in asking.items()
            }
            last = {
                name: Held(dev, ids[name], self.after, subprocess.PIPE)
                for name in asking
                if self.after
            }
            until_waiting(*(one.process.pid for one in [*clients.values(), *last.values()]))
            before = {name: dev.stat(id).cpu_ns for name, id in all_ids.items()}
            own = dict.fromkeys(TENANTS, 0)
            for held in clients, last:
                for one in held.values():
                    one.tell()
                for name, one in held.items():
                    said, spent = one.end()
                    own[name] += spent
                    if held is clients:
                        requests += self.count(said, asking[name])
            if not self.after:
                time.sleep(0.3)  # the server's work as the connections end
            charged = {
                name: dev.stat(id).cpu_ns - before[name] - own.get(name, 0)
                for name, id in all_ids.items()
            }
            phases.append(
                {
                    "asking": asking,
                    "clients_ms": {name: round(own[name] / 1e6, 3) for name in asking},
                    "charged_ms": {name: round(ns / 1e6, 3) for name, ns in charged.items()},
                }
            )
            if short := [name for name in asking if charged[name] < 0]:
                raise AssertionError(f"{short} were charged less than their clients used: {phases}")
            home += charged[SERVER]
            for name in TENANTS:
                if name not in asking and charged[name] > 0:
                    wrong += charged[name]
                    how.append(
                        f"phase {number}, of {' '.join(asking)}: {name} charged"
                        f" {charged[name] / 1e6:.3f} ms"
                    )
            right += sum(charged[name] for name in asking)
        return {
            "idiom": self.name,
            "requests": requests,
            "right": round(right / 1e6, 3),
            "home": round(home / 1e6, 3),
            "wrong": round(wrong / 1e6, 6),
            "cpu_right_pct": round(100 * right / (right + home + wrong), 2),
            "reason": self.reason,
            "unit": "CPU ms",
            "phases": phases,
            "how_wrong": how,
        }


SERVERS = [
    Server(
        "Redis, with BGSAVE",
        (of_soak("redis"),),
        redis_client,
        lambda said, more: 100 * more * len(re.findall(r"requests per second", said)),
        rules=(RECV, SEND),
        options=("--rdb-key-save-delay", "1000"),
        after=("redis-cli", "BGSAVE"),
        reason="waits, timers and saves are the server's own",
    ),
    Server(
        "nginx, keep-alive",
        (of_soak("nginx"),),
        wrk,
        lambda said, _: load.SERVERS["nginx"][3](said),
        reason="waits and timers are the server's own",
    ),
    Server(
        "PostgreSQL",
        (of_soak("pg"),),
        pgbench,
        lambda said, _: load.SERVERS["pg"][3](said),
        rules=(ACCEPT, FORK),
        reason="the postmaster and its helpers are the server's own",
    ),
    Server(
        "unbound",
        (of_soak("dns"),),
        dig,
        lambda said, _: load.SERVERS["dns"][3](said),
        reason="waits and timers are the server's own",
    ),
    Server(
        "unbound over TCP",
        (of_soak("dns"),),
        lambda more: dig(more, "+tcp", "+keepopen"),
        lambda said, _: load.SERVERS["dns"][3](said),
        rules=(ACCEPT, RECV),
        reason="waits and timers are the server's own",
    ),
    Server(
        "memcached",
        ((memcached, 11211),),
        cache,
        lambda said, _: int(said.split()[0]),
        reason="waits, timers and the thread that accepts are the server's own",
    ),
    Server(
        "pgbouncer, PostgreSQL behind it",
        (of_soak("pg"), (pgbouncer, 6432)),
        lambda more: pgbench(more, "-p", "6432"),
        lambda said, _: load.SERVERS["pg"][3](said),
        rules=(RECV, MESSAGES),
        reason="waits, and answers that come during another request, are the server's own",
    ),
]
