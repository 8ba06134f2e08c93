#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: host
# limit: 600
# The guest: what comes out of it, and that it fails when it hangs, dies, or the kernel has
# something to report.
. "${0%/*}/lib.sh"

run=$(readlink -f "${0%/*}/../../vm/run")
work=$(mktemp -d -p "$VS_BUILD")
cleanup() { rm -rf "$work"; }
inside=/vs/build/${work##*/}

# ends STATUS NAME OPTIONS-AND-SCRIPT...: how it ends; what it said is in $work/said.
ends() {
	local wanted=$1 name=$2 status=0
	shift 2
	"$run" "$@" >"$work/said" 2>&1 || status=$?
	((status == wanted)) && ok "$name" && return
	tail -n 5 "$work/said" | sed 's/^/# /'
	note "exit $status instead of $wanted"
	not_ok "$name"
}
# said NAME REGEX: that is a line of it.
said() { check "$1" grep -qE "$2" "$work/said"; }

ends 2 "no script" --cpus 1
ends 7 "a script's status is the guest's" --cpus 1 -- sh -c \
	"echo out; echo err >&2; echo kept >$inside/file; exit 7"
said "its output" '^out$'
said "and errors" '^err$'
is "and files" "$(<"$work/file")" kept
said "what runs it is told: KVM or emulation" 'guest .*: (KVM|software emulation), 1 CPU'

warn='echo "WARNING: CPU: 0 PID: 1 at nowhere.c:1" >/dev/kmsg'
ends 201 "a warning in the kernel's log fails a script that is content" --cpus 1 -- sh -c "$warn"
said "and is shown" '^vs: kernel: .*WARNING: CPU: 0 PID: 1 at nowhere.c:1'
ends 0 "unless it is expected" --cpus 1 --expect 'at nowhere' -- sh -c "$warn"

ends 201 "a kernel that dies" --cpus 1 -- sh -c 'echo c >/proc/sysrq-trigger; sleep 600'
said "shows how" '^vs: console: .*sysrq triggered crash'

ends 202 "a guest that hangs ends at its limit" --cpus 1 --timeout 45 -- sh -c \
	'echo last words >/dev/kmsg; sleep 600'
said "with the last lines of its console" '^vs: console: '
finish
