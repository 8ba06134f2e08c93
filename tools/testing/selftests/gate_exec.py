#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# limit: 180
"""Gates exec, setuid and setgid: a task that changes gets another home, by program, user and
cgroup.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import gates
import vs

HERE = os.path.dirname(os.path.abspath(__file__))
CODE = f"import sys; sys.path.insert(0, {HERE!r}); import gates; print(gates.tag())"
PYTHON = os.path.realpath(sys.executable)


def tag_after(program, *, before=lambda: None, argv=None):
    """The tag of a child after it has executed a Python by this path."""

    def body():
        before()
        os.execv(program, argv or [program, "-c", CODE])

    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(writer, 1)
        try:
            body()
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        got = pipe.read().strip()
    vs.eq(os.waitpid(pid, 0)[1], 0, f"{program}: exit status")
    return got


def tag_of_running(program, before):
    """The tag of a child that has executed a Python by this path, read by this process, because the
    child may not be allowed to.
    """
    there, back = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        try:
            before()
            os.dup2(there[0], 0)
            os.dup2(back[1], 1)
            os.execv(program, [program, "-c", "import os; os.write(1, b'x'); os.read(0, 1)"])
        finally:
            os._exit(1)
    os.close(back[1])
    said, got = os.read(back[0], 1), gates.tag(pid)
    os.write(there[1], b"x")
    os.waitpid(pid, 0)
    for fd in (*there, back[0]):
        os.close(fd)
    vs.eq(said, b"x", f"{program} says")
    return got


def copied(path):
    """A copy of the interpreter."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(PYTHON, path)
    return path


@gates.case
def by_path(dev):
    """exec path=…: the program's own path, or the folder above; the child and its children are at
    home there
    """
    a, b, c = (dev.create(name) for name in "abc")
    one, two, deep = (copied(f"/tmp/vs-exec/{name}") for name in ("one", "two", "deep/er/three"))
    dev.add("exec", [vs.ANY], [a], path=one)
    dev.add("exec", [vs.ANY], [b], path="/tmp/vs-exec/*")
    dev.add("exec", [vs.ANY], [c], path="/tmp/vs-exec/deep/*")
    for program, wanted in ((one, a), (two, b), (deep, c), (PYTHON, vs.ROOT)):
        vs.eq(tag_after(program), str((wanted, wanted)), program)
    link = "/tmp/vs-link"
    os.symlink(one, link)
    vs.eq(tag_after(link), str((a, a)), "by a symbolic link")
    os.unlink(link)


def below(folder, length):
    """The folder below this one whose path is so long, made with all above it."""
    while len(folder) + 201 < length:
        folder += "/" + "n" * 200
    folder += "/" + "n" * (length - len(folder) - 1)
    os.makedirs(folder, exist_ok=True)
    return folder


@gates.case
def long_paths(dev):
    """exec path=/…/*: a program below the folder, however long its path is; of more than 4095 bytes
    there is none for the kernel, either
    """
    a, b = dev.create("a"), dev.create("b")
    dev.add("exec", [vs.ANY], [a], path="/tmp/vs-exec/*")
    dev.add("exec", [vs.ANY], [b], path="/tmp/vs-exec/n/*")
    known = ["python3", "-c", CODE]  # it looks for its library beside a path that it is given
    for length in (254, 255, 256, 257, 313, 2000, 4095):
        program = below("/tmp/vs-exec/n", length - 5) + "/deep"
        vs.eq(len(program), length)
        vs.eq(tag_after(copied(program), argv=known), str((b, b)), f"{length} bytes")
    beyond = below("/tmp/vs-exec/n", 4000)

    def go_there():
        os.chdir(beyond)
        os.makedirs("n" * 200, exist_ok=True)
        os.chdir("n" * 200)
        shutil.copy(PYTHON, "deep")

    got = tag_after("./deep", before=go_there, argv=known)
    vs.eq(got, str((vs.ROOT, vs.ROOT)), "4206 bytes")
    shutil.rmtree("/tmp/vs-exec/n")


@gates.case
def scripts(dev):
    """A script counts as its interpreter"""
    a = dev.create("a")
    interpreter = copied("/tmp/vs-exec/interpreter")
    dev.add("exec", [vs.ANY], [a], path=interpreter)
    script = pathlib.Path("/tmp/vs-exec/script")
    script.write_text(f"#!{interpreter}\n{CODE}\n", encoding="utf-8")
    script.chmod(0o755)
    vs.eq(tag_after(str(script), argv=[str(script)]), str((a, a)))


@gates.case
def by_user_and_group(dev):
    """exec uid=… gid=…: the effective ids that the program runs with"""
    a, b = dev.create("a"), dev.create("b")
    program = copied("/tmp/vs-exec/by-user")
    dev.add("exec", [vs.ANY], [a], path=program, uid=1001)
    dev.add("exec", [vs.ANY], [b], path=program, gid=1002)

    def ids(uid, gid):
        def change():
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)

        return change

    for uid, gid, wanted in ((1001, 0, a), (0, 1002, b), (1000, 1000, vs.ROOT)):
        vs.eq(tag_of_running(program, ids(uid, gid)), (wanted, wanted), f"uid {uid} gid {gid}")


