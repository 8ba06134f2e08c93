#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# rule test: the kernel decides, vsctl explains, and the two agree.
# limit: 240
. "${0%/*}/lib.sh"

cat >/tmp/rules.toml <<'TOML'
rules = [
    "accept => task=conn",
    "accept task=pg => task=conn",
    "accept uid=7 lport=5432 => task=b",
    "accept task=pg peer=10.0.0.0/8 => task=a",
    "accept task=pg peer=10.1.0.0/16 => task=b",
    "accept task=vip => task=home",
    "exec path=/usr/bin/* => task=a",
    "exec path=/usr/bin/x => task=b",
    "exec path=/usr/bin/* uid=1 => task=*",
]
[services.pg]
[services.vip]
priority = 9
[services.a]
[services.b]
TOML
check "rules" vsctl apply /tmp/rules.toml

winner() { vsctl rule test "$@" | sed -nE 's/^wins +(rule [0-9]+: )?//p'; }
why() { vsctl rule test "$@" | sed -n 's/^ *it //p'; }

is "the only one that matches" "$(winner accept task=a)" "accept => task=conn"
is "one that names a service beats one that names none" \
	"$(winner accept task=pg uid=7 lport=5432)" \
	"accept task=pg => task=conn"
is "more conditions beat fewer" "$(winner accept task=pg peer=10.9.1.1)" \
	"accept task=pg peer=10.0.0.0/8 => task=a"
is "a longer prefix beats a shorter one" "$(winner accept task=pg peer=10.1.1.1)" \
	"accept task=pg peer=10.1.0.0/16 => task=b"
is "no rule" "$(winner connect task=a)" "no rule matches"
is "a path beats its folder" "$(winner exec path=/usr/bin/x)" "exec path=/usr/bin/x => task=b"
is "an exception" "$(vsctl rule test exec task=b path=/usr/bin/y uid=1 | sed -n 's/^task *//p')" \
	"b stays"
is "the entity's new service is shown" \
	"$(vsctl rule test accept task=pg peer=10.1.1.1 | sed -n 's/^task *//p')" "pg -> b"
is "the other's VS" "$(vsctl rule test accept task=pg conn=a | sed -n 's/^task *//p')" "pg -> a"
is "the caller's work" "$(vsctl rule test --work a accept task=vip | sed -n 's/^task *//p')" \
	"vip stays"
is "every loser is told, with its reason" "$(why accept task=pg peer=10.1.1.1)" \
	"names no service on its left side, the other names a service of priority 0
has 1 conditions, the other 2
has 104 bits of address prefix, the other 112"
said=$(vsctl rule test accept task=pg peer=10.1.1.1 uid=7 lport=5432)
check "rules changed meanwhile is never said of rules that did not change" test "$said" -a "$said" \
	= "${said/have changed/}"
finish
