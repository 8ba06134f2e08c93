#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures whole systems: the requests that nginx, PostgreSQL and Redis serve in a second without
VS, with VS idle, and with VS at work.

    tools/vm/run --icount 3 --memory 3G --timeout 2400 -- tools/bench/systems.py [SYSTEM...]

One CPU in virtual time (8 ns an instruction); server and clients, from Debian's packages, share it
and keep it busy. With VS_SYSTEMS_CLIENTS=elsewhere the clients have real-time priority, as if they
ran on machines of their own: they never wait for the CPU. States, all in one boot: off (no module);
gates (loaded, gates attached, no rule); all (and the scheduler); tracking (the server is a service,
its clients are another, and work that the server does for them is charged to them: it is bound anew
at each accept and each receive); off again, which shows how much the figures vary. The results are
also in build/bench/systems.json.
"""

import contextlib
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from part import REPO, keep, loaded, vs

SECONDS = 6
PRIORITY = ["chrt", "--fifo", "10"] if os.environ.get("VS_SYSTEMS_CLIENTS") == "elsewhere" else []
DATA = REPO / "build/demo/data.tar"  # `run` has tools/demo/database make it
HOME = pathlib.Path("/run/systems")


def quiet(*words, **options):
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def switches():
    """Context switches since boot."""
    return int(
        re.search(r"^ctxt (\d+)", pathlib.Path("/proc/stat").read_text(encoding="ascii"), re.M)[1]
    )


def client(words, place):
    """Runs a client to its end, in the service in which place(pid) puts it, and returns its
    output.
    """
    process = subprocess.Popen(
        [*PRIORITY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=place,
    )
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: exit {process.returncode}: {said}")
    return said


@contextlib.contextmanager
def nginx(place):
    """A static page of 612 bytes, 16 connections, kept alive."""
    root = HOME / "nginx"
    root.mkdir()
    (root / "index.html").write_text("x" * 612, encoding="ascii")
    (root / "conf").write_text(
        f"""