@gates.case
def pretended_path(dev):
    """exec path=…: the host's path alone, not the path in a user namespace, under another root, or
    through another task's mounts
    """
    a = dev.create("a")
    program, other = copied("/tmp/vs-exec/asked-for"), copied("/tmp/vs-exec/other")
    dev.add("exec", [vs.ANY], [a], path=program)

    def namespace(*kinds):
        def enter():
            vs.unshare(*kinds)
            vs.command("mount", "--make-rprivate", "/")
            vs.command("mount", "--bind", other, program)

        return enter

    def root():
        vs.unshare(os.CLONE_NEWNS)
        vs.command("mount", "--make-rprivate", "/")
        new = pathlib.Path("/tmp/vs-root")
        for name in ("usr", "tmp"):
            (new / name).mkdir(parents=True, exist_ok=True)
            vs.command("mount", "--bind", f"/{name}", str(new / name))
        for name in ("lib", "lib64"):
            (new / name).symlink_to(f"usr/{name}")
        os.chroot(new)
        os.chdir("/")

    vs.eq(tag_of_running(program, lambda: None), (a, a), "without")
    vs.eq(tag_of_running(program, namespace(os.CLONE_NEWNS)), (a, a), "where root has mounted it")
    vs.eq(
        tag_of_running(program, namespace(os.CLONE_NEWUSER, os.CLONE_NEWNS)),
        (vs.ROOT, vs.ROOT),
        "in a user namespace",
    )
    vs.eq(tag_of_running(program, root), (vs.ROOT, vs.ROOT), "under another root")
    with subprocess.Popen(
        ["sleep", "60"], preexec_fn=namespace(os.CLONE_NEWUSER, os.CLONE_NEWNS)
    ) as another:
        vs.eq(
            tag_of_running(f"/proc/{another.pid}/root{program}", lambda: None),
            (vs.ROOT, vs.ROOT),
            "by another's mounts",
        )
        another.kill()


@gates.case
def by_cgroup(dev):
    """exec cgroup=…: the group itself, or the groups below"""
    a, b = dev.create("a"), dev.create("b")
    root = pathlib.Path("/sys/fs/cgroup")
    long = ["n" * 250, *(f"vs-test.slice-{n:0200}" for n in range(3))]
    groups = [
        root / "vs-test.slice" / name for name in ("one.service", "two.service", "/".join(long))
    ]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    dev.add("exec", [vs.ANY], [a], cgroup="/vs-test.slice/one.service")
    dev.add("exec", [vs.ANY], [b], cgroup="/vs-test.slice/*")
    try:
        for group, wanted in zip(groups, (a, b, b)):
            procs = group / "cgroup.procs"
            move = lambda procs=procs: procs.write_text(str(os.getpid()))
            vs.eq(tag_after(PYTHON, before=move), str((wanted, wanted)), str(group))
        vs.eq(tag_after(PYTHON), "(0, 0)", "elsewhere")
    finally:
        above = [folder for folder in groups[2].parents if root in folder.parents]
        for group in [*groups, *above]:
            vs.until(
                lambda group=group: not (group / "cgroup.procs").read_text(), what="empty group"
            )
            group.rmdir()


@gates.case
def setting_ids(dev):
    """setuid uid=… and setgid gid=… give a home; the file system's ids do not"""
    a, b = dev.create("a"), dev.create("b")
    dev.add("setuid", [vs.ANY], [a], uid=1001)
    dev.add("setgid", [vs.ANY], [b], gid=1002)
    for change, wanted in (
        (lambda: os.setuid(1001), a),
        (lambda: os.setreuid(1001, 1001), a),
        (lambda: os.setresuid(-1, 1001, -1), a),
        (lambda: os.setgid(1002), b),
        (lambda: os.setresgid(1002, 1002, 1002), b),
        (lambda: os.setuid(1000), vs.ROOT),
        (lambda: os.setgid(1000), vs.ROOT),
    ):

        def body(change=change):
            # a task that is no longer root cannot read the tag any more, so its parent does
            change()
            os.write(ready[1], b"x")
            os.read(go[0], 1)

        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if not pid:
            body()
            os._exit(0)
        os.read(ready[0], 1)
        got = gates.tag(pid)
        os.write(go[1], b"x")
        os.waitpid(pid, 0)
        vs.eq(got, (wanted, wanted))


@gates.case
def counted(dev):
    """A task that gets another home is counted there"""
    a, b = dev.create("a"), dev.create("b")
    dev.add("setgid", [a], [b], gid=7)
    gates.enter(dev, a)
    os.setgid(7)
    vs.eq((gates.tag(), dev.stat(a).tasks, dev.stat(b).tasks), ((b, b), 0, 1))


vs.main()
