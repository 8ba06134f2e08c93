#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: cpus=2
# limit: 120
# The scheduler through vsctl: up starts it, up --no-sched stops it and leaves the rest, any number
# of times.
. "${0%/*}/lib.sh"

runs() { cat /sys/kernel/sched_ext/root/ops 2>/dev/null || echo none; }
gates() { vsctl status | grep '^gates '; }
counted() { vsctl stat --sched | awk -v name="$1" '$1 == name { print $2 }'; }
used_by_root() { vsctl stat root --json | grep -oP '"cpu_ns": *\K[0-9]+'; }

check "up" vsctl up
is "scx_vs runs" "$(runs)" vs
all=$(gates)
before=$(counted direct)
sleep 0.1
within "its counters count: tasks woken onto an idle CPU" "$(($(counted direct) - before))" 1 100000
refuse 2 "counters are not a service's" vsctl stat --sched root

check "up without scheduler" vsctl up --no-sched
is "it has stopped when that returns" "$(runs)" none
check "status says that it is off" grep -q '^scheduler  off' <(vsctl status)
is "every gate is still in force" "$(gates)" "$all"
before=$(used_by_root)
timeout 1 bash -c 'while :; do :; done'
within "accounts go on, ns" "$(($(used_by_root) - before))" 500000000 10000000000
is "a second time there is nothing to do" "$(vsctl up --no-sched 2>&1 >/dev/null)" \
	"vsctl: nothing was missing"

check "up again" vsctl up
is "scx_vs runs again" "$(runs)" vs
check "down" vsctl down
refuse 3 "there are no counters then" vsctl stat --sched
is "no scheduler is left" "$(runs)" none
is "no pin is left" "$(find /sys/fs/bpf -mindepth 1)" ""
finish
