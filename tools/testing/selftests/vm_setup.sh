#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# guest: host
# limit: 120
# If setup fails it prints one line, with the remedy; and it does not take a half-made result for a
# whole one.
. "${0%/*}/lib.sh"

setup=$(readlink -f "${0%/*}/../../vm/setup")
work=$(mktemp -d)
as_root=()
((EUID == 0)) || as_root=(sudo --)
cleanup() { "${as_root[@]}" rm -rf "$work"; }

# apart OPTION... COMMAND: as root, in name spaces of its own.
apart() { "${as_root[@]}" unshare "$@"; }
# failing COMMAND...: checks that its exit status is 1; prints its output.
failing() {
	local status=0
	"$@" >"$work/said" 2>&1 || status=$?
	cat "$work/said"
	((status == 1)) || echo "exit $status"
}

is "a whole environment needs nothing" "$("$setup" 2>&1)" ""
is "an unknown kernel" "$(KERNEL=frob failing "$setup")" \
	"vs: setup: there is no kernel frob: KERNEL is cloud, rt, a version such as 7.2, lockdep \
or kasan"
is "an unknown option" "$(failing "$setup" --frobnicate)" "vs: setup: unknown option --frobnicate"

mkdir "$work/small"
is "no space: the message has the space needed, the space there is, and the remedy" \
	"$(failing apart --mount bash -c "
	mount -t tmpfs -o size=64m none $work/small &&
		XDG_CACHE_HOME=$work/small exec $setup" | sed 's/needs [0-9]* MB/needs N MB/')" \
	"vs: setup: no space: it needs N MB in $work/small/vs and 64 MB are free (XDG_CACHE_HOME \
chooses another place)"

# a sudo that refuses, whether or not this machine has one
mkdir -p "$work/bin" "$work/nobody"
printf '#!/bin/sh\nexit 1\n' >"$work/bin/sudo"
chmod 755 "$work" "$work/bin" "$work/bin/sudo"
chmod 777 "$work/nobody"
nobody=()
((EUID)) || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
is "no right to install" \
	"$(failing env PATH="$work/bin:$PATH" XDG_CACHE_HOME="$work/nobody" \
		"${nobody[@]}" "$setup")" \
	"vs: setup: no right to install: sudo refuses; become root"

# leftovers of an interrupted run, and no network to go on with
mkdir -p "$work/cut/vs/root.new/half" "$work/cut/vs/kernels/7.0/build.new"
said=$(failing apart --net --mount env XDG_CACHE_HOME="$work/cut" "$setup")
is "no network: one line" "$said" \
	"vs: setup: tree failed: the network or a package mirror cannot be reached; see to that \
and run it again"
is "half-made results are gone, and were not taken for whole ones" \
	"$(cd "$work/cut/vs" && find . -name half -o -name 'build*' -o -name root)" ""
finish
