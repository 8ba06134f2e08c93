#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: host
# limit: 600
# tools/vm/run: it passes the guest's output on, and fails if the guest hangs or dies, or if the
# kernel reports a fault.
. "${0%/*}/lib.sh"

run=$(readlink -f "${0%/*}/../../vm/run")
work=$(mktemp -d -p "$VS_BUILD")
cleanup() { rm -rf "$work"; }
inside=/vs/build/${work##*/}

# ends STATUS NAME OPTIONS-AND-SCRIPT...: checks the exit status of run; its output is in
# $work/said.
ends() {
	local wanted=$1 name=$2 status=0
	shift 2
	"$run" "$@" >"$work/said" 2>&1 || status=$?
	((status == wanted)) && ok "$name" && return
	tail -n 5 "$work/said" | sed 's/^/# /'
	note "exit $status instead of $wanted"
	not_ok "$name"
}
# said NAME REGEX: a line of the output matches.
said() { check "$1" grep -qE "$2" "$work/said"; }

ends 2 "no script" --cpus 1
ends 7 "a script's status is the guest's" --cpus 1 -- sh -c \
	"echo out; echo err >&2; echo kept >$inside/file; exit 7"
said "the script's output is passed on" '^out$'
said "the script's errors are passed on" '^err$'
is "the script's files are kept" "$(<"$work/file")" kept
said "the run names KVM or emulation" 'guest .*: (KVM|software emulation), 1 CPU'

warn='echo "WARNING: CPU: 0 PID: 1 at nowhere.c:1" >/dev/kmsg'
ends 201 "a warning in the kernel's log fails a script that is content" --cpus 1 -- sh -c "$warn"
said "the kernel's warning is shown" '^vs: kernel: .*WARNING: CPU: 0 PID: 1 at nowhere.c:1'
ends 0 "an expected warning does not fail the run" --cpus 1 --expect 'at nowhere' -- sh -c "$warn"

ends 201 "a kernel that dies" --cpus 1 -- sh -c 'echo c >/proc/sysrq-trigger; sleep 600'
said "the console of a kernel that dies is shown" '^vs: console: .*sysrq triggered crash'

ends 202 "a guest that hangs ends at its limit" --cpus 1 --timeout 45 -- sh -c \
	'echo last words >/dev/kmsg; sleep 600'
said "the last lines of the console of a guest that hangs are shown" '^vs: console: '
finish
