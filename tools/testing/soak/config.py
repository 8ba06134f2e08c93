# SPDX-License-Identifier: MIT OR Apache-2.0
"""Random configurations for the soak test, as an administrator would write them. The fixed parts
keep the load going.
"""

FIXED = [
    "accept task=pg => task=conn",
    "fork task=pg => child=task task=home",
    "accept task=nginx => task=conn",
    "recv task=nginx => task=socket",
    "recv task=redis => task=socket",
    "recv task=dns proto=udp => task=msg",
]
SERVICES = {
    "pg": 100,
    "nginx": 100,
    "redis": 100,
    "dns": 100,
    "a": 100,
    "b": 100,
    "operator": 10000,
}
MOST = 24  # random services
# of their tree. A name tells the level, so that services that stay from one configuration fit below
# the next
LEVELS = 4

# none of these takes the tenants' clients away from them, or refuses them anything
RULES = [
    "exec path=/usr/bin/stress-ng uid=0 task={s} => task={t}",
    "fork task={s} => child={t}",
    "setuid uid={n} task={s} => task={t}",
    "socket task={s} proto=tcp => socket={t}",
    "socketpair task={s} => socket={t}",
    "connect task={s} peer=10.{n}.0.0/16 pport={n} => socket={t}",
    "accept task={s} => task=conn",
    "recv task={s} peer=127.0.0.0/8 => task=home",
    "send task={s} proto=udp => msg={t}",
    "packet peer=10.{n}.0.0/16 lport={n} => conn={t}",
    "packet iface=none{n} proto=udp => conn={t}",
]


def rule(rng, names):
    """A random rule about these services."""
    return rng.choice(RULES).format(
        s=rng.choice(names), t=rng.choice(names), n=rng.randrange(1, 200)
    )


def attributes(rng):
    """Random attributes, by name, as text."""
    possible = {
        "cpu_weight": str(rng.choice([1, 10, 100, 200, 500])),
        "cpu_cap": f"{rng.randrange(20, 200)}%",
        "tasks_max": str(rng.randrange(20, 2000)),
        "sockets_max": str(rng.randrange(20, 2000)),
    }
    return {name: possible[name] for name in rng.sample(sorted(possible), rng.randrange(3))}


def level(name):
    return int(name[1:]) % LEVELS


def text(rng):
    """A configuration file, and the names of the random services in it."""
    names = [f"s{n}" for n in sorted(rng.sample(range(2 * MOST), rng.randrange(1, MOST)))]
    rules = [*FIXED, *(rule(rng, names) for _ in range(rng.randrange(60)))]
    # two rules with the same left side are refused: the younger could never win
    asked = {one.partition(" =>")[0]: one for one in reversed(rules)}
    lines = ["rules = [", *(f'    "{one}",' for one in reversed(asked.values())), "]"]
    for name, weight in SERVICES.items():
        lines += ["", f"[services.{name}]", f"cpu_weight = {weight}"]
    for name in names:
        lines += ["", f"[services.{name}]", f"priority = {rng.randrange(-5, 5)}"]
        above = [other for other in names if level(other) < level(name)]
        if above:
            lines.append(f'parent = "{rng.choice(above)}"')
        for attribute, value in attributes(rng).items():
            lines.append(f"{attribute} = {value if value.isdigit() else repr(value)}")
    return "\n".join(lines) + "\n", names
