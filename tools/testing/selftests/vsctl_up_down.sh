#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# up and down: all or nothing, adding missing parts, leaving nothing behind.
# limit: 300
. "${0%/*}/lib.sh"

pins=/sys/fs/bpf/vs
rest="setuid setgid socket socketpair connect accept send recv close wait packet hint read"
links() { find $pins/links -type f 2>/dev/null | wc -l; }
# the line that begins with this word alone: not `gates off` for `gates`
status_of() { vsctl status | sed -n "s/^$1  \+//p"; }
# the gates to which the links belong
linked() {
	find $pins/links -type f -name '*__*' -printf '%f\n' | sed 's/__.*//' |
		grep -vx 'core\|iter' | sort -u | xargs
}

is "nothing is attached at first" "$(status_of gates)" none
check "up" vsctl up --no-sched
all=$(links)
is "every gate is in force" "$(status_of gates)" \
	"fork exec exit $rest"
is "a second up finds nothing missing" "$(vsctl up --no-sched 2>&1 >/dev/null)" \
	"vsctl: nothing was missing"
is "a second up attaches nothing twice" "$(links)" "$all"

rm $pins/links/accept__sock_graft $pins/links/core__place
check "up adds the missing parts" vsctl up --no-sched
is "all links are there again" "$(links)" "$all"

check "a choice of gates" vsctl up --no-sched --gates fork,exec
is "the others are off" "$(status_of gates)" "fork exec"
is "and named" "$(vsctl status | sed -n 's/^gates off  *//p')" \
	"exit $rest"
is "their programs are detached" "$(linked)" "exec fork"
for gate in fork exec exit setuid setgid socket socketpair connect accept send recv close wait; do
	check "$gate alone" vsctl up --no-sched --gates $gate
	is "only $gate" "$(status_of gates), $(linked)" "$gate, $gate"
done
for gate in packet hint read; do
	check "$gate alone" vsctl up --no-sched --gates $gate
	is "only $gate" "$(status_of gates), $(linked)" "$gate, "
done
check "all again" vsctl up --no-sched
is "packets too" "$(status_of gates | grep -ow packet)" packet

check "down" vsctl down
is "no gate is left" "$(status_of gates)" none
is "no pin is left" "$(find /sys/fs/bpf -mindepth 1)" ""
is "no BPF program is left" "$(bpftool prog show | grep -c 'core__\|fork__')" 0
is "down again says so" "$(vsctl down)" "nothing was attached"

# With any limit on vsctl's descriptors, `up` is done whole or leaves nothing.
left='' failed=0
for ((room = 8; room <= 128; room += 12)); do
	if prlimit --nofile=$room vsctl up --no-sched >/tmp/up.log 2>&1; then
		vsctl down >/tmp/down.log || left+="$room: down fails; "
	else
		failed=$((failed + 1))
		[[ ! $(find /sys/fs/bpf -mindepth 1) ]] || left+="$room: pins; "
		[[ $(status_of gates) == none ]] || left+="$room: gates; "
		! vsctl status | grep -q '^tags' || left+="$room: tags; "
	fi
done
is "up that fails in its middle leaves nothing" "$left" ""
within "it failed in several places" $failed 2 11
check "up works then" vsctl up --no-sched

cat >/tmp/bad.toml <<'TOML'
[services.a]
cpu_weight = 0
TOML
check "down, to try a configuration" vsctl down
refuse 2 "up with a bad configuration" vsctl up --no-sched --config /tmp/bad.toml
is "a bad configuration attaches nothing" "$(status_of gates)" none
printf '[services.a]\ncpu_weight = 7\n' >/tmp/good.toml
check "up with a good one" vsctl up --no-sched --config /tmp/good.toml
check "a good configuration is applied" grep -q 'a ([0-9]*) cpu_weight=7$' <(vsctl tree)

check "down at the end" vsctl down
check "the module can go" rmmod vs
finish
