# SPDX-License-Identifier: MIT OR Apache-2.0
"""The idioms of servers that `make truth` runs, with the rules that Documentation/gates.md advises
for each, and the reasons why some are not right.
"""

import dataclasses

RECV = "recv task=s => task=msg"
ACCEPT = "accept task=s => task=conn"
SEND = "send task=s => task=socket"
GIVE = "send task=s => msg=task"
MESSAGES = "send task=s proto=unix-stream => msg=task"
CONNECT = "connect task=s => socket=task"
HINT = "hint task=s => task=socket"
FORK = "fork task=s => child=task task=home"

# Percent of the CPU time that are right where a server makes few system calls, and does much work
# of its own: of the other idioms the system calls around a request, which it does not measure, are
# more.
STRICT = 93.0

POOL = "the workers do not read the request: nothing tells the kernel whose it is"
KEPT = "an answer comes by a connection that is the server's own: it does not tell whose it is"
WAITED = "what has waited is sent while the next request is in hand; so the proxy is not bound"
TOGETHER = (
    "an answer of another tenant's, or several in one receipt, cannot be told from the request that"
    " was received before"
)
RECEIVES = "the ring receives in the midst of a request, and a receipt ends the work"
RING = "of what a ring receives it cannot be told which is served first"


@dataclasses.dataclass
class Idiom:
    """One idiom: its name in server.c, its rules, and how its clients ask."""

    name: str
    server: str
    kind: str = "tcp"
    rules: tuple = (RECV,)
    connections: int = 4  # of each client
    each: int = 20  # requests after which a connection is closed and made anew
    depth: int = 1  # requests in one segment
    reason: str = ""
    hints: bool = False  # the server says for which connection it works
    cpu: float = 80.0  # percent of its CPU time that are right at least
    apart: bool = False  # the clients are in network namespaces of their own


IDIOMS = [
    Idiom("same thread, one at a time", "one", connections=1, each=5, rules=(ACCEPT, RECV)),
    Idiom("fork per connection", "fork", rules=(ACCEPT, FORK), cpu=70.0),
    Idiom("prefork, worker restarted", "prefork", rules=(ACCEPT, RECV), connections=1, each=7),
    Idiom("accept, threads read", "threads-read", rules=(ACCEPT, RECV), connections=1, each=7),
    Idiom("pool behind a futex", "pool-futex", reason=POOL),
    Idiom("pool behind a pipe", "pool-pipe", reason=POOL),
    Idiom("pool behind an eventfd", "pool-eventfd", reason=POOL),
    Idiom("pool behind a unix socket", "pool-unix", reason=POOL),
    Idiom("pool behind unix datagrams, messages", "pool-unix", rules=(RECV, GIVE)),
    Idiom("pool behind a unix stream, messages", "pool-stream", rules=(RECV, GIVE)),
    Idiom("pool behind a futex, hints", "pool-futex", rules=(HINT,), hints=True),
    Idiom("pool behind a pipe, hints", "pool-pipe", rules=(HINT,), hints=True),
    Idiom("pool behind a System V queue", "pool-sysv", reason=POOL),
    Idiom("pool behind a System V queue, messages", "pool-sysv", rules=(RECV, GIVE)),
    Idiom("pool behind a System V queue, hints", "pool-sysv", rules=(HINT,), hints=True),
    Idiom("pool behind a POSIX queue", "pool-mq", reason=POOL),
    Idiom("pool behind a POSIX queue, messages", "pool-mq", rules=(RECV, GIVE)),
    Idiom("pool behind a POSIX queue, hints", "pool-mq", rules=(HINT,), hints=True),
    Idiom("pool, back by a pipe", "back-pipe", reason=POOL),
    Idiom("pool, back by a pipe, hints", "back-pipe", rules=(HINT,), hints=True),
    Idiom("pool, back by an eventfd", "back-event", reason=POOL),
    Idiom("pool, back by an eventfd, hints", "back-event", rules=(HINT,), hints=True),
    Idiom("pool, back by an eventfd, timer", "back-timer", reason=POOL),
    Idiom("pool of processes, shared memory", "back-processes", reason=POOL),
    Idiom("thread cache", "thread-cache", rules=(ACCEPT, RECV), each=7),
    Idiom("event loop, 1 ready", "epoll-1"),
    Idiom("event loop, 2 ready", "epoll-2"),
    Idiom("event loop, 64 ready", "epoll-64", connections=22, each=50),
    Idiom("event loop, own work after the wait", "epoll-before", cpu=STRICT),
    Idiom("event loop, own work before the wait", "epoll-after", cpu=STRICT),
    Idiom("event loop, own work at a timer", "epoll-timer"),
    Idiom("event loop, reads till empty", "epoll-empty"),
    Idiom("own work after reply and sleep", "sleep-after"),
    Idiom("event loop, replies in parts", "parts", cpu=STRICT),
    Idiom("event loop, replies at the end", "late", rules=(RECV, SEND), cpu=STRICT),
    Idiom(
        "event loop, requests in turns",
        "in-turns",
        rules=(),
        reason="one thread works on several requests at once; so it is not bound",
    ),
    Idiom("requests in turns, hints", "in-turns", rules=(HINT,), hints=True),
    Idiom("requests pipelined", "epoll-64", depth=2),
    Idiom("UDP, one thread", "datagrams", "udp"),
    Idiom("UDP, three threads, one socket", "datagrams-3", "udp"),
    Idiom(
        "UDP, recvmmsg",
        "recvmmsg",
        "udp",
        reason="of datagrams that one call fetches it cannot be told which is served first",
    ),
    Idiom("unix stream", "epoll-64", "stream"),
    Idiom("unix datagram", "datagrams", "dgram"),
    Idiom("descriptor passing", "passing", rules=(ACCEPT, RECV), connections=1, each=7),
    Idiom(
        "splice proxy",
        "splice",
        reason="what is spliced is not received: from there on the server works for itself",
    ),
    Idiom("asks another server", "asking", rules=(ACCEPT, RECV, CONNECT)),
    Idiom("asks two servers", "asking-two", rules=(ACCEPT, RECV, CONNECT)),
    Idiom("asks two servers, kept", "asking-two-kept"),
    Idiom("asks two servers, kept, messages", "asking-two-messages", rules=(RECV, MESSAGES)),
    Idiom("proxy that does not wait", "async-tcp", reason=KEPT),
    Idiom(
        "proxy that does not wait, messages", "async-unix", rules=(RECV, MESSAGES), reason=TOGETHER
    ),
    Idiom("proxy that does not wait, hints", "async-tcp", rules=(HINT,), hints=True),
    Idiom("proxy, requests wait", "few-tcp", reason=KEPT),
    Idiom("proxy, requests wait, messages", "few-unix", rules=(), reason=WAITED),
    Idiom("proxy, requests wait, hints", "few-tcp", rules=(HINT,), hints=True),
    Idiom("multiplexing proxy", "multiplexed-tcp", reason=KEPT),
    Idiom(
        "multiplexing proxy, messages", "multiplexed-unix", rules=(RECV, MESSAGES), reason=TOGETHER
    ),
    Idiom("multiplexing proxy, hints", "multiplexed-tcp", rules=(HINT,), hints=True),
    Idiom("io_uring", "io-uring", reason=RING),
    Idiom("io_uring, hints", "io-uring", rules=(HINT,), hints=True, reason=RECEIVES),
    Idiom("io_uring, deferred", "io-uring-deferred", reason=RING),
    Idiom("io_uring, deferred, hints", "io-uring-deferred", rules=(HINT,), hints=True),
    Idiom("container to container", "epoll-64", apart=True),
]