daemon off; worker_processes 1; pid {root}/pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{ access_log off; server {{ listen 127.0.0.1:8080; root {root}; }} }}
""",
        encoding="ascii",
    )
    server = quiet("nginx", "-p", str(root), "-c", str(root / "conf"), preexec_fn=place)
    vs.until(lambda: vs.listens(8080), 60, "nginx listens")

    def measure(at, seconds):
        said = client(
            f"wrk --latency -t 1 -c 16 -d {seconds}s http://127.0.0.1:8080/".split(),
            at,
        )
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
        return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), float(number) * {
            "us": 1e-3,
            "ms": 1,
            "s": 1e3,
        }[unit]

    yield measure
    server.send_signal(signal.SIGTERM)
    server.wait()


@contextlib.contextmanager
def postgresql(place):
    """pgbench --select-only, 8 connections, scale 1, all in memory."""
    root = HOME / "postgresql"
    root.mkdir()
    subprocess.run(["tar", "-C", str(root), "-xf", str(DATA)], check=True)
    shutil.chown(root, "postgres")
    binary = glob.glob("/usr/lib/postgresql/*/bin")[0]
    as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]
    server = quiet(
        *as_postgres,
        f"{binary}/postgres",
        "-D",
        str(root / "data"),
        "-c",
        f"unix_socket_directories={root}",
        "-c",
        "autovacuum=off",
        preexec_fn=place,
    )
    while subprocess.run([f"{binary}/pg_isready", "-q", "-h", "127.0.0.1"]).returncode:
        time.sleep(0.2)
    subprocess.run(
        [
            *"psql -q -h 127.0.0.1 -U a -o /dev/null -c".split(),
            "select count(abalance) from pgbench_accounts where aid > 0",
            "bench",
        ],
        check=True,
    )

    def measure(at, seconds):
        with tempfile.TemporaryDirectory(dir=HOME) as folder:
            said = client(
                [
                    f"{binary}/pgbench",
                    *f"-h 127.0.0.1 -U a -n -S -c 8 -j 1 -T {seconds} --random-seed 7".split(),
                    *f"--log --log-prefix {folder}/log bench".split(),
                ],
                at,
            )
            times = sorted(
                int(line.split()[2])
                for path in pathlib.Path(folder).iterdir()
                for line in path.read_text(encoding="ascii").splitlines()
            )
        return float(re.search(r"tps = ([\d.]+)", said)[1]), times[len(times) * 99 // 100] / 1000

    yield measure
    server.send_signal(signal.SIGINT)
    server.wait()


@contextlib.contextmanager
def redis(place):
    """redis-benchmark GET, 16 connections."""
    server = quiet(
        "redis-server", "--port", "6379", "--save", "", "--dir", str(HOME), preexec_fn=place
    )
    vs.until(lambda: vs.listens(6379), 60, "Redis listens")

    def measure(at, seconds):
        said = client(
            ["redis-benchmark", "-t", "get", "-c", "16", "-n", str(seconds * 5000), "--csv"], at
        )
        titles, values = (
            [word.strip('"') for word in line.split(",")] for line in said.strip().splitlines()[-2:]
        )
        found = dict(zip(titles, values))
        return float(found["rps"]), float(found["p99_latency_ms"])

    yield measure
    server.send_signal(signal.SIGTERM)
    server.wait()


SYSTEMS = {"nginx": nginx, "postgresql": postgresql, "redis": redis}


def measure(systems, server=None, clients=None):
    """{system: (requests a second, 99th percentile in ms, context switches a request)}"""
    found = {}
    for name in systems:
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir()
        os.chmod(HOME, 0o755)
        with SYSTEMS[name](server) as run:
            run(clients, 1)
            before, began = switches(), time.monotonic()
            rate, p99 = run(clients, SECONDS)
            found[name] = rate, p99, (switches() - before) / (rate * (time.monotonic() - began))
        print(
            "# {}: {:.1f} requests a second, 99 % within {:.3f} ms,"
            " {:.2f} context switches each".format(name, *found[name]),
            flush=True,
        )
    return found


def enter(device, name):
    """Puts the calling new process into the service."""
    id = device.find(name).id
    return lambda: device.place(os.getpid(), id)


def main():
    systems = sys.argv[1:] or list(SYSTEMS)
    found = {"off": measure(systems)}
    with loaded():
        vs.vsctl("up", "--no-sched")
        found["gates"] = measure(systems)
        vs.vsctl("up")
        found["all"] = measure(systems)
        device = vs.Device()
        device.apply(
            [vs.config_service(name, cpu_weight=100) for name in ("server", "clients")],
            [vs.rule("accept", [1], [vs.REF(1)]), vs.rule("recv", [1], [vs.REF(2)])],
        )
        before = device.stat(device.find("clients").id).rebinds
        found["tracking"] = measure(systems, enter(device, "server"), enter(device, "clients"))
        rebinds = device.stat(device.find("clients").id).rebinds - before
        if rebinds < 1000:
            raise SystemExit(f"bound anew only {rebinds} times")
        device.close()
        vs.vsctl("down")
    found["off again"] = measure(systems)

    rows = []
    print(f"\n{'':12}{'':12}{'requests/s':>12}{'of off':>9}{'99 %, ms':>10}{'switches':>10}")
    for name in systems:
        for state, of_state in found.items():
            rate, p99, each = of_state[name]
            rows.append(
                {
                    "system": name,
                    "state": state,
                    "rate": rate,
                    "ratio": rate / found["off"][name][0],
                    "p99_ms": p99,
                    "switches": each,
                }
            )
            ratio = rate / found["off"][name][0]
            print(f"{name:12}{state:12}{rate:12.1f}{ratio:9.4f}{p99:10.3f}{each:10.2f}")
    print(f"bound anew {rebinds} times while tracking")
    keep("systems", rows)


main()
