#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The tracepoints vs:vs_bind, vs:vs_refuse and vs:vs_apply report gate and rule of each binding,
refusals, and configurations.
"""

import contextlib
import errno
import pathlib
import re
import socket

import gates
import vs

import uapi

TRACING = pathlib.Path("/sys/kernel/tracing")


@contextlib.contextmanager
def traced():
    """Yields a list that holds, after the block, the events of vs in it: (name, {field: value})."""
    if not (TRACING / "events").exists():
        vs.run("mount", "-t", "tracefs", "tracefs", str(TRACING))
    enable = TRACING / "events/vs/enable"
    (TRACING / "trace").write_text("", encoding="ascii")
    enable.write_text("1", encoding="ascii")
    events = []
    try:
        yield events
    finally:
        enable.write_text("0", encoding="ascii")
    for line in (TRACING / "trace").read_text(encoding="ascii").splitlines():
        if match := re.search(r": (vs_\w+): (.*)$", line):
            events.append((match[1], dict(word.split("=") for word in match[2].split())))


@gates.case
def bind(dev):
    """vs_bind reports gate, rule and changes, also of a change without a rule"""
    a, pg = dev.create("a"), dev.create("pg")
    rule = dev.add("accept", [pg], [uapi.VS_REF(1)])
    server = gates.listener()
    peer = gates.client(dev, a, server)
    gates.enter(dev, pg)
    with traced() as events:
        conn = server.accept()[0]
        conn.close()
    peer.close()
    seen = [
        (
            event["gate"],
            int(event["home"]),
            int(event["cur"]),
            int(event["new_cur"]),
            int(event["rule"]),
        )
        for name, event in events
        if name == "vs_bind" and int(event["home"]) == pg
    ]
    vs.eq(seen, [("accept", pg, pg, a, rule), ("close", pg, a, pg, -1)], "events")


@gates.case
def refuse(dev):
    """vs_refuse reports gate, service and errno"""
    a = dev.create("a")
    dev.detach(a, "sockets_max")
    dev.set(a, "sockets_max", 0)
    gates.enter(dev, a)
    with traced() as events:
        try:
            socket.socket().close()
            raise AssertionError("a socket was made beyond the limit")
        except OSError as error:
            vs.eq(error.errno, errno.ENOBUFS, "errno")
    gates.enter(dev, vs.ROOT)
    seen = [event for name, event in events if name == "vs_refuse"]
    vs.eq(seen, [{"gate": "socket", "service": str(a), "error": str(-errno.ENOBUFS)}], "events")


@vs.test
def apply(dev):
    """vs_apply reports the numbers of services and rules, and does not fire for a configuration
    that is only checked
    """
    config = (
        [vs.config_service("a"), vs.config_service("b")],
        [vs.rule("socket", right=[vs.ANY, 1])],
    )
    with traced() as events:
        dev.apply(*config, check=True)
        dev.apply(*config)
    seen = [event for name, event in events if name == "vs_apply"]
    vs.eq([(event["services"], event["rules"]) for event in seen], [("3", "1")], "events")
    vs.eq(int(seen[0]["generation"]), dev.info().generation, "generation")


vs.main()
