# SPDX-License-Identifier: MIT OR Apache-2.0
"""The load of the soak test: shared servers, their clients in two tenants, and stress-ng in any
service.
"""

import collections
import glob
import os
import pathlib
import random
import re
import shutil
import subprocess
import threading
import traceback

import vs

HOME = pathlib.Path("/run/soak")
DATABASE = pathlib.Path("/vs/build/demo/data.tar")  # made by tools/demo/database
TENANTS = ("a", "b")
TURN = 10  # seconds that a client or a stressor runs
CLIENTS, STRESSORS = 2, 2  # how many of them at once
# The test itself runs in a service of great weight and, for times without the scheduler, with a
# better nice value than the load. Otherwise it would wait for vsctl most of the time.
OPERATOR, NICE = "operator", 10
# seconds for steps that take one or two on an idle machine: this one is neither idle nor, under a
# debug kernel, fast
PATIENCE = 900

STRESS = """
affinity clone cpu daemon epoll eventfd exec fork futex kill mq msg mutex nice pipe poll pthread
schedpolicy sem-sysv sendfile session shm-sysv sigq sock sockpair splice switch tee udp unshare
vfork wait yield zombie
""".split()
STRESS_OPTIONS = {"zombie": ["--zombie-max", "200"], "schedpolicy": ["--schedpolicy-rand"]}

NGINX = f"""
daemon off; user root; worker_processes 2; pid {HOME}/nginx.pid; error_log {HOME}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {HOME}/body;
    proxy_temp_path {HOME}/proxy; fastcgi_temp_path {HOME}/fastcgi;
    uwsgi_temp_path {HOME}/uwsgi; scgi_temp_path {HOME}/scgi;
    server {{ listen 127.0.0.1:8080 backlog=64; root {HOME}/www; }}
}}
"""
UNBOUND = f"""
server:
    interface: 127.0.0.1@5300
    username: ""
    chroot: ""
    directory: "{HOME}"
    pidfile: ""
    use-syslog: no
    num-threads: 2
    module-config: "iterator"
    local-zone: "soak." static
    local-data: "host.soak. A 10.0.0.1"
remote-control:
    control-enable: no
"""
REDIS_REQUESTS = 1000

# name: (command, port, a client's command for a tenant, a function that reads the requests answered
# from the client's output)
SERVERS = {
    "pg": (
        lambda: [
            "setpriv",
            "--reuid",
            "postgres",
            "--regid",
            "postgres",
            "--clear-groups",
            "--",
            glob.glob("/usr/lib/postgresql/*/bin/postgres")[0],
            "-D",
            f"{HOME}/data",
            "-p",
            "5432",
            "-c",
            f"unix_socket_directories={HOME}",
        ],
        5432,
        lambda tenant: [
            glob.glob("/usr/lib/postgresql/*/bin/pgbench")[0],
            "-n",
            "-S",
            "-h",
            "127.0.0.1",
            "-U",
            tenant,
            "-c",
            "4",
            "-T",
            str(TURN),
            "bench",
        ],
        lambda said: sum(map(int, re.findall(r"actually processed: (\d+)", said))),
    ),
    "nginx": (
        lambda: ["nginx", "-p", str(HOME), "-c", f"{HOME}/nginx.conf"],
        8080,
        lambda _: ["wrk", "-t", "1", "-c", "8", "-d", str(TURN), "http://127.0.0.1:8080/"],
        lambda said: sum(map(int, re.findall(r"(\d+) requests in", said))),
    ),
    "redis": (
        lambda: ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", str(HOME)],
        6379,
        lambda _: ["redis-benchmark", "-c", "8", "-n", str(REDIS_REQUESTS), "-t", "set,get", "-q"],
        lambda said: REDIS_REQUESTS * len(re.findall(r"requests per second", said)),
    ),
    "dns": (
        lambda: ["unbound", "-d", "-c", f"{HOME}/unbound.conf"],
        5300,
        lambda _: ["dig", "@127.0.0.1", "-p", "5300", "+short", "+tries=3", "-f", f"{HOME}/names"],
        lambda said: len(re.findall(r"^10\.0\.0\.1$", said, re.M)),
    ),
}


class Reach:
    """A lock on the module: threads that start processes in services share it, and the thread that
    unloads the module has it alone.
    """

    def __init__(self):
        self.changed, self.users, self.taken = threading.Condition(), 0, False

    def __enter__(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.taken)
            self.users += 1

    def __exit__(self, *_):
        with self.changed:
            self.users -= 1
            self.changed.notify_all()

    def take(self):
        with self.changed:
            self.taken = True
            self.changed.wait_for(lambda: not self.users)

    def give_back(self):
        with self.changed:
            self.taken = False
            self.changed.notify_all()


