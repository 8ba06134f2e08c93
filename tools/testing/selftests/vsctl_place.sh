#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Members by hand: place, exec, ps, ss; and down, which takes their tags.
# limit: 240
. "${0%/*}/lib.sh"

home() { vsctl ps --all | awk -v tid="$1" '$2 == tid { print $3 }'; }
stat_of() { vsctl stat "$1" | awk -v n="$2" 'NR == 2 { print $n }'; }
both_are_counted() { (($(stat_of a 4) == 2)); }
all_are_counted() { (($(stat_of b 5) == 603)); }
listed() { vsctl ss --all | awk '$2 ~ /^unix-/ { print $NF }' | sort; }
listens() { [[ $(vsctl ss b) == *LISTEN* ]]; }
# shellcheck disable=SC2046 # words
cleanup() { kill $(jobs -p) 2>/dev/null; }

check "a service" vsctl create a
check "another service" vsctl create b
check "up" vsctl up --no-sched

sleep 1000 &
pid=$!
check "a process is placed" vsctl place $pid a
is "it is at home there" "$(home $pid)" a
is "it is counted" "$(stat_of a 4)" 1
check "a process moves" vsctl place $pid b
is "a moved process is counted in its new service only" "$(stat_of a 4) $(stat_of b 4)" "0 1"
refuse 1 "its service cannot be destroyed" vsctl destroy b

is "exec places before it runs" \
	"$(vsctl exec a -- sh -c 'exec vsctl ps a' | awk 'NR == 2 { print $3, $4, $5 }')" \
	"a a vsctl"
vsctl exec a -- sh -c 'sleep 1000 & wait' &
await "its child is counted too" both_are_counted
is "children are born where their parent is" "$(vsctl ps a | awk '$5 == "sleep" { print $3 }')" a

vsctl exec b -- socat UNIX-LISTEN:/tmp/b.sock,fork EXEC:cat &
await "a server of another opens its socket" listens
is "its socket is its own" "$(vsctl ss b | awk '$3 == "LISTEN" { print $1, $2, $4 }')" \
	"b unix-stream /tmp/b.sock"
# many more than the kernel's iterator writes in one go
vsctl exec b -- python3 -c 'import socket, time
pairs = [socket.socketpair() for _ in range(300)]
time.sleep(1000)' &
await "another has many" all_are_counted
is "each is listed once" "$(vsctl ss b | grep -c unix-)" 603
is "root's are listed" "$(diff <(listed) <(awk 'NR > 1 { print $7 }' /proc/net/unix | sort))" ""
check "a service below" vsctl create below --parent a
vsctl exec below -- seq 200000 >/dev/null
total() { vsctl "$@" --json | grep -oP '"cpu_total_ns": *\K[0-9]+'; }
within "a service below counts in the total" \
	$(($(total stat a) - $(vsctl stat a --json | grep -oP '"cpu_ns": *\K[0-9]+'))) 1 10000000000
within "which show has, too" $(($(total show below) - $(total stat below))) 0 0
within "of those above" \
	$(($(total show a) - $(vsctl show a --json | grep -oP '"cpu_ns": *\K[0-9]+'))) 1 10000000000
check "the service below is destroyed" vsctl destroy below
check "threads can be placed alone" vsctl place --thread $pid a
is "ps shows a thread placed alone" "$(home $pid)" a

check "down" vsctl down
is "no service has a task" "$(stat_of a 4) $(stat_of b 4)" "0 0"
is "no service has a socket" "$(stat_of a 5) $(stat_of b 5)" "0 0"
check "up again" vsctl up --no-sched
is "tags of before are not believed" "$(vsctl ps | wc -l) $(vsctl ss | wc -l)" "1 1"
check "down at the end" vsctl down
check "a service without members can go" vsctl destroy b
finish
