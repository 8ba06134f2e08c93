# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The library of selftests in bash: TAP, and exit 0, 1 (a check failed) or 4 (skipped, with the
# reason).
#
#	. "${0%/*}/lib.sh"
#	check "a service is listed" grep -qx a <(vsctl ls)
#	is "it has no task" "$(tasks_of a)" 0
#	finish
#
# A test that does not reach its `finish` fails: a script that ends early has not run all checks.

_checks=0 _failures=0 _finished=

ok() { echo "ok $((++_checks)) - $1"; }
not_ok() { echo "not ok $((++_checks)) - $1" && ((++_failures)); }
note() { printf '%s\n' "$*" | sed 's/^/# /'; }

# check NAME COMMAND...: the command succeeds. Otherwise its output is shown.
check() {
	local name=$1 output status
	shift
	output=$("$@" 2>&1) && ok "$name" && return
	status=$?
	note "$*: exit $status${output:+: $output}"
	not_ok "$name"
}

# refuse STATUS NAME COMMAND...: the command fails with this exit status.
refuse() {
	local wanted=$1 name=$2 output status=0
	shift 2
	output=$("$@" 2>&1) || status=$?
	((status == wanted)) && ok "$name" && return
	note "$*: exit $status instead of $wanted${output:+: $output}"
	not_ok "$name"
}

# await NAME COMMAND...: the command succeeds within a minute.
await() {
	local name=$1 end=$((SECONDS + 60 * ${VS_SLOWNESS:-1}))
	shift
	until "$@"; do
		if ((SECONDS >= end)); then
			not_ok "$name"
			return
		fi
		sleep 0.2
	done
	ok "$name"
}

# is NAME GOT WANTED: two strings are the same.
is() {
	[[ $2 == "$3" ]] && ok "$1" && return
	note "got '$2', wanted '$3'"
	not_ok "$1"
}

# within NAME GOT LOW HIGH: a whole number lies in a range.
within() {
	(($2 >= $3 && $2 <= $4)) && ok "$1" && return
	note "got $2, wanted $3 to $4"
	not_ok "$1"
}

# skip REASON: ends the test, which cannot be decided here.
skip() {
	echo "1..0 # SKIP $*"
	_finished=1
	exit 4
}

# bail REASON: ends the test, because a preparation failed.
bail() {
	not_ok "$*"
	finish
}

finish() {
	echo "1..$_checks"
	_finished=1
	exit $((_failures > 0))
}

# Runs at the end in any case; tests can define a function of their own: cleanup() { ...; }
_at_exit() {
	local status=$?
	[[ $(type -t cleanup) != function ]] || cleanup
	[[ $_finished ]] && exit "$status"
	echo "Bail out! ended with status $status before its end"
	exit 1
}
trap _at_exit EXIT

echo "TAP version 13"