def prepare():
    """Makes the servers' files and folders, and copies vs.ko and vsctl, so that a build on the host
    does not change them.
    """
    (HOME / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("vsctl"), HOME / "bin/vsctl")
    shutil.copy(os.environ.get("VS_MODULE", "/vs/build/module/vs.ko"), HOME / "bin/vs.ko")
    os.environ["PATH"] = f"{HOME}/bin:{os.environ['PATH']}"
    # khugepaged, of nice value 19, is preempted in RCU sections, and under the kernel's own
    # scheduler holds RCU up for long
    pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled").write_text(
        "never", encoding="ascii"
    )
    (HOME / "www").mkdir()
    (HOME / "www/index.html").write_text("soak\n" * 100, encoding="ascii")
    (HOME / "nginx.conf").write_text(NGINX, encoding="ascii")
    (HOME / "unbound.conf").write_text(UNBOUND, encoding="ascii")
    (HOME / "names").write_text("host.soak\n" * 200, encoding="ascii")
    subprocess.run(["tar", "-C", HOME, "-xf", DATABASE], check=True)
    shutil.chown(HOME, "postgres")


def in_service(service, command, output):
    """Starts a command in a service; it is there when this returns, and vsctl no longer has the
    device open.
    """
    process = subprocess.Popen(
        ["vsctl", "exec", service, "--", "nice", "-n", str(NICE), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    name = pathlib.Path(f"/proc/{process.pid}/comm")
    vs.until(
        lambda: process.poll() is not None or name.read_text(encoding="utf-8") != "vsctl\n",
        PATIENCE,
        "vsctl becomes the command, or fails",
    )
    return process


class Load:
    """The servers, clients and stressors that run while the module is changed; in a with block."""

    def __init__(self, seed, reach, services, trouble):
        """`services()` returns the services in which stressors may run, `trouble(text)` notes an
        event that must not happen.
        """
        self.seed, self.reach, self.services, self.trouble = seed, reach, services, trouble
        self.stop = threading.Event()
        self.answered, self.stressed = collections.Counter(), 0
        self.servers, self.threads = {}, []

    def __enter__(self):
        for name, (command, port, *_) in SERVERS.items():
            with open(HOME / f"{name}.out", "w", encoding="utf-8") as output:
                self.servers[name] = subprocess.Popen(
                    ["nice", "-n", str(NICE), *command()],
                    cwd=HOME,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            vs.until(lambda port=port: vs.listens(port), PATIENCE, f"{name} answers")
        return self

    def __exit__(self, *_):
        self.quiet()
        for process in self.servers.values():
            process.terminate()
        for process in self.servers.values():
            process.wait(PATIENCE)

    def place(self):
        """Places all running processes of the servers in their services, and the test in its
        own.
        """
        dev = vs.Device()
        dev.place(os.getpid(), dev.find(OPERATOR).id)
        for name, process in self.servers.items():
            id = dev.find(name).id
            dev.place(process.pid, id)
            for child in (
                pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
                .read_text(encoding="ascii")
                .split()
            ):
                try:
                    dev.place(int(child), id)
                except (ProcessLookupError, vs.Refused):
                    if os.path.exists(f"/proc/{child}"):
                        raise
        dev.close()

    def begin(self):
        """Clients and stressors, one after the other in each of some threads."""
        for work in [self._ask] * CLIENTS + [self._stress] * STRESSORS:
            rng = random.Random(f"{self.seed} {len(self.threads)}")
            self.threads.append(threading.Thread(target=self._repeat, args=(work, rng)))
            self.threads[-1].start()

    def quiet(self):
        """Ends clients and stressors; the servers stay."""
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.threads = []

    def _repeat(self, work, rng):
        while not self.stop.is_set():
            try:
                work(rng)
            except Exception:  # pylint: disable=broad-except
                self.trouble(traceback.format_exc().strip())

    def _ask(self, rng):
        name, tenant = rng.choice(list(SERVERS)), rng.choice(TENANTS)
        *_, command, count = SERVERS[name]
        with self.reach:
            client = in_service(tenant, command(tenant), subprocess.PIPE)
        said, _ = client.communicate()
        self.answered[name] += count(said)
        vs.eq(
            client.returncode, 0, f"status of a client of {name} that said {said.strip()[-300:]!r}"
        )

    def _stress(self, rng):
        kind, service = rng.choice(STRESS), rng.choice(self.services())
        command = [
            "stress-ng",
            "--temp-path",
            "/tmp",
            "--oom-avoid",
            "--timeout",
            str(TURN),
            f"--{kind}",
            "2",
            *STRESS_OPTIONS.get(kind, []),
        ]
        # the command may fail: the service may be gone by now, or its limits may refuse it
        with self.reach:
            stressor = in_service(service, command, subprocess.DEVNULL)
        stressor.wait()
        self.stressed += 1
